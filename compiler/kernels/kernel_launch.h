// A program's launches, one alone or several in turn, with data made up: for benchmarks and comparisons.
#pragma once
#include "compiler/bench/launch_data.h"
#include "mlir/IR/Operation.h"
#include "runtime/artifact/artifact_generated.h"

namespace weft {

// The launch alone: its buffers in memory of their own, overlapping where they do in the program, and what
// they are filled with so that indices, groups and key ranges make sense. `kernelOp` is the outlined one.
launch_data::Launch planLaunch(const fb::LaunchT &launch, mlir::Operation *kernelOp, int64_t scratchBytes);

// Sequences of launches, each to run alone, on memory that all of them use: their buffers one after the
// other, those of the first sequence's first launch first. In a sequence, what one launch writes the next one
// reads, where it does so in the program; the largest block of one lies where those of the others do, and so
// on, so that none is faster for where its pages are. Numbers (indices, groups) that no launch before has
// made have memory of their own.
struct PlannedLaunch {
  const fb::LaunchT *launch;
  mlir::Operation *kernelOp;
  int64_t scratchBytes;
};
struct PlannedSequences {
  launch_data::Launch memory{};
  std::vector<std::vector<launch_data::Launch>> launches;
};
PlannedSequences planSequences(llvm::ArrayRef<std::vector<PlannedLaunch>> sequences);

} // namespace weft
