// Large values a block of rows at a time. See passes.td; row_region.h says which ops can be cut.
#include "mlir/IR/IRMapping.h"
#include "passes/passes.h"
#include "passes/tile/row_region.h"

using namespace mlir;
namespace weft {
#define GEN_PASS_DEF_TILEROWSPASS
#include "passes/passes.h.inc"

namespace {

// A dot unit adds products in groups of at most this many rows where a product sums over rows: blocks of
// whole groups continue its chain without changing a bit (docs/numerics.md).
constexpr int64_t kRowGroup = 32;

// What is large has to outweigh what goes in and out by this much: else there is little memory to save, and
// sums over rows, read and written once a block, cost more time (2 % of a step where the backward of SwiGLU
// was cut).
constexpr int64_t kWorth = 4;

// The same op on one block. `shape` is its result's.
Operation *cloneForBlock(OpBuilder &b, Operation *op, ValueRange operands, ArrayRef<int64_t> shape) {
  Operation *copy = b.clone(*op);
  copy->setOperands(operands);
  auto type = cast<RankedTensorType>(op->getResult(0).getType()).clone(shape);
  copy->getResult(0).setType(type);
  if (auto broadcast = dyn_cast<graph::BroadcastOp>(copy)) broadcast.setShape(shape);
  if (auto reshape = dyn_cast<graph::ReshapeOp>(copy)) reshape.setShape(shape);
  if (auto iota = dyn_cast<graph::IotaOp>(copy)) iota.setType(type);
  if (auto constant = dyn_cast<graph::ConstantOp>(copy))
    constant.setValueAttr(cast<DenseElementsAttr>(constant.getValue()).resizeSplat(type));
  return copy;
}

class RowTiler {
public:
  RowTiler(func::FuncOp f, SymbolTable &symbols, const TileRowsPassOptions &options)
      : f(f), symbols(symbols), options(options) {}

  void run() {
    SmallVector<graph::MatmulOp> seeds(f.getBody().front().getOps<graph::MatmulOp>());
    auto elements = [](graph::MatmulOp op) { return graph::tensorType(op.getResult()).getNumElements(); };
    llvm::stable_sort(seeds, [&](auto a, auto b) { return elements(a) > elements(b); });
    llvm::DenseSet<Operation *> gone;
    for (graph::MatmulOp seed : seeds) {
      // Four bytes an element is the least that a large value takes.
      if (gone.contains(seed) || elements(seed) * 4 < options.atLeast) continue;
      Operation *obstacle = nullptr;
      auto region = RowRegion::around(seed, &obstacle);
      if (!region) {
        if (obstacle != seed)
          emitRemark(seed.getLoc()) << "kept whole, " << elements(seed) * 4
                                    << " bytes: " << obstacle->getName() << " needs all of its rows at once";
        continue;
      }
      int64_t count = rowsOf(*region);
      if (!count) continue;
      if (!canMove(*region)) {
        emitRemark(seed.getLoc()) << "kept whole, " << elements(seed) * 4
                                  << " bytes: effects would change their order";
        continue;
      }
      for (Operation *op : region->ops)
        if (region->holds(op)) gone.insert(op);
      emitRemark(seed.getLoc()) << "computed in blocks of " << count
                                << " rows: " << region->wideBytes * region->rows << " bytes become "
                                << region->wideBytes * count << ", for " << region->ops.size()
                                << " operations, " << region->sums.size() << " sums over rows";
      cut(*region, count);
    }
  }

private:
  // Rows of a block: the fewest that are enough; 0: not worth it, or it does not divide.
  int64_t rowsOf(const RowRegion &region) const {
    if (region.wideBytes * region.rows < options.atLeast || region.wideBytes < kWorth * region.edgeBytes)
      return 0;
    for (int64_t count = llvm::alignTo(std::max<int64_t>(options.rows, 1), kRowGroup); count < region.rows;
         count += kRowGroup) {
      if (region.rows % count) continue;
      auto cuts = [&](Value v) { return region.blockShape(v, count).has_value(); };
      if (llvm::all_of(region.ops, [&](Operation *op) {
            RowRoles roles = region.roles.lookup(op);
            for (auto [v, row] : llvm::zip(op->getOperands(), roles.rowOperand))
              if (row && !cuts(v)) return false;
            return roles.accumulates || cuts(op->getResult(0));
          }))
        return count;
    }
    return 0;
  }

  bool hasEffects(Operation *op) {
    auto repeat = dyn_cast<graph::RepeatOp>(op);
    if (!repeat) return !isPure(op);
    auto body = symbols.lookup<func::FuncOp>(repeat.getBody());
    return llvm::any_of(body.getBody().front().without_terminator(),
                        [&](Operation &inner) { return hasEffects(&inner); });
  }

  // What reads the region's results before its last op waits for it. Effects keep their order.
  bool canMove(const RowRegion &region) {
    late.clear();
    bool effectStays = false;
    llvm::DenseSet<Operation *> waiting;
    for (Operation *op : region.ops)
      if (region.holds(op)) waiting.insert(op);
    for (Operation *op = region.ops.front(); op != region.ops.back(); op = op->getNextNode()) {
      if (region.ops.contains(op)) continue;
      bool waits = llvm::any_of(op->getOperands(), [&](Value v) {
        return v.getDefiningOp() && waiting.contains(v.getDefiningOp());
      });
      if (waits) {
        waiting.insert(op);
        late.push_back(op);
        effectStays |= hasEffects(op);
      } else if (effectStays && hasEffects(op)) {
        return false;
      }
    }
    return true;
  }

  void cut(const RowRegion &region, int64_t count) {
    int64_t blocks = region.rows / count;
    Operation *last = region.ops.back();
    Location loc = region.ops.front()->getLoc();
    OpBuilder b(last->getContext());
    b.setInsertionPointAfter(last);
    auto blockType = [&](Value v) { return graph::tensorType(v).clone(*region.blockShape(v, count)); };
    auto stackType = [&](RankedTensorType type) {
      SmallVector<int64_t> shape{blocks};
      llvm::append_range(shape, type.getShape());
      return type.clone(shape);
    };

    // The caller's side.
    SmallVector<Value> carry, stacked, invariant(region.wholeInputs.getArrayRef());
    for (Value sum : region.sums) {
      Operation *op = sum.getDefiningOp();
      Value start =
          isa<graph::MatmulOp>(op) ? cast<graph::MatmulOp>(op).getAcc() : cast<graph::ReduceOp>(op).getAcc();
      carry.push_back(start ? start : graph::splat(b, op->getLoc(), graph::tensorType(sum), 0));
    }
    for (Value v : region.rowInputs)
      stacked.push_back(graph::reshape(b, v.getLoc(), v, stackType(blockType(v)).getShape()));

    // The body.
    SmallVector<Type> arguments, results;
    for (Value v : region.sums) arguments.push_back(v.getType());
    results = arguments;
    for (Value v : region.rowInputs) arguments.push_back(blockType(v));
    for (Value v : invariant) arguments.push_back(v.getType());
    for (Value v : region.rowOutputs) results.push_back(blockType(v));
    auto body = func::FuncOp::create(loc, (f.getName() + "_rows").str(),
                                     FunctionType::get(b.getContext(), arguments, results));
    body.setPrivate();
    symbols.insert(body, f->getParentOfType<ModuleOp>().getBody()->end());
    fill(region, count, *body.addEntryBlock());

    SmallVector<Type> types;
    for (Value v : region.sums) types.push_back(v.getType());
    for (Value v : region.rowOutputs) types.push_back(stackType(blockType(v)));
    SmallVector<int64_t> tied(region.rowOutputs.size(), -1);
    auto repeat = b.create<graph::RepeatOp>(loc, types, body.getSymName(), carry, stacked, invariant, 0,
                                            blocks, tied, false, false, 0, 1);
    for (auto [i, v] : llvm::enumerate(region.sums)) Value(v).replaceAllUsesWith(repeat.getResult(i));
    for (auto [i, v] : llvm::enumerate(region.rowOutputs)) {
      Value joined =
          graph::reshape(b, v.getLoc(), repeat.getResult(region.sums.size() + i), graph::shapeOf(v));
      Value(v).replaceAllUsesWith(joined);
    }
    Operation *end = &*b.getInsertionPoint();
    for (Operation *op : late) op->moveBefore(end);
    // What was copied stays for who else reads it.
    for (Operation *op : llvm::reverse(region.ops))
      if (region.holds(op) || op->use_empty()) op->erase();
  }

  void fill(const RowRegion &region, int64_t count, Block &block) {
    size_t numSums = region.sums.size(), numRows = region.rowInputs.size();
    for (auto [argument, v] : llvm::zip(block.getArguments(), region.sums)) argument.setLoc(v.getLoc());
    // A value may be there by rows, whole, or both.
    llvm::DenseMap<Value, Value> byRows, whole;
    for (auto [i, v] : llvm::enumerate(region.rowInputs)) byRows[v] = block.getArgument(numSums + i);
    for (auto [i, v] : llvm::enumerate(region.wholeInputs))
      whole[v] = block.getArgument(numSums + numRows + i);
    OpBuilder b = OpBuilder::atBlockEnd(&block);
    std::function<Value(Value)> wholeOf = [&](Value v) -> Value {
      if (Value known = whole.lookup(v)) return known;
      Value base = wholeOf(v.getDefiningOp()->getOperand(0)); // of a view
      IRMapping map;
      map.map(v.getDefiningOp()->getOperand(0), base);
      return whole[v] = b.clone(*v.getDefiningOp(), map)->getResult(0);
    };
    for (Operation *op : region.ops) {
      RowRoles roles = region.roles.lookup(op);
      Value result = op->getResult(0);
      auto shape = roles.accumulates ? SmallVector<int64_t>(graph::shapeOf(result))
                                     : *region.blockShape(result, count);
      SmallVector<Value> operands;
      for (auto [v, row] : llvm::zip(op->getOperands(), roles.rowOperand))
        operands.push_back(row ? byRows.lookup(v) : roles.accumulates ? v : wholeOf(v));
      Operation *copy = cloneForBlock(b, op, operands, shape);
      // A sum goes on from where the block before ended; its own start is the carry's.
      if (roles.accumulates) {
        Value soFar = block.getArgument(std::distance(region.sums.begin(), llvm::find(region.sums, result)));
        if (auto matmul = dyn_cast<graph::MatmulOp>(copy)) matmul.getAccMutable().assign(soFar);
        if (auto reduce = dyn_cast<graph::ReduceOp>(copy)) reduce.getAccMutable().assign(soFar);
      }
      byRows[result] = copy->getResult(0);
    }
    SmallVector<Value> returned;
    for (Value v : region.sums) returned.push_back(byRows.lookup(v));
    for (Value v : region.rowOutputs) returned.push_back(byRows.lookup(v));
    b.create<func::ReturnOp>(block.getParentOp()->getLoc(), returned);
  }

  func::FuncOp f;
  SymbolTable &symbols;
  const TileRowsPassOptions &options;
  SmallVector<Operation *> late; // outside the region, among its ops, reading its results
};

struct TileRowsPass : impl::TileRowsPassBase<TileRowsPass> {
  using TileRowsPassBase::TileRowsPassBase;

  void runOnOperation() override {
    SymbolTable symbols(getOperation());
    SmallVector<func::FuncOp> functions(getOperation().getOps<func::FuncOp>());
    for (func::FuncOp f : functions)
      if (!f.isExternal()) RowTiler(f, symbols, {atLeast, rows}).run();
  }
};

} // namespace
} // namespace weft
