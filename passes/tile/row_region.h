// Ops around a large value that can be computed a block of rows at a time.
//
// Example: logits = h Wᵀ of 4096 rows, what the loss makes of them row by row, and the products that take
// their gradient to h and W. Each row of the logits needs one row of h; the loss and the gradient of h have a
// row each; the gradient of W is a sum over rows. So all of it can run in blocks of rows, and the logits of
// one block are all that ever exists.
#pragma once
#include "dialects/graph/graph.h"
#include "llvm/ADT/DenseMap.h"
#include "llvm/ADT/SetVector.h"

namespace weft {

// How an op takes part when its leading dimensions are cut into blocks of rows.
struct RowRoles {
  llvm::SmallVector<bool> rowOperand; // an operand that is cut too; others are there whole
  bool accumulates = false;           // the result is a sum over all rows, added up block by block
};

struct RowRegion {
  int64_t rows = 0;                       // of all row values: the product of their leading dimensions
  llvm::SetVector<mlir::Operation *> ops; // in the order of the block
  // Of those, what stays where it is and is computed again in the block: constants and views of what comes
  // from outside, for which nothing has to exist. Others may read them too, whole or by rows.
  llvm::DenseSet<mlir::Operation *> copied;
  llvm::DenseMap<mlir::Operation *, RowRoles> roles;
  llvm::SetVector<mlir::Value> rowInputs,
      wholeInputs;                               // values from outside; whole ones without the views of them
  llvm::SetVector<mlir::Value> rowOutputs, sums; // read outside
  int64_t wideBytes = 0; // a row's share of the large values that have to exist in memory
  int64_t edgeBytes = 0; // a row's share of what comes from outside and goes there

  bool holds(mlir::Operation *op) const { return op && ops.contains(op) && !copied.contains(op); }
  // What a whole input is a view of.
  static mlir::Value withoutViews(mlir::Value v);

  // Leading dimensions that are rows: the fewest with `rows` elements (units behind them do not count); -1:
  // none.
  int64_t leading(mlir::Value v) const { return leading(graph::shapeOf(v)); }
  int64_t leading(llvm::ArrayRef<int64_t> shape) const;
  // The shape for blocks of `count` rows; nothing where its leading dimensions cannot be cut so.
  std::optional<llvm::SmallVector<int64_t>> blockShape(mlir::Value v, int64_t count) const;

  // What computes or reads `seed`, a matrix product, and values of its size, with what lies between. Nothing
  // when some of it needs all rows at once; `*obstacle` is then the op that does.
  static std::optional<RowRegion> around(graph::MatmulOp seed, mlir::Operation **obstacle);

private:
  std::optional<RowRoles> rolesOf(mlir::Operation *op, mlir::Value known) const;
  bool add(mlir::Operation *op, mlir::Value known);
  bool grow(mlir::Value seed, mlir::Operation **obstacle);
  llvm::DenseSet<mlir::Operation *> findDependent(mlir::Block *block);
  void finish(mlir::Value seed);
};

} // namespace weft
