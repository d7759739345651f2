// One repeat → two over parts of its range. See passes.td.
#include "passes/passes.h"
#include "passes/repeat/repeat.h"

using namespace mlir;
namespace weft {
#define GEN_PASS_DEF_SPLITREPEATSPASS
#include "passes/passes.h.inc"

using graph::RepeatOp;

bool canSplit(RepeatOp op) {
  llvm::SmallDenseSet<int64_t> seen;
  return !op.getDynamic() &&
         llvm::all_of(op.getTied(), [&](int64_t t) { return t < 0 || seen.insert(t).second; });
}

std::pair<RepeatOp, RepeatOp> splitRepeat(RepeatOp op, int64_t at) {
  OpBuilder b(op);
  size_t numCarry = op.getCarry().size();
  ArrayRef<int64_t> tied = op.getTied();
  auto part = [&](int64_t begin, int64_t end, ValueRange carry, ValueRange stacked) {
    SmallVector<Type> types(op.getResultTypes());
    for (auto [j, t] : llvm::enumerate(tied)) {
      if (t >= 0) continue;
      auto type = cast<RankedTensorType>(types[numCarry + j]);
      SmallVector<int64_t> shape(type.getShape());
      shape[0] = end - begin;
      types[numCarry + j] = type.clone(shape);
    }
    return b.create<RepeatOp>(op.getLoc(), types, op.getBody(), carry, stacked, op.getInvariant(), begin, end,
                              tied, op.getReverse(), false, 0, 1);
  };
  int64_t begin = op.getBegin(), end = op.getEnd();
  bool down = op.getReverse();
  RepeatOp first =
      down ? part(at, end, op.getCarry(), op.getStacked()) : part(begin, at, op.getCarry(), op.getStacked());
  // The second goes on with what the first carried out, and with the stacks that it updated.
  SmallVector<Value> stacked(op.getStacked());
  for (auto [j, t] : llvm::enumerate(tied))
    if (t >= 0) stacked[t] = first.getResult(numCarry + j);
  RepeatOp second =
      down ? part(begin, at, first.carryResults(), stacked) : part(at, end, first.carryResults(), stacked);
  SmallVector<Value> results(second.getResults());
  for (auto [j, t] : llvm::enumerate(tied)) {
    if (t >= 0) continue;
    Value a = first.getResult(numCarry + j), z = second.getResult(numCarry + j);
    results[numCarry + j] =
        b.create<graph::ConcatOp>(op.getLoc(), down ? ValueRange{z, a} : ValueRange{a, z}, 0);
  }
  op.replaceAllUsesWith(results);
  op.erase();
  return {first, second};
}

namespace {

struct SplitRepeatsPass : impl::SplitRepeatsPassBase<SplitRepeatsPass> {
  using SplitRepeatsPassBase::SplitRepeatsPassBase;

  void runOnOperation() override {
    SmallVector<RepeatOp> ops;
    getOperation().walk([&](RepeatOp op) {
      if (canSplit(op) && int64_t(op.getBegin()) < at && at < int64_t(op.getEnd())) ops.push_back(op);
    });
    for (RepeatOp op : ops) splitRepeat(op, at);
  }
};

} // namespace
} // namespace weft
