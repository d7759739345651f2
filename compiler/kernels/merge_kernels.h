// Kernels of several stages' modules, each once.
#pragma once
#include "mlir/IR/BuiltinOps.h"
#include "llvm/ADT/StringMap.h"
#include <string>

namespace weft {
// Makes every launch of `modules` name a kernel of the first module: one of equal content, or a copy under a
// name of its own. By module, what its kernels are called then.
llvm::SmallVector<llvm::StringMap<std::string>> mergeKernels(llvm::ArrayRef<mlir::ModuleOp> modules);
} // namespace weft
