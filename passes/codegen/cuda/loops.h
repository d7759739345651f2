// kernel.loops for CUDA. Internal to compile.cpp.
#pragma once
#include "dialects/kernel/kernel.h"

#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/IR/BuiltinOps.h"

namespace weft::cuda {

// Adds the kernel's function, and the shared memory of its reductions, to `target`.
mlir::LogicalResult emitLoops(kernel::LoopsOp op, llvm::StringRef name, mlir::ModuleOp target);

} // namespace weft::cuda
