// What a product's kernel computes behind the product: the region of kernel.matmul and what it reads and
// writes.
#pragma once
#include "dialects/kernel/kernel.h"
#include "passes/fuse/clusters.h"

namespace weft {

struct ProductEpilogue {
  std::unique_ptr<mlir::Block> body; // argument 0: the product's element; then those of `extras`
  llvm::SmallVector<mlir::Value> extras;
  llvm::SmallVector<mlir::Attribute> extraAccess, outputAccess; // strides for (batch, m, n)
  llvm::SmallVector<mlir::Location> locations;
};

// The code that gives `outputs`, of the cluster of a product. Nothing where an operand has no strides for
// (batch, m, n).
std::optional<ProductEpilogue> productEpilogue(const Clusters &clusters, const Cluster &cluster,
                                               llvm::ArrayRef<mlir::Value> outputs);

// How many leading dimensions of a product's result are batches, each with a matrix of its own.
int64_t numBatchDims(mlir::Operation *product);

} // namespace weft
