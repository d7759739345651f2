// Kernels by content: one program.kernel for all kernel ops that differ only in sizes, strides and offsets.
#pragma once
#include "dialects/kernel/kernel.h"
#include "dialects/program/program.h"
#include "mlir/IR/BuiltinOps.h"
#include "passes/program/kernel_work.h"
#include "llvm/ADT/StringMap.h"

namespace weft {

class KernelOutliner {
public:
  explicit KernelOutliner(mlir::ModuleOp module) : module(module) {}

  struct Call {
    program::KernelOp kernel;
    llvm::SmallVector<int64_t> sizes; // in the slots of kernel::SizeLayout
    int64_t items, piece;
    KernelWork work;
  };
  // The outlined kernel has a result for each output access, so that each has a buffer of its own: inputs,
  // then output accesses.
  Call outline(mlir::Operation *kernelOp);

private:
  mlir::ModuleOp module;
  llvm::StringMap<program::KernelOp> known;
  llvm::StringMap<int> numbers;
};

// Elements that an access touches: one past the largest index, and its offset.
struct AccessExtent {
  int64_t offset, elements;
};
AccessExtent extentOf(kernel::AccessAttr access, llvm::ArrayRef<int64_t> sizes);

} // namespace weft
