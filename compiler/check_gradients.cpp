#include "compiler/check_gradients.h"
#include "compiler/gradient_difference.h"
#include "compiler/op_origin.h"
#include "dialects/graph/graph.h"
#include "passes/passes.h"
#include "llvm/ADT/StringExtras.h"
#include <cmath>
#include <random>
#include <set>

using namespace mlir;
using weft::graph::HostTensor;
namespace weft {
namespace {

using Differentiate = llvm::function_ref<LogicalResult(ModuleOp)>;
// The arguments of the first graph.value_and_grad that is met.
class Capture : public graph::InterpretObserver {
public:
  bool stopsAt(Operation *op, ArrayRef<const HostTensor *> operands) override {
    auto gradient = dyn_cast<graph::ValueAndGradOp>(op);
    if (!gradient) return false;
    met = gradient;
    for (const HostTensor *t : operands.take_front(gradient.getArgs().size())) args.push_back(*t);
    return true;
  }
  graph::ValueAndGradOp met;
  SmallVector<HostTensor> args;
};

std::string numbersOf(const WrongGradient &wrong) {
  char text[120];
  std::snprintf(text, sizeof text, "%.9g when finite differences give %.9g", wrong.given, wrong.measured);
  return text;
}

// Σ over the op's float results of random weights times them, as a function of its operands and the weights.
GradientSite siteOf(OwningOpRef<ModuleOp> &module, Operation *op, ArrayRef<const HostTensor *> operands,
                    uint64_t seed) {
  Location loc = op->getLoc();
  module = ModuleOp::create(loc);
  OpBuilder b(module->getBodyRegion());
  GradientSite site{*module, {}, {}, {}};
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
  Rules(Differentiate differentiate, uint64_t seed) : differentiate(differentiate), seed(seed) {}
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
    auto wrong = wrongGradient(site, seed, differentiate);
    if (failed(wrong) || wrong->which.empty()) return;
    fault = "the first op whose rule is wrong: " + op->getName().getStringRef().str();
    if (std::vector<OpOrigin> from = originsOf(op->getLoc()); !from.empty())
      fault += " " + placeText(from[0].file, from[0].line, from[0].path);
    fault += "\n  its gradient with respect to operand " + std::to_string(site.wrt[wrong->which.back()]) +
             ", along a random direction, is " + numbersOf(*wrong);
  }
  std::string fault;

private:
  Differentiate differentiate;
  uint64_t seed;
  llvm::DenseSet<Operation *> seen;
};

// The variable that argument `i` of the function is, where it comes through repeats and calls alone.
std::string argumentName(Value v) {
  if (auto read = v.getDefiningOp<graph::ReadOp>()) return read.getVariable().str();
  auto argument = dyn_cast<BlockArgument>(v);
  auto f = argument ? dyn_cast<func::FuncOp>(argument.getOwner()->getParentOp()) : func::FuncOp();
  if (!f) return "";
  unsigned i = argument.getArgNumber();
  if (auto name = f.getArgAttrOfType<StringAttr>(i, "weft.name")) return name.str();
  auto module = f->getParentOfType<ModuleOp>();
  auto uses = SymbolTable::getSymbolUses(f, module);
  if (!uses || uses->empty()) return "";
  Operation *user = uses->begin()->getUser();
  if (auto call = dyn_cast<func::CallOp>(user)) return argumentName(call.getOperand(i));
  if (auto repeat = dyn_cast<graph::RepeatOp>(user)) return argumentName(repeat->getOperand(i));
  return "";
}

} // namespace

LogicalResult checkGradients(ModuleOp before, const CheckOptions &options, Differentiate differentiate,
                             GradientCheck &check) {
  OwningOpRef<ModuleOp> module = before.clone();
  const bool custom =
      module->walk([](graph::CustomGradientOp) { return WalkResult::interrupt(); }).wasInterrupted();
  inlineCustomGradients(*module);
  int64_t numMicroBatches = chooseMicroBatches(*module, options.inputs);
  auto variables = variablesOf(*module, options.inputs, options.seed);
  if (failed(variables)) return failure();
  std::set<std::string> done;
  for (auto entry : module->getOps<func::FuncOp>()) {
    if (!entry->hasAttr("weft.entry") || !needsGradient(entry)) continue;
    Capture capture;
    graph::Variables values = *variables, caches;
    auto ran = runEntry(entry, options, numMicroBatches, values, caches, &capture);
    if (succeeded(ran)) { // a repeat of no iterations
      check.left = "@" + entry.getSymName().str() + " takes none on this data";
      continue;
    }
    if (!capture.met) return failure(); // an error of the interpreter's
    auto f = module->lookupSymbol<func::FuncOp>(capture.met.getFunction());
    if (!done.insert(f.getSymName().str()).second) continue;
    if (needsGradient(f)) {
      check.left = "@" + f.getSymName().str() + " asks for gradients itself";
      continue;
    }
    GradientSite site{*module, f, capture.args, SmallVector<int64_t>(capture.met.getWrt())};
    FailureOr<WrongGradient> wrong = failure();
    std::string why;
    {
      ScopedDiagnosticHandler keep(module->getContext(), [&](Diagnostic &d) {
        if (d.getSeverity() == DiagnosticSeverity::Error) why = d.str();
        return success();
      });
      wrong = wrongGradient(site, options.seed, differentiate);
    }
    // What a custom gradient is put in the place of need have no rule; all else has.
    if (failed(wrong) && !custom)
      return emitError(entry.getLoc()) << "the gradients of @" << entry.getSymName()
                                       << " cannot be held against finite differences: " << why;
    if (failed(wrong)) {
      check.left = "@" + f.getSymName().str() + " without its custom gradients: " + why;
      continue;
    }
    if (!wrong->finite) {
      check.left = "the value or the gradient of @" + f.getSymName().str() + " is not finite";
      continue;
    }
    if (wrong->which.empty()) {
      ++check.held;
      continue;
    }
    SmallVector<std::string> names;
    for (size_t i : wrong->which) {
      std::string name = argumentName(capture.met.getArgs()[site.wrt[i]]);
      names.push_back(name.empty() ? "argument " + std::to_string(site.wrt[i]) : name);
    }
    constexpr size_t kMostNames = 4;
    if (names.size() > kMostNames + 1) {
      std::string more = std::to_string(names.size() - kMostNames) + " more";
      names.resize(kMostNames);
      names.push_back(more);
    }
    Rules rules(differentiate, options.seed);
    graph::Variables none;
    {
      ScopedDiagnosticHandler quiet(module->getContext(), [](Diagnostic &) { return success(); });
      (void)graph::interpret(f, site.args, none, {false, &rules});
    }
    check.fault = rules.fault.empty() ? "each op's own rule is right: it is what joins them (a repeat, a sum)"
                                      : rules.fault;
    return emitError(entry.getLoc()) << "phase `differentiate` gives @" << entry.getSymName()
                                     << " a wrong gradient of " << llvm::join(names, ", ")
                                     << ": along a random direction over the last of them "
                                     << numbersOf(*wrong);
  }
  return success();
}

} // namespace weft
