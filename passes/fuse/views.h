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

// rhs of a matmul or grouped_matmul as it lies in memory when its panels were made beforehand: `packed`
// (…, n / 32, k / 2, 32, 2) of bf16, which the product reads through a transpose, a reshape and, where n or k
// were filled up to multiples of 32, a slice. Null: it does not lie so.
mlir::Value packedRhs(mlir::Operation *op);
// The gather of whole rows that makes factor `operand` of a grouped product along the dimension its groups
// cut, so that the product's kernel may look the rows up itself; both factors of one only by the same table.
graph::GatherOp gatheredFactor(mlir::Operation *op, unsigned operand);
// That view of `packed` in the weight's shape, (…, n, k), or (…, k, n) unless `transposed`; and its inverse
// on the weight, filled up with zeros.
mlir::Value unpackRhs(mlir::OpBuilder &b, mlir::Location loc, mlir::Value packed, bool transposed,
                      llvm::ArrayRef<int64_t> shape);
mlir::Value packRhs(mlir::OpBuilder &b, mlir::Location loc, mlir::Value weight, bool transposed);

llvm::SmallVector<int64_t> rowMajorStridesOf(llvm::ArrayRef<int64_t> shape);

} // namespace weft
