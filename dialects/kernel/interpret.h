// Reference interpreter of kernel ops: what the op's text says, on doubles, point by point; schedules are
// ignored.
#pragma once
#include "dialects/graph/host_tensor.h"
#include "dialects/kernel/kernel.h"
#include "llvm/ADT/STLFunctionalExtras.h"

namespace weft::kernel {

class RegionInterpreter;

// Runs kernel.loops, kernel.matmul, kernel.attention or kernel.empty (NaN everywhere). `operands` are the
// op's, in order; `results` are zeros of the result types. Sums are exact to f64 whatever the element type.
// Emits an error at the op when an address leaves its tensor, an element of a result is never written, a
// value that should not vary along the columns does, or the region holds an op it does not know.
// `bounds`, where given, are tensors of the results' shapes, which get how far compiled code may be from each
// element (docs/numerics.md): infinite where nothing can be said, NaN where the kernel leaves what was there.
// `row` is called for each row that the region of loops, or of a product, has run on.
mlir::LogicalResult evaluate(mlir::Operation *op, llvm::ArrayRef<const graph::HostTensor *> operands,
                             llvm::MutableArrayRef<graph::HostTensor> results,
                             llvm::MutableArrayRef<graph::HostTensor> bounds = {},
                             llvm::function_ref<void(const RegionInterpreter &)> row = nullptr);

} // namespace weft::kernel
