// graph.value_and_grad → forward ops, then reverse-mode adjoints. See passes.td; the rules of the ops are in
// dialects/graph.
#include "mlir/IR/IRMapping.h"
#include "mlir/IR/PatternMatch.h"
#include "passes/differentiate/reverse.h"
#include "passes/passes.h"
#include "llvm/ADT/DenseSet.h"

using namespace mlir;
namespace weft {
#define GEN_PASS_DEF_DIFFERENTIATEPASS
#include "passes/passes.h.inc"

namespace {

// At the top the forward values are in scope: nothing needs saving, and what the model asks to be computed
// again is.
class TopReverse : public Reverse {
public:
  using Reverse::Reverse;
  Value needed(Value v) override {
    Operation *source = v.getDefiningOp();
    if (!source || !isCheckpointed(source)) return v;
    if (Value known = available.lookup(v)) return known;
    IRMapping map;
    for (Value operand : source->getOperands()) map.map(operand, needed(operand));
    Operation *copy = computeAgain(b, source, map);
    copy->setAttr(graph::kAgain, b.getUnitAttr());
    for (auto [from, to] : llvm::zip(source->getResults(), copy->getResults())) available[from] = to;
    return available[v];
  }

protected:
  void replaced(Value from, Value to) override {
    if (Value known = available.lookup(from)) available[to] = known;
  }

private:
  llvm::DenseMap<Value, Value> available;
};

// x + value, as a continuation of the chain where the value is a column sum (perhaps reshaped).
Value continueFrom(OpBuilder &b, Value x, Value value) {
  auto reshape = value.getDefiningOp<graph::ReshapeOp>();
  auto reduce = (reshape ? reshape.getX() : value).getDefiningOp<graph::ReduceOp>();
  bool column = reduce && reduce.getKind() == graph::ReduceKind::sum && !reduce.getAcc() &&
                !llvm::is_contained(reduce.getAxes(), int64_t(graph::shapeOf(reduce.getX()).size()) - 1);
  if (!column) return b.create<graph::AddOp>(value.getLoc(), x, value);
  Value start = reshape ? graph::reshape(b, value.getLoc(), x, graph::shapeOf(reduce.getResult())) : x;
  Value sum = b.create<graph::ReduceOp>(reduce.getLoc(), reduce.getType(), reduce.getKind(), reduce.getX(),
                                        start, reduce.getAxes());
  return reshape ? graph::reshape(b, value.getLoc(), sum, graph::shapeOf(value)) : sum;
}

LogicalResult expandValueAndGrad(graph::ValueAndGradOp op, SymbolTable &symbols, ResidualChoice &choice) {
  auto f = symbols.lookup<func::FuncOp>(op.getFunction());
  OpBuilder b(op);
  IRMapping map;
  SmallVector<Value> wrt;
  // Arguments with respect to which we differentiate get a name of their own, so that an outer value given
  // twice keeps two adjoints.
  for (auto [i, pair] : llvm::enumerate(llvm::zip(f.getArguments(), op.getArgs()))) {
    auto [inner, outer] = pair;
    if (llvm::is_contained(op.getWrt(), int64_t(i)))
      outer = b.create<graph::StopGradientOp>(op.getLoc(), outer);
    map.map(inner, outer);
  }
  for (int64_t i : op.getWrt()) wrt.push_back(map.lookup(f.getArgument(i)));
  SmallVector<Operation *> forward;
  for (Operation &o : f.getBody().front().without_terminator()) forward.push_back(b.clone(o, map));
  sliceStackedOperands(forward);
  SmallVector<Value> results;
  for (Value v : f.getBody().front().getTerminator()->getOperands())
    results.push_back(map.lookupOrDefault(v));

  TopReverse reverse(b, symbols, choice);
  reverse.activate(wrt, forward);
  reverse.set(results[0], graph::splat(b, op.getLoc(), graph::tensorType(results[0]), 1));
  for (auto [v, acc] : llvm::zip(wrt, op.getAcc())) reverse.set(v, acc);
  if (failed(reverse.run(forward))) return failure();
  for (auto [value, x] : llvm::zip(results, op.getOnto())) value = continueFrom(b, x, value);
  for (Value v : wrt) {
    Value d = reverse.adjoint(v);
    results.push_back(d ? d : graph::splat(b, op.getLoc(), graph::tensorType(v), 0));
  }
  op.replaceAllUsesWith(results);
  op.erase();
  for (Value v : wrt) {
    auto marker = v.getDefiningOp<graph::StopGradientOp>();
    v.replaceAllUsesWith(marker.getX());
    marker.erase();
  }
  return success();
}

// Functions of which a gradient is asked may ask for one themselves: those inside come first.
class Expander {
public:
  Expander(SymbolTable &symbols, ResidualChoice &choice) : symbols(symbols), choice(choice) {}

  LogicalResult expand(func::FuncOp f) {
    if (!done.insert(f).second) return success();
    SmallVector<graph::ValueAndGradOp> ops;
    for (Operation &op : f.getBody().front()) {
      if (auto uses = dyn_cast<SymbolUserOpInterface>(op))
        if (failed(expandFunctionsOf(op))) return failure();
      if (auto vag = dyn_cast<graph::ValueAndGradOp>(op)) ops.push_back(vag);
    }
    for (auto op : ops)
      if (failed(expandValueAndGrad(op, symbols, choice))) return failure();
    return success();
  }

private:
  LogicalResult expandFunctionsOf(Operation &op) {
    for (NamedAttribute a : op.getAttrs())
      if (auto name = dyn_cast<FlatSymbolRefAttr>(a.getValue()))
        if (auto f = symbols.lookup<func::FuncOp>(name.getValue()))
          if (failed(expand(f))) return failure();
    return success();
  }
  SymbolTable &symbols;
  ResidualChoice &choice;
  llvm::DenseSet<func::FuncOp> done;
};

void inlineForward(graph::CustomGradientOp op, SymbolTable &symbols) {
  auto f = symbols.lookup<func::FuncOp>(op.getForward());
  OpBuilder b(op);
  IRMapping map;
  map.map(f.getArguments(), op.getArgs());
  for (Operation &o : f.getBody().front().without_terminator()) b.clone(o, map);
  for (auto [from, to] : llvm::zip(op.getResults(), f.getBody().front().getTerminator()->getOperands()))
    from.replaceAllUsesWith(map.lookupOrDefault(to));
  op.erase();
}

// For who chooses under a memory budget.
void report(ModuleOp module, ResidualChoice &choice) {
  Builder b(module.getContext());
  SmallVector<Attribute> kept;
  for (const Residual &r : choice.kept)
    kept.push_back(b.getDictionaryAttr({b.getNamedAttr("op", b.getStringAttr(r.key)),
                                        b.getNamedAttr("what", b.getStringAttr(r.what)),
                                        b.getNamedAttr("where", LocationAttr(r.where)),
                                        b.getNamedAttr("bytes", b.getI64IntegerAttr(r.bytes)),
                                        b.getNamedAttr("flops", b.getI64IntegerAttr(r.flops)),
                                        b.getNamedAttr("product", b.getBoolAttr(r.product))}));
  module->setAttr("weft.kept", b.getArrayAttr(kept));
}

struct DifferentiatePass : impl::DifferentiatePassBase<DifferentiatePass> {
  using DifferentiatePassBase::DifferentiatePassBase;

  void runOnOperation() override {
    SymbolTable symbols(getOperation());
    ResidualChoice choice;
    for (const std::string &key : recompute) choice.recompute.insert(key);
    Expander expander(symbols, choice);
    for (auto f : llvm::make_early_inc_range(getOperation().getOps<func::FuncOp>()))
      if (failed(expander.expand(f))) return signalPassFailure();
    if (reportKept) report(getOperation(), choice);
    // What only gradients cared about.
    getOperation().walk([](graph::StopGradientOp op) {
      op.replaceAllUsesWith(op.getX());
      op.erase();
    });
    inlineCustomGradients(getOperation());
  }
};

} // namespace

void inlineCustomGradients(ModuleOp module) {
  SymbolTable symbols(module);
  // A function that is put in its place may hold further ones.
  for (bool any = true; any;) {
    SmallVector<graph::CustomGradientOp> ops;
    module.walk([&](graph::CustomGradientOp op) { ops.push_back(op); });
    any = !ops.empty();
    for (auto op : ops) inlineForward(op, symbols);
  }
}

} // namespace weft
