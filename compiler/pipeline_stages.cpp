#include "compiler/pipeline_stages.h"
#include "dialects/dist/dist.h"
#include "dialects/graph/graph.h"
#include "mlir/IR/IRMapping.h"
#include <numeric>

using namespace mlir;
namespace weft {

graph::RepeatOp layersOf(func::FuncOp f) {
  graph::RepeatOp repeat;
  for (auto op : f.getBody().front().getOps<graph::RepeatOp>()) repeat = op;
  return repeat;
}

llvm::DenseSet<Operation *> readByLaterStages(func::FuncOp f, graph::RepeatOp layers) {
  llvm::DenseSet<Operation *> found;
  SmallVector<Value> work;
  llvm::append_range(work, layers.getStacked());
  llvm::append_range(work, layers.getInvariant());
  for (Operation *op = layers->getNextNode(); op; op = op->getNextNode())
    llvm::append_range(work, op->getOperands());
  while (!work.empty()) {
    Operation *op = work.pop_back_val().getDefiningOp();
    if (op && op != layers && op->isBeforeInBlock(layers) && found.insert(op).second)
      llvm::append_range(work, op->getOperands());
  }
  return found;
}

func::FuncOp cutFunction(func::FuncOp whole, Stage stage, const llvm::BitVector &local, bool differentiated) {
  Block &from = whole.getBody().front();
  graph::RepeatOp repeat;
  for (auto op : from.getOps<graph::RepeatOp>()) {
    if (repeat)
      return op.emitError("a second repeat over layers: pipeline stages need exactly one"), func::FuncOp();
    repeat = op;
  }
  if (!repeat) return whole.emitError("no repeat over layers to cut into pipeline stages"), func::FuncOp();
  if (repeat.getCarry().size() != 1 || !repeat.getTied().empty() || repeat.getBegin() != 0)
    return repeat.emitError("carries more than one value between layers, or stacks results: such a repeat "
                            "cannot be cut into pipeline stages"),
           func::FuncOp();
  int64_t layers = repeat.tripCount();
  if (layers < stage.count)
    return repeat.emitError() << layers << " layers cannot be cut into " << stage.count << " pipeline stages",
           func::FuncOp();
  int64_t begin = stage.begin(layers), end = stage.end(layers);

  Location loc = whole.getLoc();
  auto f = func::FuncOp::create(loc, (whole.getName() + ".stage" + Twine(stage.index)).str(),
                                FunctionType::get(whole.getContext(), {}, {}));
  f.setPrivate();
  Block *block = f.addEntryBlock();
  OpBuilder b = OpBuilder::atBlockEnd(block);
  IRMapping map;
  for (BlockArgument arg : from.getArguments()) {
    auto type = graph::tensorType(arg);
    if (local.test(arg.getArgNumber())) {
      if (!arg.hasOneUse())
        return repeat.emitError("a stacked parameter is used outside its layers"), func::FuncOp();
      SmallVector<int64_t> shape(type.getShape());
      shape[0] = end - begin;
      type = type.clone(shape);
    }
    map.map(arg, block->addArgument(type, arg.getLoc()));
  }
  Value x;
  if (!stage.first()) x = block->addArgument(repeat.getCarry()[0].getType(), loc);
  for (Operation &op : from.without_terminator()) {
    if (&op != repeat) {
      // After the cut only the last stage goes on.
      if (stage.last() || op.isBeforeInBlock(repeat)) b.clone(op, map);
      continue;
    }
    SmallVector<Value> carry{x ? x : map.lookup(repeat.getCarry()[0])}, stacked, invariant;
    for (Value v : repeat.getStacked()) {
      auto arg = dyn_cast<BlockArgument>(v);
      stacked.push_back(map.lookup(v));
      if (arg && local.test(arg.getArgNumber())) continue;
      // A constant a layer: this stage's.
      stacked.back() = graph::rows(b, op.getLoc(), stacked.back(), begin, end);
    }
    for (Value v : repeat.getInvariant()) invariant.push_back(map.lookup(v));
    auto local = b.create<graph::RepeatOp>(op.getLoc(), repeat.getResultTypes(), repeat.getBody(), carry,
                                           stacked, invariant, 0, end - begin, ArrayRef<int64_t>{},
                                           repeat.getReverse(), false, 0, 1);
    map.map(repeat.getResults(), local.getResults());
    if (stage.last()) continue;
    Value y = local.getResult(0);
    b.create<dist::SendOp>(op.getLoc(), dist::Axis::pipeline, y, stage.index + 1, kActivationTag);
    if (!differentiated) {
      b.create<func::ReturnOp>(loc, ValueRange());
      continue;
    }
    Value dy = b.create<dist::ReceiveOp>(op.getLoc(), y.getType(), dist::Axis::pipeline, stage.index + 1,
                                         kGradientTag);
    SmallVector<int64_t> axes(graph::shapeOf(y).size());
    std::iota(axes.begin(), axes.end(), 0);
    Value scalar = graph::sum(b, loc, b.create<graph::MulOp>(loc, y, dy), axes);
    b.create<func::ReturnOp>(loc, scalar);
  }
  if (stage.last()) {
    SmallVector<Value> results;
    for (Value v : from.getTerminator()->getOperands()) results.push_back(map.lookup(v));
    b.create<func::ReturnOp>(loc, results);
  }
  // What only other stages needed.
  for (Operation &op : llvm::make_early_inc_range(llvm::reverse(*block)))
    if (isOpTriviallyDead(&op)) op.erase();
  f.setFunctionType(FunctionType::get(f.getContext(), block->getArgumentTypes(),
                                      block->getTerminator()->getOperandTypes()));
  return f;
}

} // namespace weft
