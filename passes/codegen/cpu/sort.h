// kernel.sort for CPUs.
#pragma once
#include "passes/codegen/cpu/frame.h"

namespace weft::cpu {

// Emits the body of the frame's function at its builder's insertion point (the return is the caller's).
mlir::LogicalResult emitSort(kernel::SortOp op, KernelFrame &frame);

} // namespace weft::cpu
