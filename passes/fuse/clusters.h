// Which graph values become kernels of their own, and which of those are computed together.
//
// A root is a value that must exist in memory: another kind of op reads it (a matmul, a repeat, a return), or
// it is a row reduction. Everything else that is elementwise is computed where it is used. Roots over the
// same iteration space are computed by one kernel when one feeds the other or both read the same large value:
//   x1 = x + o;  s = Σ x1²;  h = x1 * rsqrt(s / D + eps) * w      roots x1, s, h: one kernel that reads x, o
//   and w, and writes x1 and h.
// A cast that is all that reads a product is computed by the product's kernel.
#pragma once
#include "passes/fuse/views.h"
#include "llvm/ADT/DenseSet.h"
#include "llvm/ADT/SetVector.h"

namespace weft {

struct Cluster {
  llvm::SmallVector<int64_t> domain; // shape of the iteration space; the last dimension is the column
  llvm::SmallSetVector<mlir::Value, 4> roots;  // in program order
  llvm::SmallSetVector<mlir::Value, 8> leaves; // values it reads
};

class Clusters {
public:
  explicit Clusters(mlir::Block &block);

  bool isRoot(mlir::Value v) const { return roots.contains(v); }
  int clusterOf(mlir::Value root) const {
    return membership.lookup(root) - 1;
  } // -1: none (column reductions, scatters: alone)
  llvm::ArrayRef<Cluster> all() const { return clusters; }
  // The cast that a product's kernel computes at its end, in the product's place; null: none.
  mlir::Operation *epilogueOf(mlir::Value product) const { return epilogues.lookup(product); }
  // Exists in memory: a root, a block argument, or the result of an op that is not fused.
  bool isMaterialised(mlir::Value v) const;

private:
  void findEpilogues(mlir::Block &block);
  bool isEpilogue(mlir::Operation *op) const;
  void require(mlir::Value v);           // v, or the value it is a view of, becomes a root
  void requireContiguous(mlir::Value v); // likewise, and v itself must be its whole buffer in order
  void findRoots(mlir::Block &block);
  void pull(mlir::Value v, llvm::SmallSetVector<mlir::Value, 8> &leaves, bool top = true) const;
  void form(mlir::Block &block);
  bool wouldCycle(const Cluster &cluster, mlir::Value root) const;

  llvm::DenseMap<mlir::Value, mlir::Operation *> epilogues;
  llvm::DenseSet<mlir::Value> roots;
  llvm::DenseMap<mlir::Value, int> membership; // cluster number + 1
  llvm::SmallVector<Cluster> clusters;
};

// Computed point by point inside a kernel: elementwise ops, splat constants, iota, gather.
bool isPointwise(mlir::Operation *op);
// A reduction over the last dimension.
bool isRowReduction(mlir::Operation *op);

} // namespace weft
