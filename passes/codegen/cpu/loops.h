// kernel.loops for CPUs: rows (elementwise and row reductions), columns (reduce_dims) and scatter-add.
#pragma once
#include "passes/codegen/cpu/frame.h"

namespace weft::cpu {

// Emits the body of the frame's function at its builder's insertion point (the return is the caller's).
// Buffers: the inputs, then one for each yield (yields that fill parts of one result have each their own
// address: the launch adds the accesses' offsets).
mlir::LogicalResult emitLoops(kernel::LoopsOp op, KernelFrame &frame);

} // namespace weft::cpu
