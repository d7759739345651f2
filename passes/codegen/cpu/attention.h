// kernel.attention for CPUs.
#pragma once
#include "passes/codegen/cpu/frame.h"

namespace weft::cpu {

// Emits the body of the frame's function at its builder's insertion point (the return is the caller's).
mlir::LogicalResult emitAttention(kernel::AttentionOp op, KernelFrame &frame);

// Bytes of scratch a thread needs.
int64_t attentionScratchBytes(kernel::AttentionOp op);

} // namespace weft::cpu
