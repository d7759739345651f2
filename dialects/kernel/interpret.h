// Reference interpreter of kernel ops: what the op's text says, on doubles, point by point; schedules are
// ignored.
#pragma once
#include "dialects/graph/host_tensor.h"
#include "dialects/kernel/kernel.h"

namespace weft::kernel {

// Runs kernel.loops, kernel.matmul, kernel.attention or kernel.empty (NaN everywhere). `operands` are the
// op's, in order; `results` are zeros of the result types. Sums are exact to f64 whatever the element type.
// Emits an error at the op when an address leaves its tensor, an element of a result is never written, a
// value that should not vary along the columns does, or the region holds an op it does not know.
mlir::LogicalResult evaluate(mlir::Operation *op, llvm::ArrayRef<const graph::HostTensor *> operands,
                             llvm::MutableArrayRef<graph::HostTensor> results);

} // namespace weft::kernel
