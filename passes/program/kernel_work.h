// How much a kernel computes and moves: what a launch tells the profiler and the cost model.
#pragma once
#include "dialects/kernel/kernel.h"

namespace weft {

struct KernelWork {
  // Multiplications and additions, as they are counted of a model: of products two a term; of elementwise
  // code one an operation. Of attention for all keys, since ranges are data.
  int64_t flops = 0;
  // Of the operands that its accesses reach, each element once, indexed ones as often as they are read.
  int64_t bytes = 0;
  // Elements that go through a vector lane outside the dot unit, an exponential as many times as it has
  // instructions: elementwise code, softmax, packing. Of attention for all keys, too.
  int64_t vectorOps = 0;
};

// Instructions of one point of a kernel's region: its operations, a load an argument, a store a value.
int64_t instructionsOf(mlir::Block &body);
// Of one op with static sizes and a schedule.
KernelWork workOf(mlir::Operation *kernelOp);
// KernelWork::vectorOps alone, which depends on the schedule, of an op with `sizes` for its own: an outlined
// kernel's are a launch's.
int64_t vectorOpsOf(mlir::Operation *kernelOp, llvm::ArrayRef<int64_t> sizes);

} // namespace weft
