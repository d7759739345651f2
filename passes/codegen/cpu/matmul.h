// kernel.matmul for CPUs.
#pragma once
#include "passes/codegen/cpu/frame.h"

namespace weft::cpu {

// Emits the body of the frame's function at its builder's insertion point (the return is the caller's).
mlir::LogicalResult emitMatmul(kernel::MatmulOp op, KernelFrame &frame);

// Bytes of scratch a thread needs; sizes that are arguments are not known here, so it depends on the schedule
// alone.
int64_t matmulScratchBytes(kernel::MatmulOp op);

} // namespace weft::cpu
