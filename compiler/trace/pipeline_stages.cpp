#include "compiler/trace/pipeline_stages.h"
#include "dialects/dist/dist.h"
#include "dialects/graph/graph.h"
#include "mlir/IR/IRMapping.h"
#include <algorithm>
#include <numeric>

using namespace mlir;
namespace weft {

Layers layersOf(func::FuncOp f) {
  auto repeats = f.getBody().front().getOps<graph::RepeatOp>();
  return Layers(repeats.begin(), repeats.end());
}

std::pair<int64_t, int64_t> layersOfStage(Stage stage, const Layers &layers, graph::RepeatOp repeat) {
  int64_t total = 0, before = 0, count = repeat.tripCount();
  for (graph::RepeatOp other : layers) {
    if (other == repeat) before = total;
    total += other.tripCount();
  }
  auto local = [&](int64_t layer) { return std::clamp<int64_t>(layer - before, 0, count); };
  return {local(stage.begin(total)), local(stage.end(total))};
}

graph::RepeatOp repeatOfStack(BlockArgument argument, const Layers &layers) {
  for (graph::RepeatOp repeat : layers)
    if (llvm::is_contained(repeat.getStacked(), argument)) return repeat;
  return {};
}

llvm::DenseSet<Operation *> readByLaterStages(func::FuncOp f, const Layers &layers) {
  llvm::DenseSet<Operation *> found;
  SmallVector<Value> work;
  graph::RepeatOp last = layers.back();
  for (graph::RepeatOp repeat : layers) {
    if (repeat != layers.front()) llvm::append_range(work, repeat.getCarry());
    llvm::append_range(work, repeat.getStacked());
    llvm::append_range(work, repeat.getInvariant());
  }
  for (Operation *op = last->getNextNode(); op; op = op->getNextNode())
    llvm::append_range(work, op->getOperands());
  while (!work.empty()) {
    Operation *op = work.pop_back_val().getDefiningOp();
    if (op && !isa<graph::RepeatOp>(op) && op->isBeforeInBlock(last) && found.insert(op).second)
      llvm::append_range(work, op->getOperands());
  }
  return found;
}

// Whether stages can cut a function at its repeats; a diagnostic at the one where not.
static LogicalResult checkLayers(func::FuncOp whole, const Layers &layers, Stage stage) {
  if (layers.empty()) return whole.emitError("no repeat over layers to cut into pipeline stages");
  int64_t total = 0;
  for (graph::RepeatOp repeat : layers) {
    if (!repeat.getTied().empty() || repeat.getBegin() != 0)
      return repeat.emitError("stacks results: such a repeat cannot be cut into pipeline stages");
    total += repeat.tripCount();
  }
  for (size_t i = 1; i < layers.size(); ++i) {
    graph::RepeatOp before = layers[i - 1], repeat = layers[i];
    auto isCarried = [&](OpOperand &use) {
      return use.getOwner() == repeat && use.getOperandNumber() < repeat.getCarry().size();
    };
    bool goesOn = llvm::any_of(repeat.getCarry(), [&](Value v) { return v.getDefiningOp() == before; }),
         alone = llvm::all_of(before->getUses(), isCarried);
    if (!goesOn || !alone)
      return repeat.emitError(
          "goes on from something else than the repeat before it, or something else reads what that one "
          "gives: such repeats cannot be cut into pipeline stages");
  }
  if (total < stage.count)
    return graph::RepeatOp(layers[0]).emitError()
           << total << " layers cannot be cut into " << stage.count << " pipeline stages";
  return success();
}

// The repeat with the last layer before the stage.
static graph::RepeatOp carriedInto(Stage stage, const Layers &layers) {
  int64_t total = 0;
  for (graph::RepeatOp repeat : layers) total += repeat.tripCount();
  int64_t before = stage.begin(total);
  for (graph::RepeatOp repeat : layers)
    if ((before -= repeat.tripCount()) <= 0) return repeat;
  return {};
}

func::FuncOp cutFunction(func::FuncOp whole, Stage stage, const llvm::BitVector &local, bool differentiated) {
  Block &from = whole.getBody().front();
  Layers layers = layersOf(whole);
  if (failed(checkLayers(whole, layers, stage))) return func::FuncOp();

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
      graph::RepeatOp repeat = repeatOfStack(arg, layers);
      if (!arg.hasOneUse())
        return repeat.emitError("a stacked parameter is used outside its layers"), func::FuncOp();
      auto [begin, end] = layersOfStage(stage, layers, repeat);
      SmallVector<int64_t> shape(type.getShape());
      shape[0] = end - begin;
      if (begin < end) type = type.clone(shape);
    }
    map.map(arg, block->addArgument(type, arg.getLoc()));
  }
  SmallVector<Value> carriedIn; // by the repeat in which the stage before ends
  if (!stage.first()) {
    graph::RepeatOp incoming = carriedInto(stage, layers);
    for (Value v : incoming.getResults()) carriedIn.push_back(block->addArgument(v.getType(), loc));
    map.map(incoming.getResults(), carriedIn);
  }
  int64_t rest = 0; // layers of this stage that are still to come
  for (graph::RepeatOp repeat : layers) {
    auto [begin, end] = layersOfStage(stage, layers, repeat);
    rest += end - begin;
  }
  for (Operation &op : from.without_terminator()) {
    auto repeat = dyn_cast<graph::RepeatOp>(op);
    if (!repeat) {
      b.clone(op, map);
      continue;
    }
    auto [begin, end] = layersOfStage(stage, layers, repeat);
    if (begin == end) continue;
    SmallVector<Value> carry, stacked, invariant;
    if (begin > 0) carry = carriedIn;
    for (Value v : repeat.getCarry())
      if (begin == 0) carry.push_back(map.lookup(v));
    for (Value v : repeat.getStacked()) {
      auto arg = dyn_cast<BlockArgument>(v);
      stacked.push_back(map.lookup(v));
      if (arg && local.test(arg.getArgNumber())) continue;
      // A constant a layer: this stage's.
      stacked.back() = graph::rows(b, op.getLoc(), stacked.back(), begin, end);
    }
    for (Value v : repeat.getInvariant()) invariant.push_back(map.lookup(v));
    auto part = b.create<graph::RepeatOp>(op.getLoc(), repeat.getResultTypes(), repeat.getBody(), carry,
                                          stacked, invariant, 0, end - begin, ArrayRef<int64_t>{},
                                          repeat.getReverse(), false, 0, 1);
    map.map(repeat.getResults(), part.getResults());
    rest -= end - begin;
    if (stage.last() || rest > 0) continue;
    for (Value y : part.getResults())
      b.create<dist::SendOp>(op.getLoc(), dist::Axis::pipeline, y, stage.index + 1, kActivationTag);
    if (!differentiated) {
      b.create<func::ReturnOp>(loc, ValueRange());
      break;
    }
    Value scalar;
    for (Value y : part.getResults()) {
      Value dy = b.create<dist::ReceiveOp>(op.getLoc(), y.getType(), dist::Axis::pipeline, stage.index + 1,
                                           kGradientTag);
      SmallVector<int64_t> axes(graph::shapeOf(y).size());
      std::iota(axes.begin(), axes.end(), 0);
      Value product = graph::sum(b, loc, b.create<graph::MulOp>(loc, y, dy), axes);
      scalar = scalar ? b.create<graph::AddOp>(loc, scalar, product).getResult() : product;
    }
    b.create<func::ReturnOp>(loc, scalar);
    break; // after the cut only the last stage goes on
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
