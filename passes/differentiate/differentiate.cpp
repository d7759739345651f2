// graph.value_and_grad → forward ops, then reverse-mode adjoints. See passes.td; the rules of the ops are in dialects/graph.
#include "passes/differentiate/reverse.h"
#include "passes/passes.h"
#include "mlir/IR/IRMapping.h"
#include "mlir/IR/PatternMatch.h"

using namespace mlir;
namespace weft {
#define GEN_PASS_DEF_DIFFERENTIATEPASS
#include "passes/passes.h.inc"

namespace {

// At the top the forward values are in scope: nothing needs saving.
class TopReverse : public Reverse {
public:
  using Reverse::Reverse;
  Value needed(Value forward) override { return forward; }
};

LogicalResult expand(graph::ValueAndGradOp op, SymbolTable &symbols) {
  auto f = symbols.lookup<func::FuncOp>(op.getFunction());
  OpBuilder b(op);
  IRMapping map;
  SmallVector<Value> wrt;
  // Arguments with respect to which we differentiate get a name of their own, so that an outer value given twice keeps two adjoints.
  for (auto [i, pair] : llvm::enumerate(llvm::zip(f.getArguments(), op.getArgs()))) {
    auto [inner, outer] = pair;
    if (llvm::is_contained(op.getWrt(), int64_t(i))) outer = b.create<graph::StopGradientOp>(op.getLoc(), outer);
    map.map(inner, outer);
  }
  for (int64_t i : op.getWrt()) wrt.push_back(map.lookup(f.getArgument(i)));
  SmallVector<Operation *> forward;
  for (Operation &o : f.getBody().front().without_terminator()) forward.push_back(b.clone(o, map));
  sliceStackedOperands(forward);
  SmallVector<Value> results;
  for (Value v : f.getBody().front().getTerminator()->getOperands()) results.push_back(map.lookupOrDefault(v));

  TopReverse reverse(b, symbols);
  reverse.activate(wrt, forward);
  reverse.set(results[0], graph::splat(b, op.getLoc(), graph::tensorType(results[0]), 1));
  for (auto [v, acc] : llvm::zip(wrt, op.getAcc())) reverse.set(v, acc);
  if (failed(reverse.run(forward))) return failure();
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

struct DifferentiatePass : impl::DifferentiatePassBase<DifferentiatePass> {
  void runOnOperation() override {
    SymbolTable symbols(getOperation());
    SmallVector<graph::ValueAndGradOp> ops;
    getOperation().walk([&](graph::ValueAndGradOp op) { ops.push_back(op); });
    for (auto op : ops)
      if (failed(expand(op, symbols))) return signalPassFailure();
    // What only gradients cared about.
    getOperation().walk([](graph::StopGradientOp op) {
      op.replaceAllUsesWith(op.getX());
      op.erase();
    });
  }
};

} // namespace
} // namespace weft
