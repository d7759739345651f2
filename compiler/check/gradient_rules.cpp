#include "compiler/check/gradient_rules.h"
#include "compiler/check/op_origin.h"
#include "llvm/ADT/DenseSet.h"
#include <cmath>
#include <random>

using namespace mlir;
using weft::graph::HostTensor;
namespace weft {
namespace {

using Differentiate = GradientRunner::Differentiate;

// Σ over the op's float results of random weights times them, as a function of its operands and the weights.
GradientSite siteOf(OwningOpRef<ModuleOp> &module, Operation *op, ArrayRef<const HostTensor *> operands,
                    uint64_t seed) {
  Location loc = op->getLoc();
  module = ModuleOp::create(loc);
  OpBuilder b(module->getBodyRegion());
  GradientSite site;
  SmallVector<Type> types(op->getOperandTypes());
  for (auto [i, t] : llvm::enumerate(operands)) {
    site.args.push_back(*t);
    if (t->isFloat()) site.wrt.push_back(i);
  }
  std::mt19937_64 random(seed);
  for (Value result : op->getResults()) {
    auto type = graph::tensorType(result);
    if (!isa<FloatType>(type.getElementType())) continue;
    type = RankedTensorType::get(type.getShape(), b.getF32Type());
    types.push_back(type);
    site.args.push_back(HostTensor::zeros(type));
    for (double &v : site.args.back().values) v = double(random() >> 11) * 0x1p-52 - 1;
  }
  auto scalar = RankedTensorType::get({}, b.getF32Type());
  site.function = b.create<func::FuncOp>(loc, "one_op", b.getFunctionType(types, {scalar}));
  Block *block = site.function.addEntryBlock();
  b.setInsertionPointToStart(block);
  IRMapping map;
  map.map(op->getOperands(), block->getArguments().take_front(op->getNumOperands()));
  Operation *copy = b.clone(*op, map);
  copy->removeAttr(graph::kAgain);
  Value sum;
  size_t weight = op->getNumOperands();
  for (Value result : copy->getResults()) {
    auto type = graph::tensorType(result);
    if (!isa<FloatType>(type.getElementType())) continue;
    Value y = result, w = block->getArgument(weight++);
    if (y.getType() != w.getType()) y = b.create<graph::CastOp>(loc, w.getType(), y);
    Value part = b.create<graph::MulOp>(loc, y, w);
    if (type.getRank() > 0)
      part = b.create<graph::ReduceOp>(loc, scalar, graph::ReduceKind::sum, part, Value(),
                                       llvm::to_vector(llvm::seq<int64_t>(0, type.getRank())));
    sum = sum ? b.create<graph::AddOp>(loc, sum, part) : part;
  }
  b.create<func::ReturnOp>(loc, sum);
  return site;
}

// Checks the rule of each op when it is first met.
class Rules : public UnroundedCasts {
public:
  Rules(const Differentiate &differentiate, uint64_t seed, GradientRunner &gradients)
      : UnroundedCasts(gradients), differentiate(differentiate), seed(seed) {}
  void after(Operation *op, ArrayRef<const HostTensor *> operands,
             ArrayRef<const HostTensor *> results) override {
    auto isFloat = [](const HostTensor *t) { return t->isFloat(); };
    auto isFinite = [](const HostTensor *t) {
      return !t->isFloat() || llvm::all_of(t->values, [](double v) { return std::isfinite(v); });
    };
    if (!fault.empty() || !isa<graph::DifferentiateInterface>(op) || !seen.insert(op).second ||
        llvm::none_of(operands, isFloat) || llvm::none_of(results, isFloat) ||
        !llvm::all_of(operands, isFinite) || !llvm::all_of(results, isFinite))
      return;
    OwningOpRef<ModuleOp> module;
    GradientSite site = siteOf(module, op, operands, seed);
    GradientRunner alone(*module, differentiate);
    auto wrong = wrongGradient(site, seed, alone);
    if (failed(wrong) || wrong->which.empty()) return;
    fault = "the first op whose rule is wrong: " + op->getName().getStringRef().str();
    if (std::vector<OpOrigin> from = originsOf(op->getLoc()); !from.empty())
      fault += " " + placeText(from[0].file, from[0].line, from[0].path);
    fault += "\n  its gradient with respect to operand " + std::to_string(site.wrt[wrong->which.back()]) +
             ", along a random direction, is " + wrong->numbers();
  }
  std::string fault;

private:
  const Differentiate &differentiate;
  uint64_t seed;
  llvm::DenseSet<Operation *> seen;
};

} // namespace

std::string firstWrongRule(const GradientSite &site, uint64_t seed, const Differentiate &differentiate,
                           GradientRunner &gradients) {
  func::FuncOp f = site.function;
  ScopedDiagnosticHandler quiet(f.getContext(), [](Diagnostic &) { return success(); });
  Rules rules(differentiate, seed, gradients);
  graph::Variables none;
  (void)graph::interpret(f, site.args, none, {false, &rules});
  return rules.fault;
}

} // namespace weft
