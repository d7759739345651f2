#include "passes/fuse/clusters.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "passes/fuse/loops_builder.h"

using namespace mlir;
namespace weft {

bool isPointwise(Operation *op) {
  if (!op || op->getName().getDialectNamespace() != "graph") return false;
  return op->hasTrait<OpTrait::Elementwise>() ||
         isa<graph::ConstantOp, graph::IotaOp, graph::GatherOp, graph::StopGradientOp>(op);
}

bool isRowReduction(Operation *op) {
  auto reduce = dyn_cast_or_null<graph::ReduceOp>(op);
  return reduce && llvm::is_contained(reduce.getAxes(), int64_t(graph::shapeOf(reduce.getX()).size()) - 1);
}

// A gather of single elements: its index varies along the last dimension, which a kernel's index must not, so
// the kernel gets a column of its own.
static bool gathersElements(Value v) {
  auto gather = v.getDefiningOp<graph::GatherOp>();
  return gather && graph::shapeOf(gather.getTable()).size() == 1;
}

bool Clusters::isMaterialised(Value v) const {
  Operation *op = v.getDefiningOp();
  return !op || roots.contains(v) || isEpilogue(op) || (!isPointwise(op) && !isViewOp(op));
}

void Clusters::findEpilogues(Block &block) {
  for (Operation &op : block) {
    auto product = dyn_cast<graph::MatmulOp>(op);
    if (!product && !isa<graph::GroupedMatmulOp>(op)) continue;
    Value result = op.getResult(0);
    if (!result.hasOneUse() || (product && product.getAcc())) continue;
    if (auto cast = dyn_cast<graph::CastOp>(*result.getUsers().begin())) epilogues[result] = cast;
  }
}

bool Clusters::isEpilogue(Operation *op) const {
  return isa<graph::CastOp>(op) && epilogues.lookup(op->getOperand(0)) == op;
}

void Clusters::require(Value v) {
  Value obstacle;
  while (true) {
    auto view = resolveView(
        v, [&](Value x) { return roots.contains(x) || (x.getDefiningOp() && isEpilogue(x.getDefiningOp())); },
        &obstacle);
    if (failed(view)) {
      roots.insert(obstacle);
      continue;
    }
    if (Operation *op = view->base.getDefiningOp(); isPointwise(op) && !isEpilogue(op))
      roots.insert(view->base);
    return;
  }
}

void Clusters::requireContiguous(Value v) {
  require(v);
  auto view = resolveView(v, [&](Value x) { return roots.contains(x); });
  auto shape = graph::shapeOf(v);
  bool whole = view->offset == 0 &&
               graph::tensorType(view->base).getNumElements() == graph::tensorType(v).getNumElements();
  for (auto [have, want, size] : llvm::zip(view->strides, rowMajorStridesOf(shape), shape))
    whole &= size == 1 || have == want;
  if (whole) return;
  // What a reshape shows is made whole, and the reshape names it.
  while (auto reshape = v.getDefiningOp<graph::ReshapeOp>()) v = reshape.getX();
  roots.insert(v);
}

static bool namesPanels(Value v) {
  return !v.use_empty() && llvm::all_of(v.getUsers(), [&](Operation *user) {
    if (auto slice = dyn_cast<graph::SliceOp>(user)) return namesPanels(slice.getResult());
    return packedRhs(user) && user->getOperand(1) == v;
  });
}

void Clusters::findRoots(Block &block) {
  for (Operation &op : block) {
    if (isViewOp(&op)) {
      // A reshape is only ever a view of something in memory, but for one that moves unit dimensions, and for
      // the way in which a product names its packed rhs.
      if (namesPanels(op.getResult(0))) continue;
      if (auto reshape = dyn_cast<graph::ReshapeOp>(op); reshape && !movesUnitDimensions(reshape))
        require(op.getResult(0));
      continue;
    }
    if (auto gather = dyn_cast<graph::GatherOp>(op)) {
      requireContiguous(gather.getTable());
      require(gather.getIndices());
      if (gathersElements(gather.getResult())) roots.insert(gather.getResult());
      continue;
    }
    if (isPointwise(&op)) continue;
    if (isRowReduction(&op)) {
      roots.insert(op.getResult(0));
      continue;
    }
    if (auto reduce = dyn_cast<graph::ReduceOp>(op)) {
      if (reduce.getAcc()) requireContiguous(reduce.getAcc());
      continue;
    }
    if (auto scatter = dyn_cast<graph::ScatterAddOp>(op)) {
      requireContiguous(scatter.getAcc());
      require(scatter.getIndices());
      requireContiguous(scatter.getUpdates());
      continue;
    }
    if (auto write = dyn_cast<graph::WriteRowsOp>(op)) {
      requireContiguous(write.getDest());
      require(write.getSlots());
      continue;
    }
    if (isa<graph::ConcatOp>(op)) continue; // writes its pieces, wherever they come from
    // Attention takes any strides, a product those of its matrices; all else wants whole buffers.
    bool attention = isa<graph::AttentionOp, graph::AttentionGradOp>(op);
    auto product = dyn_cast<graph::MatmulOp>(op);
    Value packed = packedRhs(&op);
    if (packed) requireContiguous(packed);
    // A batch of matrices has one stride more.
    bool batch = product && graph::shapeOf(product.getLhs()).size() == 3 &&
                 graph::shapeOf(product.getRhs()).size() == 3;
    for (Value v : op.getOperands()) {
      if (packed && v == op.getOperand(1)) continue;
      bool factor = product && (graph::shapeOf(v).size() == 2 || batch) && v != product.getAcc();
      attention || factor ? require(v) : requireContiguous(v);
    }
  }
}

// What computing v reads.
void Clusters::pull(Value v, llvm::SmallSetVector<Value, 8> &leaves, bool top) const {
  Operation *op = v.getDefiningOp();
  if (!op || (!top && roots.contains(v)) || isEpilogue(op) ||
      (!isPointwise(op) && !isViewOp(op) && !(top && isRowReduction(op)))) {
    leaves.insert(v);
    return;
  }
  for (Value operand : op->getOperands()) pull(operand, leaves, false);
}

static SmallVector<int64_t> domainOf(Value root) {
  if (isRowReduction(root.getDefiningOp()))
    return llvm::to_vector(graph::shapeOf(root.getDefiningOp()->getOperand(0)));
  return llvm::to_vector(graph::shapeOf(root));
}

Clusters::Clusters(Block &block) {
  findEpilogues(block);
  findRoots(block);
  form(block);
}

void Clusters::form(Block &block) {
  for (Operation &op : block) {
    for (Value root : op.getResults()) {
      if (!roots.contains(root)) continue;
      llvm::SmallSetVector<Value, 8> leaves;
      pull(root, leaves);
      auto domain = domainOf(root);
      int best = -1;
      auto tryJoin = [&](int i) {
        Cluster &c = clusters[i];
        if (gathersElements(root) || llvm::any_of(c.roots, gathersElements)) return false;
        if (root.getDefiningOp()->hasAttr(graph::kAgain) !=
            c.roots[0].getDefiningOp()->hasAttr(graph::kAgain))
          return false; // computed again later, so that nothing is kept until then
        if (c.leaves.size() + leaves.size() > 16 || wouldCycle(c, root)) return false;
        llvm::DenseSet<Value> own(c.roots.begin(), c.roots.end());
        if (!meetsAtSamePoint(root, *this, own, c.domain)) return false;
        best = i;
        return true;
      };
      auto rowsOf = [](ArrayRef<int64_t> d) { return d.drop_back(); };
      for (int i = int(clusters.size()) - 1; i >= 0 && best < 0; --i) {
        Cluster &c = clusters[i];
        bool feeds = llvm::any_of(leaves, [&](Value v) { return c.roots.contains(v); });
        if (c.domain == domain) {
          int64_t points = 1;
          for (int64_t d : domain) points *= d;
          bool shares = llvm::any_of(leaves, [&](Value v) {
            return c.leaves.contains(v) && graph::tensorType(v).getNumElements() == points && points > 1;
          });
          if (feeds || shares) tryJoin(i);
        } else if (feeds && !isRowReduction(op.getBlock() ? &op : nullptr) && !c.domain.empty() &&
                   ArrayRef<int64_t>(domain) == rowsOf(c.domain)) {
          // A value per row, made from the cluster's row reductions alone or from other values per row.
          tryJoin(i);
        }
      }
      if (best < 0) {
        best = clusters.size();
        clusters.push_back({domain, {}, {}});
      }
      Cluster &c = clusters[best];
      c.roots.insert(root);
      for (Value v : leaves)
        if (!c.roots.contains(v)) c.leaves.insert(v);
      membership[root] = best + 1;
    }
  }
}

// Whether `root`, computed by the cluster, would wait for something outside that waits for the cluster.
bool Clusters::wouldCycle(const Cluster &cluster, Value root) const {
  llvm::DenseSet<Value> seen;
  SmallVector<Value> work; // needed outside
  auto visitInside = [&](Value v) {
    llvm::SmallSetVector<Value, 8> leaves;
    pull(v, leaves);
    for (Value leaf : leaves)
      if (!cluster.roots.contains(leaf)) work.push_back(leaf);
  };
  visitInside(root);
  while (!work.empty()) {
    Value v = work.pop_back_val();
    if (!seen.insert(v).second) continue;
    if (cluster.roots.contains(v)) return true;
    Operation *op = v.getDefiningOp();
    if (!op) continue;
    if (int other = clusterOf(v); other >= 0) {
      for (Value sibling : clusters[other].roots) {
        llvm::SmallSetVector<Value, 8> leaves;
        pull(sibling, leaves);
        for (Value leaf : leaves) work.push_back(leaf);
      }
      continue;
    }
    for (Value operand : op->getOperands()) work.push_back(operand);
    // What has effects waits for what had effects before it: a receive for the sends.
    if (!isPure(op))
      for (Operation &before : *op->getBlock()) {
        if (&before == op) break;
        if (!isPure(&before))
          for (Value operand : before.getOperands()) work.push_back(operand);
      }
  }
  return false;
}

} // namespace weft
