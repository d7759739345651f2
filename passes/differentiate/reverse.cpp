#include "passes/differentiate/reverse.h"
#include "mlir/IR/Diagnostics.h"
#include "mlir/IR/IRMapping.h"

using namespace mlir;
namespace weft {
using graph::RepeatOp;

// Marks the results of one op that depend on active values.
static void propagate(Operation *op, llvm::DenseSet<Value> &active, SymbolTable &symbols) {
  if (isa<graph::StopGradientOp>(op)) return;
  if (auto repeat = dyn_cast<RepeatOp>(op)) {
    auto body = symbols.lookup<func::FuncOp>(repeat.getBody());
    SmallVector<bool> arguments, results;
    for (Value v : repeat.getOperands()) arguments.push_back(active.contains(v));
    activateBody(body, repeat.getCarry().size(), arguments, results, symbols);
    for (auto [v, on] : llvm::zip(repeat.getResults(), results))
      if (on) active.insert(v);
    return;
  }
  if (llvm::none_of(op->getOperands(), [&](Value v) { return active.contains(v); })) return;
  for (Value v : op->getResults())
    if (graph::isFloat(v)) active.insert(v);
}

void activateBody(func::FuncOp body, size_t numCarry, SmallVectorImpl<bool> &arguments,
                  SmallVectorImpl<bool> &results, SymbolTable &symbols) {
  for (bool changed = true; changed;) {
    changed = false;
    llvm::DenseSet<Value> active;
    for (auto [v, on] : llvm::zip(body.getArguments(), arguments))
      if (on) active.insert(v);
    for (Operation &op : body.getBody().front().without_terminator()) propagate(&op, active, symbols);
    results.clear();
    for (Value v : body.getBody().front().getTerminator()->getOperands())
      results.push_back(active.contains(v));
    for (size_t i = 0; i < numCarry; ++i)
      if (results[i] != arguments[i]) {
        changed |= !arguments[i];
        arguments[i] = results[i] = true;
      }
  }
}

void sliceStackedOperands(SmallVectorImpl<Operation *> &forward) {
  SmallVector<Operation *> all;
  for (Operation *op : forward) {
    auto repeat = dyn_cast<RepeatOp>(op);
    if (repeat && !repeat.getDynamic() && llvm::all_of(repeat.getTied(), [](int64_t t) { return t < 0; })) {
      OpBuilder b(op);
      for (OpOperand &stack :
           op->getOpOperands().slice(repeat.getCarry().size(), repeat.getStacked().size())) {
        if (graph::shapeOf(stack.get())[0] == repeat.tripCount()) continue;
        all.push_back(
            graph::rows(b, op->getLoc(), stack.get(), repeat.getBegin(), repeat.getEnd()).getDefiningOp());
        stack.set(all.back()->getResult(0));
      }
      int64_t count = repeat.tripCount();
      repeat.setBegin(0);
      repeat.setEnd(count);
    }
    all.push_back(op);
  }
  forward = all;
}

void Reverse::activate(ArrayRef<Value> sources, ArrayRef<Operation *> forward) {
  active.insert(sources.begin(), sources.end());
  for (Operation *op : forward) propagate(op, active, symbols);
}

LogicalResult Reverse::run(SmallVectorImpl<Operation *> &forward) {
  for (Operation *&op : llvm::reverse(forward)) {
    if (llvm::none_of(op->getResults(), [&](Value v) { return adjoint(v) && wants(v); })) continue;
    setLoc(op->getLoc());
    if (auto repeat = dyn_cast<RepeatOp>(op)) {
      if (failed(runRepeat(repeat))) return failure();
      op = repeat;
    } else if (auto custom = dyn_cast<graph::CustomGradientOp>(op)) {
      runCustom(custom);
    } else if (auto rule = dyn_cast<graph::DifferentiateInterface>(op)) {
      if (failed(rule.gradient(*this))) return failure();
    } else {
      return op->emitOpError("has no gradient");
    }
  }
  return success();
}

// The gradient that was given by hand, in place.
void Reverse::runCustom(graph::CustomGradientOp op) {
  auto backward = symbols.lookup<func::FuncOp>(op.getBackward());
  SmallVector<Value> args;
  auto differentiated = op.getArgs().take_front(op.getNumDifferentiated());
  for (Value v : differentiated) args.push_back(needed(v));
  for (Value v : op.getResults()) args.push_back(needed(v));
  for (Value v : op.getResults()) {
    Value d = adjoint(v);
    args.push_back(d ? d : graph::splat(b, loc(), graph::adjointType(v), 0));
  }
  for (Value v : op.getKept()) args.push_back(needed(v));
  IRMapping map;
  map.map(backward.getArguments(), args);
  for (Operation &o : backward.getBody().front().without_terminator()) b.clone(o, map);
  for (auto [v, d] : llvm::zip(differentiated, backward.getBody().front().getTerminator()->getOperands()))
    if (wants(v)) add(v, map.lookupOrDefault(d));
}

bool isCheckpointed(Operation *op) {
  if (op->hasAttr(graph::kRecompute)) return true;
  auto cast = dyn_cast<graph::CastOp>(op);
  return cast && graph::isRounding(cast) && cast.getX().getDefiningOp() &&
         isCheckpointed(cast.getX().getDefiningOp());
}

Operation *computeAgain(OpBuilder &b, Operation *op, IRMapping &map) {
  Operation *copy = b.clone(*op, map);
  copy->removeAttr(graph::kRecompute);
  return copy;
}

} // namespace weft
