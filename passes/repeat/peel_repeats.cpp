// The first or last iterations of repeats → ops in place. See passes.td.
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/IRMapping.h"
#include "passes/passes.h"
#include "passes/repeat/repeat.h"

using namespace mlir;
namespace weft {
#define GEN_PASS_DEF_PEELREPEATSPASS
#include "passes/passes.h.inc"

using graph::RepeatOp;

void inlineOnlyIteration(RepeatOp op, SymbolTable &symbols) {
  OpBuilder b(op);
  Location loc = op.getLoc();
  int64_t i = op.getBegin();
  size_t numCarry = op.getCarry().size();
  Block &body = symbols.lookup<func::FuncOp>(op.getBody()).getBody().front();
  SmallVector<Value> args(op.getCarry());
  for (Value v : op.getStacked())
    args.push_back(graph::reshape(b, loc, graph::rows(b, loc, v, i, i + 1), graph::shapeOf(v).drop_front()));
  llvm::append_range(args, op.getInvariant());
  IRMapping map;
  map.map(body.getArguments(), args);
  for (Operation &o : body.without_terminator()) b.clone(o, map);
  SmallVector<Value> results;
  for (auto [n, v] : llvm::enumerate(body.getTerminator()->getOperands())) {
    Value result = map.lookupOrDefault(v);
    if (n >= numCarry) {
      // A stack of one, in its place among the others where it updates a stack.
      SmallVector<int64_t> shape{1};
      llvm::append_range(shape, graph::shapeOf(result));
      result = graph::reshape(b, loc, result, shape);
      if (int64_t t = op.getTied()[n - numCarry]; t >= 0) {
        Value stack = op.getStacked()[t];
        int64_t count = graph::shapeOf(stack)[0];
        SmallVector<Value> pieces;
        if (i > 0) pieces.push_back(graph::rows(b, loc, stack, 0, i));
        pieces.push_back(result);
        if (i + 1 < count) pieces.push_back(graph::rows(b, loc, stack, i + 1, count));
        if (pieces.size() > 1) result = b.create<graph::ConcatOp>(loc, pieces, 0);
      }
    }
    results.push_back(result);
  }
  op.replaceAllUsesWith(results);
  op.erase();
}

namespace {

struct PeelRepeatsPass : impl::PeelRepeatsPassBase<PeelRepeatsPass> {
  using PeelRepeatsPassBase::PeelRepeatsPassBase;

  void runOnOperation() override {
    SymbolTable symbols(getOperation());
    SmallVector<RepeatOp> ops;
    getOperation().walk([&](RepeatOp op) {
      if (canSplit(op)) ops.push_back(op);
    });
    for (RepeatOp op : ops) peel(op, symbols);
  }

  void peel(RepeatOp op, SymbolTable &symbols) {
    // One end after the other; `op` is what is left.
    for (auto [count, low] : {std::pair<int64_t, bool>(first, true), {last, false}})
      for (int64_t n = 0; op && n < count && op.tripCount() > 0; ++n) {
        if (op.tripCount() == 1) {
          inlineOnlyIteration(op, symbols);
          op = {};
          break;
        }
        auto [before, after] = splitRepeat(op, low ? op.getBegin() + 1 : op.getEnd() - 1);
        bool lowRunsFirst = !before.getReverse();
        op = low == lowRunsFirst ? after : before;
        inlineOnlyIteration(low == lowRunsFirst ? before : after, symbols);
      }
  }
};

} // namespace
} // namespace weft
