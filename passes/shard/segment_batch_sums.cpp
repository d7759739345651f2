// Sums over the batch as one chain a virtual shard, and a balanced tree over shards. See passes.td and
// docs/numerics.md.
//
// A value is batch-leading when its first dimension is the batch, or starts with it (batch * seq rows). That
// follows from the micro-batch's slices, which are, through the ops; a sum over the first dimension of a
// batch-leading value is what must be cut.
#include "passes/passes.h"
#include <map>

using namespace mlir;
namespace weft {
#define GEN_PASS_DEF_SEGMENTBATCHSUMSPASS
#include "passes/passes.h.inc"

namespace {

class Segmenter {
public:
  Segmenter(SymbolTable &symbols, int64_t shards) : symbols(symbols), shards(shards) {}

  // Cuts the sums of a micro-batch step, whose `arguments` are batch-leading.
  LogicalResult run(func::FuncOp step, ArrayRef<bool> arguments) {
    mark(step, arguments);
    do {
      grown = false;
      follow(step);
    } while (grown);
    for (auto &[f, leading] : known)
      for (Operation &op :
           llvm::make_early_inc_range(cast<func::FuncOp>(f).getBody().front().without_terminator()))
        if (failed(cutIfSum(op, leading))) return failure();
    return success();
  }

private:
  using Leading = llvm::DenseSet<Value>;
  // Rows in the order of their experts, in which shards are no runs.
  static bool sortsRows(Operation &op) {
    return isa<graph::DispatchOp, graph::GroupedMatmulOp, graph::GroupedOuterOp>(op);
  }
  // Follows views and elementwise ops within a function; a sum over tokens of such rows would be one chain
  // over all shards.
  bool isSorted(Value v) {
    Operation *op = v.getDefiningOp();
    if (!op) return false;
    auto [it, added] = sorted.try_emplace(v, false);
    if (!added) return it->second;
    bool follows = op->hasTrait<OpTrait::Elementwise>() ||
                   isa<graph::ReshapeOp, graph::TransposeOp, graph::BroadcastOp, graph::SliceOp>(op);
    bool is =
        sortsRows(*op) || (follows && llvm::any_of(op->getOperands(), [&](Value x) { return isSorted(x); }));
    return sorted[v] = is;
  }
  LogicalResult refuseSorted(Operation &op) {
    return op.emitOpError(
        "sums over rows sorted by expert, in which virtual shards are no runs; sum each token's "
        "rows first (collect)");
  }
  void mark(Leading &leading, Value v) { grown |= leading.insert(v).second; }
  void mark(func::FuncOp f, ArrayRef<bool> arguments) {
    for (auto [v, on] : llvm::zip(f.getArguments(), arguments))
      if (on) mark(known[f], v);
  }
  static bool sumsBatch(graph::ReduceOp op) { return !op.getAxes().empty() && op.getAxes()[0] == 0; }
  static bool sumsBatch(graph::MatmulOp op) {
    return graph::shapeOf(op.getLhs()).size() == 2 && op.getTransposeLhs();
  }

  // Marks which values of f are batch-leading, given those known. A body called twice gets the union.
  void follow(func::FuncOp f) {
    Leading &leading = known[f];
    for (Operation &op : f.getBody().front().without_terminator()) follow(op, leading);
  }
  void follow(Operation &op, Leading &leading) {
    auto is = [&](Value v) { return v && leading.contains(v); };
    auto result = [&](bool on) {
      if (on) mark(leading, op.getResult(0));
    };
    if (auto repeat = dyn_cast<graph::RepeatOp>(op)) {
      // Slices of what an outer repeat stacked (residuals) are batch-leading if what was stacked was: tracked
      // by the stacked value itself. A gradient that starts as zeros becomes batch-leading through what is
      // added to it.
      auto body = symbols.lookup<func::FuncOp>(repeat.getBody());
      SmallVector<bool> arguments;
      for (Value v : repeat.getOperands()) arguments.push_back(is(v));
      mark(body, arguments);
      follow(body);
      Leading &inside = known[body];
      auto returned = body.getBody().front().getTerminator()->getOperands();
      for (auto [i, v] : llvm::enumerate(returned)) {
        if (!inside.contains(v)) continue;
        mark(leading, repeat.getResult(i));
        if (i < repeat.getCarry().size()) mark(inside, body.getArgument(i));
      }
    } else if (auto t = dyn_cast<graph::TransposeOp>(op)) {
      result(is(t.getX()) && t.getPermutation()[0] == 0);
    } else if (auto r = dyn_cast<graph::ReshapeOp>(op)) {
      result(is(r.getX()) && !r.getShape().empty());
    } else if (auto b = dyn_cast<graph::BroadcastOp>(op)) {
      result(is(b.getX()) && !b.getDims().empty() && b.getDims()[0] == 0);
    } else if (auto reduce = dyn_cast<graph::ReduceOp>(op)) {
      result(is(reduce.getX()) && !sumsBatch(reduce));
    } else if (auto m = dyn_cast<graph::MatmulOp>(op)) {
      bool batched = graph::shapeOf(m.getLhs()).size() > 2;
      result(!sumsBatch(m) &&
             ((is(m.getLhs()) && !m.getTransposeLhs()) || (batched && (is(m.getLhs()) || is(m.getRhs())))));
    } else if (auto g = dyn_cast<graph::GatherOp>(op)) {
      result(is(g.getIndices()));
    } else if (auto sort = dyn_cast<graph::SortByExpertOp>(op)) {
      if (is(sort.getIndices())) mark(leading, sort.getPlace());
    } else if (auto c = dyn_cast<graph::CollectOp>(op)) {
      result(is(c.getPlace()));
    } else if (sortsRows(op)) {
      return; // no longer the batch's order
    } else if (!isa<graph::ScatterAddOp>(op) && llvm::any_of(op.getOperands(), is)) {
      for (Value v : op.getResults()) mark(leading, v);
    }
  }

  LogicalResult cutIfSum(Operation &op, const Leading &leading) {
    auto is = [&](Value v) { return leading.contains(v); };
    if (auto t = dyn_cast<graph::TransposeOp>(op))
      if (is(t.getX()) && t.getPermutation()[0] != 0)
        return op.emitOpError("moves the batch dimension, which virtual shards need first");
    if (auto reduce = dyn_cast<graph::ReduceOp>(op); reduce && sumsBatch(reduce) && isSorted(reduce.getX()))
      return refuseSorted(op);
    if (auto m = dyn_cast<graph::MatmulOp>(op);
        m && sumsBatch(m) && (isSorted(m.getLhs()) || isSorted(m.getRhs())))
      return refuseSorted(op);
    if (auto scatter = dyn_cast<graph::ScatterAddOp>(op);
        scatter && (isSorted(scatter.getIndices()) || isSorted(scatter.getUpdates())))
      return refuseSorted(op);
    if (auto reduce = dyn_cast<graph::ReduceOp>(op))
      if (is(reduce.getX()) && sumsBatch(reduce) && reduce.getKind() == graph::ReduceKind::sum)
        return cut(reduce);
    if (auto m = dyn_cast<graph::MatmulOp>(op))
      if (sumsBatch(m) && (is(m.getLhs()) || is(m.getRhs()))) return cut(m);
    if (auto s = dyn_cast<graph::ScatterAddOp>(op))
      if (is(s.getIndices()) || is(s.getUpdates())) return cut(s);
    return success();
  }

  // x (n, …) as (shards, n / shards, …).
  FailureOr<Value> split(OpBuilder &b, Operation *op, Value x) {
    SmallVector<int64_t> shape(graph::shapeOf(x));
    if (shape[0] % shards)
      return op->emitOpError() << "sums over " << shape[0] << " rows, not a multiple of " << shards
                               << " virtual shards";
    shape[0] /= shards;
    shape.insert(shape.begin(), shards);
    return graph::reshape(b, op->getLoc(), x, shape);
  }
  // The sums of each shard, as a list or along a first dimension, whichever was asked for.
  struct Sums {
    SmallVector<Value> each;
    Value stacked;
    Value before; // what the shards' total is added onto; null for zero
  };
  Value stackOf(OpBuilder &b, Location loc, Sums &sums) {
    if (sums.stacked) return sums.stacked;
    SmallVector<Value> rows;
    for (Value v : sums.each) {
      SmallVector<int64_t> shape{1};
      llvm::append_range(shape, graph::shapeOf(v));
      rows.push_back(graph::reshape(b, loc, v, shape));
    }
    return sums.stacked = b.create<graph::ConcatOp>(loc, rows, 0);
  }
  SmallVector<Value> &eachOf(OpBuilder &b, Location loc, Sums &sums) {
    for (int64_t i = 0; sums.each.size() < size_t(shards); ++i)
      sums.each.push_back(row(b, loc, sums.stacked, i));
    return sums.each;
  }
  // Row i of the first dimension, which disappears.
  Value row(OpBuilder &b, Location loc, Value x, int64_t i) {
    return graph::reshape(b, loc, graph::rows(b, loc, x, i, i + 1), graph::shapeOf(x).drop_front());
  }

  // Where a sum that starts at `acc` has to start in each shard: at zero, with the tree added onto acc; or,
  // where acc is itself a sum over the shards that nothing else reads (a parameter used twice), at that one's
  // shards.
  Sums *continued(Value acc) {
    auto it = acc ? cuts.find(acc) : cuts.end();
    return it != cuts.end() && acc.hasOneUse() ? &it->second : nullptr;
  }
  void replace(OpBuilder &b, Operation *op, Sums sums, Value acc) {
    Sums *before = continued(acc);
    sums.before = before ? before->before : acc;
    Value total = graph::treeSum(b, op->getLoc(), eachOf(b, op->getLoc(), sums));
    if (sums.before) total = b.create<graph::AddOp>(op->getLoc(), sums.before, total);
    op->getResult(0).replaceAllUsesWith(total);
    op->erase();
    cuts[total] = std::move(sums);
  }

  LogicalResult cut(graph::ReduceOp op) {
    OpBuilder b(op);
    auto x = split(b, op, op.getX());
    if (failed(x)) return failure();
    SmallVector<int64_t> axes;
    for (int64_t a : op.getAxes()) axes.push_back(a + 1);
    Sums *before = continued(op.getAcc());
    Value start = before ? stackOf(b, op.getLoc(), *before) : Value();
    replace(b, op, {{}, graph::sum(b, op.getLoc(), *x, axes, start), {}}, op.getAcc());
    return success();
  }
  LogicalResult cut(graph::MatmulOp op) {
    OpBuilder b(op);
    auto lhs = split(b, op, op.getLhs());
    if (failed(lhs)) return failure();
    Value rhs = op.getRhs();
    if (op.getTransposeRhs()) rhs = b.create<graph::TransposeOp>(op.getLoc(), rhs, ArrayRef<int64_t>{1, 0});
    auto parts = split(b, op, rhs);
    if (failed(parts)) return failure();
    Sums *before = continued(op.getAcc());
    Value start = before ? stackOf(b, op.getLoc(), *before) : Value();
    Value products = b.create<graph::MatmulOp>(op.getLoc(), *lhs, *parts, start, true, false);
    replace(b, op, {{}, products, {}}, op.getAcc());
    return success();
  }
  LogicalResult cut(graph::ScatterAddOp op) {
    OpBuilder b(op);
    auto indices = split(b, op, op.getIndices());
    auto updates = split(b, op, op.getUpdates());
    if (failed(indices) || failed(updates)) return failure();
    // A table a shard.
    Sums *before = continued(op.getAcc());
    Sums sums;
    Value zeros = before ? Value() : graph::splat(b, op.getLoc(), graph::tensorType(op.getAcc()), 0);
    for (int64_t i = 0; i < shards; ++i) {
      Value start = before ? eachOf(b, op.getLoc(), *before)[i] : zeros;
      Value from = row(b, op.getLoc(), *indices, i);
      sums.each.push_back(
          b.create<graph::ScatterAddOp>(op.getLoc(), start, from, row(b, op.getLoc(), *updates, i)));
    }
    replace(b, op, std::move(sums), op.getAcc());
    return success();
  }

  SymbolTable &symbols;
  int64_t shards;
  llvm::DenseMap<Value, bool> sorted;   // what isSorted has found
  std::map<Operation *, Leading> known; // by function: references stay good while it grows
  llvm::DenseMap<Value, Sums> cuts;     // by what stands for the sum over the shards
  bool grown = false;
};

struct SegmentBatchSumsPass : impl::SegmentBatchSumsPassBase<SegmentBatchSumsPass> {
  using SegmentBatchSumsPassBase::SegmentBatchSumsPassBase;

  void runOnOperation() override {
    if (shards <= 1) return;
    SymbolTable symbols(getOperation());
    // Micro-batch steps: the bodies of repeats whose trip count is known only at run time. Their slices are
    // the batch.
    llvm::SetVector<Operation *> steps;
    llvm::DenseMap<Operation *, std::pair<size_t, size_t>> slices;
    getOperation().walk([&](graph::RepeatOp op) {
      if (!op.getDynamic()) return;
      Operation *f = symbols.lookup(op.getBody());
      steps.insert(f);
      slices[f] = {op.getCarry().size(), op.getStacked().size()};
    });
    for (Operation *f : steps) {
      Segmenter segmenter(symbols, shards);
      SmallVector<bool> arguments(cast<func::FuncOp>(f).getNumArguments(), false);
      for (size_t i = 0; i < slices[f].second; ++i) arguments[slices[f].first + i] = true;
      if (failed(segmenter.run(cast<func::FuncOp>(f), arguments))) return signalPassFailure();
    }
  }
};

} // namespace
} // namespace weft
