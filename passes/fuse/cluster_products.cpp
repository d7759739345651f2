// What a product's kernel computes behind it, and what that costs beside a kernel of its own.
#include "passes/fuse/clusters.h"
#include "passes/fuse/epilogue_cost.h"
#include "passes/fuse/loops_builder.h"

using namespace mlir;
namespace weft {

// Where elementwise code is all that reads a product, the product's kernel goes on with it as far as each
// value has one reader, and stops where least is to be stored: of x + o, o need not exist. Where that takes
// longer than a kernel of its own, it stops where less is to be stored than the product.
void Clusters::endProducts(Block &block) {
  auto bytes = [](Value v) {
    auto type = graph::tensorType(v);
    return type.getNumElements() * type.getElementTypeBitWidth();
  };
  for (Operation &op : block) {
    if (!takesEpilogue(&op)) continue;
    const Value product = op.getResult(0);
    Cluster cluster{llvm::to_vector(graph::shapeOf(product)), {}, {}, &op};
    cluster.roots.insert(product);
    SmallVector<Value> chain;
    Value end = product, least = product;
    while (end.hasOneUse()) {
      Operation *user = *end.getUsers().begin();
      if (user->getBlock() != &block || !isPointwise(user) || isa<graph::GatherOp>(user)) break;
      Value next = user->getResult(0);
      if (graph::shapeOf(next) != ArrayRef<int64_t>(cluster.domain)) break;
      llvm::SmallSetVector<Value, 8> leaves;
      pull(next, leaves);
      bool known = llvm::all_of(leaves, [&](Value leaf) {
        Operation *from = leaf.getDefiningOp();
        return !from || from == &op || cluster.roots.contains(leaf) || from->isBeforeInBlock(&op);
      });
      if (!known || leaves.size() > kMostInputs || user->hasAttr(graph::kAgain) != op.hasAttr(graph::kAgain))
        break;
      cluster.roots.insert(next);
      if (!codeBehind(cluster, next)) break;
      chain.push_back(end = next);
      if (bytes(end) <= bytes(least)) least = end;
      if (roots.contains(end)) break;
    }
    if (least == product) continue;
    auto ends = [&](Value v) {
      Cluster alone{cluster.domain, {}, {}, &op};
      alone.roots.insert(product);
      alone.roots.insert(v);
      return isFasterBehind(alone, v);
    };
    if (ends(least)) {
      roots.insert(least);
      continue;
    }
    for (Value v : llvm::reverse(chain))
      if (v != least && bytes(v) < bytes(product) && v.hasOneUse() && ends(v)) {
        roots.insert(v);
        break;
      }
  }
}

// Whether v has to be in memory although the cluster and `root` are computed in one kernel.
bool Clusters::isReadElsewhere(Value v, const Cluster &cluster, Value root) const {
  return llvm::any_of(v.getUsers(), [&](Operation *user) {
    for (Value x : user->getResults())
      if (x == root || cluster.roots.contains(x)) return false;
    if (!isPointwise(user) && !isViewOp(user)) return true;
    Value x = user->getResult(0);
    return roots.contains(x) || isReadElsewhere(x, cluster, root);
  });
}

// Whether the product's kernel can compute `root`, which is among the cluster's: its code there.
std::optional<ProductEpilogue> Clusters::codeBehind(const Cluster &cluster, Value root) const {
  llvm::DenseSet<Value> own(cluster.roots.begin(), cluster.roots.end());
  own.erase(root);
  if (!isPointwise(root.getDefiningOp()) || !meetsAtSamePoint(root, *this, own, cluster.domain)) return {};
  return productEpilogue(*this, cluster, {root});
}

// Whether it is faster there than in a kernel of its own.
bool Clusters::isFasterBehind(const Cluster &cluster, Value root) const {
  if (auto it = refused.find(root); it != refused.end() && it->second.first == cluster.product) return false;
  EpilogueChoice choice;
  choice.points = double(graph::tensorType(root).getNumElements());
  choice.result = bytesOf(root, choice.points);
  // In a kernel of its own it reads what the cluster's other roots are.
  Cluster two{cluster.domain, {}, {}, cluster.product};
  Value product = cluster.roots[0];
  two.roots.insert(product);
  two.roots.insert(root);
  auto alone = productEpilogue(*this, two, {root});
  SmallVector<Value> outputs;
  for (Value v : cluster.roots.getArrayRef().drop_front())
    if (v != root && roots.contains(v)) outputs.push_back(v);
  if (!outputs.empty())
    if (auto before = productEpilogue(*this, cluster, outputs)) choice.before = {*before, choice.points};
  outputs.push_back(root);
  auto with = productEpilogue(*this, cluster, outputs);
  if (!alone || !with) return with.has_value(); // what it would read has no strides for (batch, m, n)
  choice.alone = {*alone, choice.points};
  choice.with = {*with, choice.points};
  bool feeds = false;
  auto spare = [&](Value v, bool counted) {
    const double bytes = bytesOf(v, choice.points);
    if (!counted) choice.given += bytes; // the others are extras
    if (!isReadElsewhere(v, cluster, root)) choice.spared += bytes;
    feeds = true;
  };
  if (!alone->body->getArgument(0).use_empty()) spare(product, false);
  for (Value extra : alone->extras)
    if (cluster.roots.contains(extra)) spare(extra, true);
  EpilogueCost cost = epilogueCost(choice, machine);
  const std::pair pair(cluster.product, root);
  auto it = given.find(pair);
  const bool behind = it != given.end() ? it->second : cost.behindNs <= cost.apartNs;
  if (feeds) asked[pair] = {behind, cost};
  if (feeds && !behind) refused.insert({root, {cluster.product, cost}});
  return behind;
}

bool Clusters::takes(const Cluster &cluster, Value root) const {
  return codeBehind(cluster, root) && isFasterBehind(cluster, root);
}

SmallVector<FusionChoice> Clusters::choices() const {
  SmallVector<FusionChoice> out;
  for (auto &[pair, answer] : asked) {
    auto [product, value] = pair;
    const int i = clusterOf(value);
    out.push_back(
        {product, value, i >= 0 && clusters[i].product == product, given.contains(pair), answer.second});
  }
  llvm::stable_sort(out, [](const FusionChoice &a, const FusionChoice &b) {
    return a.product != b.product && a.product->isBeforeInBlock(b.product);
  });
  return out;
}

SmallVector<FusionChoice> Clusters::apart() const {
  SmallVector<FusionChoice> out;
  for (auto &[root, why] : refused)
    if (int i = clusterOf(root); roots.contains(root) && i >= 0 && !clusters[i].product)
      out.push_back({why.first, root, false, given.contains({why.first, root}), why.second});
  return out;
}

} // namespace weft
