// A program's launches of one kernel with data made up, for benchmarks and comparisons.
#pragma once
#include "compiler/bench/launch_data.h"
#include "mlir/IR/Operation.h"
#include "runtime/artifact/artifact_generated.h"

namespace weft {

// The launch alone: its buffers in memory of their own, overlapping where they do in the program, and what
// they are filled with so that indices, groups and key ranges make sense. `kernelOp` is the outlined one.
launch_data::Launch planLaunch(const fb::LaunchT &launch, mlir::Operation *kernelOp, int64_t scratchBytes);

} // namespace weft
