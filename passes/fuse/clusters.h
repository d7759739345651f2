// Which graph values become kernels of their own, and which of those are computed together.
//
// A root is a value that must exist in memory: another kind of op reads it (a matmul, a repeat, a return), or
// it is a row reduction. Everything else that is elementwise is computed where it is used. Roots over the
// same iteration space are computed by one kernel when one feeds the other or both read the same large value:
//   x1 = x + o;  s = Σ x1²;  h = x1 * rsqrt(s / D + eps) * w      roots x1, s, h: one kernel that reads x, o
//   and w, and writes x1 and h.
// What reads a product is computed by the product's kernel, where that is predicted to be faster.
#pragma once
#include "passes/fuse/fusion_machine.h"
#include "passes/fuse/views.h"
#include "llvm/ADT/DenseSet.h"
#include "llvm/ADT/MapVector.h"
#include "llvm/ADT/SetVector.h"

namespace weft {

struct ProductEpilogue;

constexpr size_t kMostInputs = 16; // values that a kernel reads

struct Cluster {
  llvm::SmallVector<int64_t> domain; // shape of the iteration space; the last dimension is the column
  llvm::SmallSetVector<mlir::Value, 4> roots;  // in program order
  llvm::SmallSetVector<mlir::Value, 8> leaves; // values it reads; not the factors of `product`
  // A product whose kernel computes the other roots as its epilogue: roots[0] is its result. Null: none.
  mlir::Operation *product = nullptr;
};

// Whether a value is computed behind a product that it reads; by (product, value) where that is given.
using FusionChoices = llvm::DenseMap<std::pair<mlir::Operation *, mlir::Value>, bool>;
struct FusionChoice {
  mlir::Operation *product;
  mlir::Value value;
  bool behind, given;
  EpilogueCost cost; // what the model says
};

class Clusters {
public:
  // `given` is taken instead of the model's choice, where there is one.
  Clusters(mlir::Block &block, const FusionMachine &machine, const FusionChoices &given);

  bool isRoot(mlir::Value v) const { return roots.contains(v); }
  int clusterOf(mlir::Value root) const {
    return membership.lookup(root) - 1;
  } // -1: none (column reductions, scatters: alone)
  llvm::ArrayRef<Cluster> all() const { return clusters; }
  // What the product's kernel computes behind it; null: nothing.
  const Cluster *epilogueOf(mlir::Value product) const {
    int i = clusterOf(product);
    return i >= 0 && clusters[i].roots.size() > 1 ? &clusters[i] : nullptr;
  }
  // What was chosen, product by product: each value that was thought of.
  llvm::SmallVector<FusionChoice> choices() const;
  // Those of them whose value has a kernel without any product, a value once.
  llvm::SmallVector<FusionChoice> apart() const;
  // Exists in memory: a root, a block argument, or the result of an op that is not fused.
  bool isMaterialised(mlir::Value v) const;

private:
  void require(mlir::Value v);           // v, or the value it is a view of, becomes a root
  void requireContiguous(mlir::Value v); // likewise, and v itself must be its whole buffer in order
  void findRoots(mlir::Block &block);
  void pull(mlir::Value v, llvm::SmallSetVector<mlir::Value, 8> &leaves, bool top = true) const;
  void endProducts(mlir::Block &block);
  void form(mlir::Block &block);
  void joinFeeder(mlir::Value root);
  void join(mlir::Value root);
  void add(int cluster, mlir::Value root, const llvm::SmallSetVector<mlir::Value, 8> &leaves);
  bool mayJoin(const Cluster &cluster, mlir::Value root,
               const llvm::SmallSetVector<mlir::Value, 8> &leaves) const;
  bool reaches(llvm::SmallVector<mlir::Value> work, llvm::function_ref<bool(mlir::Value)> isTarget) const;
  bool takes(const Cluster &cluster, mlir::Value root) const;
  std::optional<ProductEpilogue> codeBehind(const Cluster &cluster, mlir::Value root) const;
  bool isFasterBehind(const Cluster &cluster, mlir::Value root) const;
  bool isReadElsewhere(mlir::Value v, const Cluster &cluster, mlir::Value root) const;
  bool wouldCycle(const Cluster &cluster, mlir::Value root) const;

  llvm::DenseMap<mlir::Operation *, size_t> effects; // ops with effects, and how many there are before each
  llvm::SmallVector<mlir::Operation *> inOrder;      // they
  llvm::DenseSet<mlir::Value> roots;
  llvm::DenseMap<mlir::Value, int> membership; // cluster number + 1
  llvm::SmallVector<Cluster> clusters;
  const FusionMachine &machine;
  const FusionChoices &given;
  // Values that are not computed behind a product that they read, with the first one that they are apart
  // from.
  mutable llvm::MapVector<mlir::Value, std::pair<mlir::Operation *, EpilogueCost>> refused;
  // All that was asked, with the last answer, of values that read what the product's kernel makes.
  mutable llvm::MapVector<std::pair<mlir::Operation *, mlir::Value>, std::pair<bool, EpilogueCost>> asked;
};

// Computed point by point inside a kernel: elementwise ops, splat constants, iota, gather.
bool isPointwise(mlir::Operation *op);
// A reduction over the last dimension.
bool isRowReduction(mlir::Operation *op);
// A product that may have an epilogue: one that goes on with a sum has its result there already.
bool takesEpilogue(mlir::Operation *op);

} // namespace weft
