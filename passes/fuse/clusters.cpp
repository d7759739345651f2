#include "passes/fuse/clusters.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "passes/fuse/epilogue_cost.h"
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
  return !op || roots.contains(v) || (!isPointwise(op) && !isViewOp(op));
}

void Clusters::require(Value v) {
  Value obstacle;
  while (true) {
    auto view = resolveView(
        v, [&](Value x) { return roots.contains(x); }, &obstacle);
    if (failed(view)) {
      roots.insert(obstacle);
      continue;
    }
    if (isPointwise(view->base.getDefiningOp())) roots.insert(view->base);
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

static bool isGatheredFactor(Operation *op, Value v) {
  return (v == op->getOperand(0) && gatheredFactor(op, 0)) ||
         (op->getNumOperands() > 1 && v == op->getOperand(1) && gatheredFactor(op, 1));
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
      if (isGatheredFactor(&op, v)) continue;
      bool factor = product && (graph::shapeOf(v).size() == 2 || batch) && v != product.getAcc();
      attention || factor ? require(v) : requireContiguous(v);
    }
  }
}

bool takesEpilogue(Operation *op) {
  auto product = dyn_cast_or_null<graph::MatmulOp>(op);
  return product ? !product.getAcc() : isa_and_nonnull<graph::GroupedMatmulOp>(op);
}

// What computing v reads.
void Clusters::pull(Value v, llvm::SmallSetVector<Value, 8> &leaves, bool top) const {
  Operation *op = v.getDefiningOp();
  if (top && takesEpilogue(op)) {
    for (Value operand : op->getOperands()) pull(operand, leaves, false);
    return;
  }
  if (!op || (!top && roots.contains(v)) ||
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

Clusters::Clusters(Block &block, const FusionMachine &machine, const FusionChoices &given)
    : machine(machine), given(given) {
  for (Operation &op : block)
    if (!isPure(&op)) {
      effects[&op] = inOrder.size();
      inOrder.push_back(&op);
    }
  findRoots(block);
  endProducts(block);
  form(block);
}

// What a product feeds goes to the product before anything else is grouped: its epilogue costs no memory
// traffic.
void Clusters::form(Block &block) {
  for (Operation &op : block) {
    if (takesEpilogue(&op)) {
      clusters.push_back({llvm::to_vector(graph::shapeOf(op.getResult(0))), {}, {}, &op});
      clusters.back().roots.insert(op.getResult(0));
      membership[op.getResult(0)] = clusters.size();
    }
    for (Value root : op.getResults())
      if (roots.contains(root)) joinFeeder(root);
  }
  for (Operation &op : block)
    for (Value root : op.getResults())
      if (roots.contains(root) && clusterOf(root) < 0) join(root);
}

void Clusters::add(int cluster, Value root, const llvm::SmallSetVector<Value, 8> &leaves) {
  Cluster &c = clusters[cluster];
  c.roots.insert(root);
  for (Value v : leaves)
    if (!c.roots.contains(v)) c.leaves.insert(v);
  membership[root] = cluster + 1;
}

bool Clusters::mayJoin(const Cluster &c, Value root, const llvm::SmallSetVector<Value, 8> &leaves) const {
  if (gathersElements(root) || llvm::any_of(c.roots, gathersElements)) return false;
  if (root.getDefiningOp()->hasAttr(graph::kAgain) != c.roots[0].getDefiningOp()->hasAttr(graph::kAgain))
    return false; // computed again later, so that nothing is kept until then
  if (c.leaves.size() + leaves.size() > kMostInputs || wouldCycle(c, root)) return false;
  if (c.product) {
    Cluster with = c;
    with.roots.insert(root);
    return takes(with, root);
  }
  llvm::DenseSet<Value> own(c.roots.begin(), c.roots.end());
  return meetsAtSamePoint(root, *this, own, c.domain);
}

// To the last product that feeds it.
void Clusters::joinFeeder(Value root) {
  llvm::SmallSetVector<Value, 8> leaves;
  pull(root, leaves);
  auto domain = domainOf(root);
  for (int i = int(clusters.size()) - 1; i >= 0; --i)
    if (clusters[i].domain == domain &&
        llvm::any_of(leaves, [&](Value v) { return clusters[i].roots.contains(v); }) &&
        mayJoin(clusters[i], root, leaves))
      return add(i, root, leaves);
}

void Clusters::join(Value root) {
  llvm::SmallSetVector<Value, 8> leaves;
  pull(root, leaves);
  auto domain = domainOf(root);
  int64_t points = 1;
  for (int64_t d : domain) points *= d;
  auto wants = [&](const Cluster &c) {
    bool feeds = llvm::any_of(leaves, [&](Value v) { return c.roots.contains(v); });
    if (c.domain == domain)
      return feeds || llvm::any_of(leaves, [&](Value v) {
               return c.leaves.contains(v) && graph::tensorType(v).getNumElements() == points && points > 1;
             });
    // A value per row, made from the cluster's row reductions alone or from other values per row.
    return feeds && !c.product && !isRowReduction(root.getDefiningOp()) && !c.domain.empty() &&
           ArrayRef<int64_t>(domain) == ArrayRef<int64_t>(c.domain).drop_back();
  };
  for (int i = int(clusters.size()) - 1; i >= 0; --i)
    if (wants(clusters[i]) && mayJoin(clusters[i], root, leaves)) return add(i, root, leaves);
  clusters.push_back({domain, {}, {}, nullptr});
  add(clusters.size() - 1, root, leaves);
}

// Whether `root`, computed by the cluster, would wait for something outside that waits for the cluster, or it
// for what waits for root.
bool Clusters::wouldCycle(const Cluster &cluster, Value root) const {
  auto outside = [&](Value v) {
    llvm::SmallSetVector<Value, 8> leaves;
    pull(v, leaves);
    SmallVector<Value> work;
    for (Value leaf : leaves)
      if (!cluster.roots.contains(leaf)) work.push_back(leaf);
    return work;
  };
  if (reaches(outside(root), [&](Value v) { return cluster.roots.contains(v); })) return true;
  // Or the other way round: products are grouped before what comes before them.
  return llvm::any_of(cluster.roots,
                      [&](Value own) { return reaches(outside(own), [&](Value v) { return v == root; }); });
}

// Whether computing `work` needs a target.
bool Clusters::reaches(SmallVector<Value> work, llvm::function_ref<bool(Value)> isTarget) const {
  llvm::DenseSet<Value> seen;
  size_t waitedFor = 0; // of inOrder
  while (!work.empty()) {
    Value v = work.pop_back_val();
    if (!seen.insert(v).second) continue;
    if (isTarget(v)) return true;
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
    if (auto it = effects.find(op); it != effects.end())
      for (; waitedFor < it->second; ++waitedFor)
        for (Value operand : inOrder[waitedFor]->getOperands()) work.push_back(operand);
  }
  return false;
}

} // namespace weft
