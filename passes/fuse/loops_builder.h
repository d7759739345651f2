// Builds one kernel.loops from graph expressions, evaluated point by point.
#pragma once
#include "dialects/kernel/kernel.h"
#include "passes/fuse/clusters.h"
#include "passes/fuse/product_epilogue.h"

namespace weft {

// One index of a value in terms of the iteration space: dimension `dim` (-1: none) plus `offset`.
struct IndexExpr {
  int64_t dim;
  int64_t offset = 0;
  bool operator==(const IndexExpr &o) const { return dim == o.dim && offset == o.offset; }
};
using IndexMap = llvm::SmallVector<IndexExpr>;

IndexMap identityMap(int64_t rank);

class LoopsBuilder {
public:
  // `own`: the cluster whose roots this kernel computes rather than reads; null for kernels of a single op.
  LoopsBuilder(const Clusters &clusters, const Cluster *own, mlir::Location loc,
               llvm::ArrayRef<int64_t> domain);
  ~LoopsBuilder();

  // The scalar value of v at the indices that `map` gives. Null after an error.
  mlir::Value evaluate(mlir::Value v, const IndexMap &map);
  mlir::OpBuilder &region() { return b; }

  // Adds a result of this type and gives its number; with init, it starts as that value.
  int addResult(mlir::RankedTensorType type, mlir::Value init = {});
  void yield(mlir::Value scalar, int result, int64_t offset, llvm::ArrayRef<int64_t> strides,
             int64_t index = -1, int64_t indexStride = 0, int64_t indexLimit = 0);
  // An integer input used only as an index; gives its input number.
  int64_t addIndexInput(mlir::Value v, const IndexMap &map);

  // Makes the op. Neighbouring dimensions that every access runs through contiguously are merged, the column
  // only when `mergeColumn`.
  kernel::LoopsOp finish(mlir::OpBuilder &at, int64_t reduceDims = 0);
  // `product` is read like an input, whichever cluster it is of; before all others.
  void takeAsInput(mlir::Value product);
  // The region of kernel.matmul instead, with input 0 as the product: `groups` are the numbers of dimensions
  // that are (batch, m, n). Nothing where a group's strides are not those of one dimension.
  std::optional<ProductEpilogue> finishProduct(std::array<int64_t, 3> groups);
  // Set when a gather's index varies along the column: build again with a unit column appended.
  bool needsUnitColumn() const { return unitColumn; }

  // The last dimension has a few elements, and some operand does not run through it and the one before as
  // one.
  bool columnIsShort() const;
  // The dimension but the last along which input 0 lies closest together.
  int64_t closestDimension() const;

private:
  struct Access {
    int64_t offset;
    llvm::SmallVector<int64_t> strides;
    int64_t index = -1, indexStride = 0, indexLimit = 0;
  };
  mlir::Value load(mlir::Value base, Access access);
  int64_t inputNumber(mlir::Value base, const Access &access);
  Access accessOf(const StridedView &view, const IndexMap &map) const;
  mlir::Value evaluateOp(mlir::Operation *op, const IndexMap &map);
  mlir::Value evaluateConstant(graph::ConstantOp c, const IndexMap &map);
  mlir::Value indexValue(mlir::Location at, IndexExpr index); // i32
  kernel::AccessAttr attribute(const Access &a, llvm::ArrayRef<int64_t> keep) const;

  const Clusters &clusters;
  const Cluster *own;
  mlir::Location loc;
  llvm::SmallVector<int64_t> domain;
  mlir::Block *block;
  mlir::OpBuilder b;
  llvm::SmallVector<std::pair<mlir::Value, Access>> inputs;
  llvm::SmallVector<std::tuple<mlir::Value, int, Access>> yields;
  llvm::SmallVector<mlir::RankedTensorType> results;
  llvm::SmallVector<mlir::Value> inits;
  llvm::SmallVector<int64_t> initResult;
  llvm::SmallVector<std::tuple<mlir::Value, IndexMap, mlir::Value>> known;
  llvm::SmallSetVector<mlir::Location, 8> locations;
  llvm::SmallDenseSet<int64_t> indexedDims; // used by kernel.index: cannot be merged
  bool unitColumn = false;
};

// Whether evaluating `root` inside `cluster` meets the cluster's own roots only at the same point, so that
// they can be computed together.
bool meetsAtSamePoint(mlir::Value root, const Clusters &clusters, const llvm::DenseSet<mlir::Value> &own,
                      llvm::ArrayRef<int64_t> domain);

} // namespace weft
