// Arena offsets from lifetimes. See passes.td.
#include "passes/passes.h"
#include "llvm/ADT/MapVector.h"

using namespace mlir;
namespace weft {
#define GEN_PASS_DEF_PLANMEMORYPASS
#include "passes/passes.h.inc"

namespace {

constexpr int64_t kAlignment = 64; // bytes: a cache line and a vector

struct Lifetime {
  program::BufferOp buffer;
  int64_t begin, end; // positions of first and last use, inclusive
  int64_t bytes, offset = -1;
};

class EntryPlan {
public:
  explicit EntryPlan(program::EntryOp entry) : entry(entry) { number(entry.getBody().front()); }

  int64_t plan() {
    entry.walk([&](program::BufferOp buffer) {
      if (buffer.getSpace() != program::Space::arena) return;
      Lifetime l{buffer, INT64_MAX, -1,
                 int64_t(buffer.getBytes() + kAlignment - 1) / kAlignment * kAlignment};
      extend(l, buffer.getResult(), buffer->getBlock());
      if (l.end < 0) l.begin = l.end = spans[buffer].first;
      lifetimes.push_back(l);
    });
    // Large first: each at the lowest offset where nothing alive at the same time lies.
    SmallVector<Lifetime *> order;
    for (Lifetime &l : lifetimes) order.push_back(&l);
    llvm::stable_sort(order, [](Lifetime *a, Lifetime *b) { return a->bytes > b->bytes; });
    SmallVector<Lifetime *> placed; // by offset
    int64_t total = 0;
    for (Lifetime *l : order) {
      int64_t at = 0;
      for (Lifetime *p : placed) {
        if (p->end < l->begin || l->end < p->begin) continue;
        if (at + l->bytes <= p->offset) break;
        at = std::max(at, p->offset + p->bytes);
      }
      l->offset = at;
      total = std::max(total, at + l->bytes);
      placed.insert(
          llvm::upper_bound(placed, l, [](Lifetime *a, Lifetime *b) { return a->offset < b->offset; }), l);
      l->buffer.setOffset(at);
    }
    return total;
  }

  // Who holds the arena where most of it is in use: what, its place in the model, bytes; the largest first.
  ArrayAttr peak(int64_t total) {
    SmallVector<std::pair<int64_t, int64_t>> changes; // position, bytes
    for (Lifetime &l : lifetimes) {
      changes.push_back({l.begin, l.bytes});
      changes.push_back({l.end + 1, -l.bytes});
    }
    llvm::sort(changes);
    int64_t live = 0, most = 0, at = 0;
    for (size_t i = 0; i < changes.size(); ++i) {
      live += changes[i].second;
      if ((i + 1 == changes.size() || changes[i + 1].first != changes[i].first) && live > most)
        most = live, at = changes[i].first;
    }
    Builder b(entry.getContext());
    auto text = [&](program::BufferOp buffer) {
      auto holds = buffer->getAttrOfType<StringAttr>("weft.holds");
      return holds ? holds : b.getStringAttr("buffer");
    };
    llvm::MapVector<std::pair<Attribute, Attribute>, int64_t> owners;
    for (Lifetime &l : lifetimes)
      if (l.begin <= at && at <= l.end) owners[{text(l.buffer), LocationAttr(l.buffer.getLoc())}] += l.bytes;
    auto sorted = owners.takeVector();
    llvm::stable_sort(sorted, [](auto &x, auto &y) { return x.second > y.second; });
    if (total > most)
      sorted.push_back({{b.getStringAttr("between buffers"), b.getUnknownLoc()}, total - most});
    SmallVector<Attribute> out;
    for (auto &[owner, bytes] : sorted)
      out.push_back(
          b.getDictionaryAttr({b.getNamedAttr("what", owner.first), b.getNamedAttr("where", owner.second),
                               b.getNamedAttr("bytes", b.getI64IntegerAttr(bytes))}));
    return b.getArrayAttr(out);
  }

private:
  void number(Block &block) {
    for (Operation &op : block) {
      int64_t begin = next++;
      for (Region &r : op.getRegions())
        for (Block &inner : r) number(inner);
      spans[&op] = {begin, next - 1};
    }
  }
  // A use inside a loop counts as the whole loop, when the buffer is older than the loop.
  void extend(Lifetime &l, Value v, Block *home) {
    for (Operation *user : v.getUsers()) {
      if (auto view = dyn_cast<program::ViewOp>(user)) {
        extend(l, view.getResult(), home);
        continue;
      }
      Operation *at = home->findAncestorOpInBlock(*user);
      l.begin = std::min(l.begin, spans[at].first);
      l.end = std::max(l.end, spans[at].second);
    }
  }

  program::EntryOp entry;
  SmallVector<Lifetime> lifetimes;
  llvm::DenseMap<Operation *, std::pair<int64_t, int64_t>> spans;
  int64_t next = 0;
};

struct PlanMemoryPass : impl::PlanMemoryPassBase<PlanMemoryPass> {
  void runOnOperation() override {
    for (auto entry : getOperation().getOps<program::EntryOp>()) {
      EntryPlan plan(entry);
      entry.setArenaBytes(plan.plan());
      if (entry.getArenaBytes() > 0) entry->setAttr("weft.peak", plan.peak(entry.getArenaBytes()));
    }
  }
};

} // namespace
} // namespace weft
