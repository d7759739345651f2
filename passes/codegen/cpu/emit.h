// From an outlined kernel to a function in MLIR's llvm, scf, arith, vector dialects.
#pragma once
#include "dialects/program/program.h"
#include "passes/codegen/cpu/level.h"

#include "mlir/IR/BuiltinOps.h"

namespace weft::cpu {

// Adds `llvm.func @name(ptr, ptr, i64, i64, ptr)` (runtime/kernel_abi.h) to `target` for the one kernel op in
// `kernel`.
mlir::LogicalResult emitKernel(program::KernelOp kernel, mlir::ModuleOp target, const CpuLevel &level);

// Bytes of scratch each thread needs for this kernel; the same on every level.
int64_t scratchBytes(program::KernelOp kernel);

// The kernel op inside.
mlir::Operation *kernelOpOf(program::KernelOp kernel);

} // namespace weft::cpu
