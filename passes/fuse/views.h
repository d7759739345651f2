// Views: values that are another value's buffer, addressed differently.
#pragma once
#include "dialects/graph/graph.h"

namespace weft {

// Value v of shape (n0, n1, …): element (i0, i1, …) is element offset + Σ strides[k] i_k of base's row-major
// buffer.
struct StridedView {
  mlir::Value base;
  int64_t offset = 0;
  llvm::SmallVector<int64_t> strides;
};

bool isViewOp(mlir::Operation *op); // reshape, transpose, slice, broadcast

// Whether a reshape only adds or drops dimensions of size 1.
bool movesUnitDimensions(graph::ReshapeOp op);

// Walks up views to a value that `isBase` accepts or that no view op made. Fails where a reshape does not fit
// its operand's strides: then `*obstacle` is that reshape's operand, which a copy would make a base.
mlir::FailureOr<StridedView> resolveView(mlir::Value v, llvm::function_ref<bool(mlir::Value)> isBase,
                                         mlir::Value *obstacle = nullptr);

llvm::SmallVector<int64_t> rowMajorStridesOf(llvm::ArrayRef<int64_t> shape);

} // namespace weft
