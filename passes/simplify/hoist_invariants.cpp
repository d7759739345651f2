// Moves what does not depend on the iteration out of graph.repeat's bodies. See passes.td.
#include "mlir/IR/IRMapping.h"
#include "passes/passes.h"

using namespace mlir;
namespace weft {
#define GEN_PASS_DEF_HOISTINVARIANTSPASS
#include "passes/passes.h.inc"

namespace {

// Worth a buffer of its own: a view or a constant is not.
bool costsArithmetic(Operation *op) {
  return !isa<graph::ReshapeOp, graph::TransposeOp, graph::SliceOp, graph::BroadcastOp, graph::ConstantOp,
              graph::IotaOp>(op);
}

// Whether a stack was there before the repeats ran: a parameter's, not one that a repeat has made.
bool isGiven(Value stack) {
  Operation *op = stack.getDefiningOp();
  if (op && isa<graph::ReshapeOp, graph::TransposeOp, graph::SliceOp>(op)) return isGiven(op->getOperand(0));
  return !op || isa<graph::ReadOp>(op);
}

// A slice of a given stack that is rounded becomes a slice of the rounded stack.
void hoistRounding(func::FuncOp body, ArrayRef<graph::RepeatOp> callers) {
  Block &block = body.getBody().front();
  graph::RepeatOp first = callers[0];
  size_t numCarry = first.getCarry().size(), numStacked = first.getStacked().size();
  for (size_t i = 0; i < numStacked; ++i) {
    SmallVector<graph::CastOp> casts;
    for (Operation *user : block.getArgument(numCarry + i).getUsers())
      if (auto cast = dyn_cast<graph::CastOp>(user); cast && cast.getElement().isBF16())
        casts.push_back(cast);
    if (casts.empty() || !llvm::all_of(callers, [&](auto c) { return isGiven(c.getStacked()[i]); })) continue;
    // In its place, where nothing reads the slice as it is.
    bool alone = llvm::all_of(block.getArgument(numCarry + i).getUsers(),
                              [&](Operation *user) { return llvm::is_contained(casts, user); }) &&
                 llvm::none_of(callers, [&](auto c) { return llvm::is_contained(c.getTied(), int64_t(i)); });
    for (auto caller : callers) {
      OpBuilder b(caller);
      Value stack = graph::castTo(b, casts[0].getLoc(), caller.getStacked()[i], casts[0].getElement());
      if (alone)
        caller.getStackedMutable().slice(i, 1).assign(stack);
      else
        caller.getStackedMutable().append(stack);
    }
    Type type = casts[0].getType();
    BlockArgument slice = block.getArgument(numCarry + i);
    if (!alone)
      slice = block.insertArgument(numCarry + first.getStacked().size() - 1, type, casts[0].getLoc());
    for (graph::CastOp cast : casts) {
      cast.replaceAllUsesWith(slice);
      cast.erase();
    }
    slice.setType(type);
  }
  body.setFunctionType(FunctionType::get(body.getContext(), block.getArgumentTypes(), body.getResultTypes()));
}

// The same of a rounded view of such a slice, where the entry changes no parameter: so it can be kept
// (derive-weights). With gradients a view of the whole stack would cost a buffer of its size.
struct RoundedView {
  SmallVector<Operation *> views; // from the slice on
  graph::CastOp cast;
};
void findRoundedViews(Value v, SmallVector<Operation *> views, SmallVectorImpl<RoundedView> &found) {
  for (Operation *user : v.getUsers()) {
    if (auto cast = dyn_cast<graph::CastOp>(user); cast && cast.getElement().isBF16() && !views.empty())
      found.push_back({views, cast});
    if (!isa<graph::ReshapeOp, graph::TransposeOp, graph::SliceOp>(user)) continue;
    auto more = views;
    more.push_back(user);
    findRoundedViews(user->getResult(0), more, found);
  }
}

// `view` of each of the stack's slices.
Value viewOfStack(OpBuilder &b, Operation *view, Value stack) {
  int64_t layers = graph::shapeOf(stack)[0];
  auto after = [](int64_t first, ArrayRef<int64_t> rest) {
    SmallVector<int64_t> all{first};
    llvm::append_range(all, rest);
    return all;
  };
  if (auto reshape = dyn_cast<graph::ReshapeOp>(view))
    return graph::reshape(b, view->getLoc(), stack, after(layers, reshape.getShape()));
  if (auto slice = dyn_cast<graph::SliceOp>(view))
    return b.create<graph::SliceOp>(view->getLoc(), stack, after(0, slice.getOffsets()),
                                    after(layers, slice.getSizes()));
  SmallVector<int64_t> order{0};
  for (int64_t d : cast<graph::TransposeOp>(view).getPermutation()) order.push_back(d + 1);
  return b.create<graph::TransposeOp>(view->getLoc(), stack, order);
}

void hoistRoundedViews(func::FuncOp body, ArrayRef<graph::RepeatOp> callers) {
  Block &block = body.getBody().front();
  graph::RepeatOp first = callers[0];
  size_t numCarry = first.getCarry().size(), numStacked = first.getStacked().size();
  auto isFrozen = [](graph::RepeatOp c) {
    return c->getParentOfType<func::FuncOp>()->hasAttr("weft.frozen");
  };
  if (!llvm::all_of(callers, isFrozen)) return;
  for (size_t i = 0; i < numStacked; ++i) {
    SmallVector<RoundedView> found;
    findRoundedViews(block.getArgument(numCarry + i), {}, found);
    if (!llvm::all_of(callers, [&](auto c) {
          return isGiven(c.getStacked()[i]) && !llvm::is_contained(c.getTied(), int64_t(i));
        }))
      continue;
    for (RoundedView &rounded : found) {
      for (auto caller : callers) {
        OpBuilder b(caller);
        Value stack = caller.getStacked()[i];
        for (Operation *view : rounded.views) stack = viewOfStack(b, view, stack);
        caller.getStackedMutable().append(
            graph::castTo(b, rounded.cast.getLoc(), stack, rounded.cast.getElement()));
      }
      BlockArgument slice = block.insertArgument(numCarry + first.getStacked().size() - 1,
                                                 rounded.cast.getType(), rounded.cast.getLoc());
      rounded.cast.replaceAllUsesWith(slice);
      rounded.cast.erase();
    }
  }
  body.setFunctionType(FunctionType::get(body.getContext(), block.getArgumentTypes(), body.getResultTypes()));
}

// Moves them for all repeats of one body: they share its function, so all callers get the same new arguments.
void hoist(func::FuncOp body, ArrayRef<graph::RepeatOp> callers) {
  Block &block = body.getBody().front();
  graph::RepeatOp first = callers[0];
  size_t firstInvariant = first.getCarry().size() + first.getStacked().size();
  llvm::DenseSet<Value> invariant(block.args_begin() + firstInvariant, block.args_end());
  SmallVector<Operation *> moved;
  for (Operation &op : block.without_terminator()) {
    if (!isPure(&op) || isa<graph::RepeatOp>(op)) continue;
    if (llvm::all_of(op.getOperands(), [&](Value v) { return invariant.contains(v); })) {
      invariant.insert(op.result_begin(), op.result_end());
      moved.push_back(&op);
    }
  }
  // Results that what stays behind reads, and that cost something: through views and broadcasts, the value
  // before them is passed, which is smaller.
  llvm::DenseSet<Operation *> movedSet(moved.begin(), moved.end());
  SmallVector<Value> passed;
  for (Operation *op : moved) {
    if (!costsArithmetic(op)) continue;
    for (Value v : op->getResults()) {
      std::function<bool(Value)> reachesStaying = [&](Value x) {
        return llvm::any_of(x.getUsers(), [&](Operation *user) {
          if (!movedSet.contains(user)) return true;
          return !costsArithmetic(user) && llvm::any_of(user->getResults(), reachesStaying);
        });
      };
      if (reachesStaying(v)) passed.push_back(v);
    }
  }
  if (passed.empty()) return;
  for (auto caller : callers) {
    OpBuilder b(caller);
    IRMapping map;
    for (auto [i, v] : llvm::enumerate(caller.getInvariant()))
      map.map(block.getArgument(firstInvariant + i), v);
    for (Operation *op : moved) b.clone(*op, map);
    SmallVector<Value> more;
    for (Value v : passed) more.push_back(map.lookup(v));
    caller.getInvariantMutable().append(more);
  }
  for (Value v : passed) v.replaceAllUsesWith(block.addArgument(v.getType(), v.getLoc()));
  body.setFunctionType(FunctionType::get(body.getContext(), block.getArgumentTypes(), body.getResultTypes()));
}

struct HoistInvariantsPass : impl::HoistInvariantsPassBase<HoistInvariantsPass> {
  void runOnOperation() override {
    SymbolTable symbols(getOperation());
    llvm::MapVector<Operation *, SmallVector<graph::RepeatOp>> bodies;
    getOperation().walk([&](graph::RepeatOp op) { bodies[symbols.lookup(op.getBody())].push_back(op); });
    // Bodies inside a body first: what leaves them may leave that one too.
    llvm::DenseSet<Operation *> done;
    std::function<void(Operation *)> visit = [&](Operation *body) {
      if (!done.insert(body).second) return;
      body->walk([&](graph::RepeatOp op) { visit(symbols.lookup(op.getBody())); });
      hoistRounding(cast<func::FuncOp>(body), bodies[body]);
      hoistRoundedViews(cast<func::FuncOp>(body), bodies[body]);
      hoist(cast<func::FuncOp>(body), bodies[body]);
    };
    for (auto &[body, callers] : llvm::to_vector(bodies)) visit(body);
  }
};

} // namespace
} // namespace weft
