#include "compiler/check/check_gradients.h"
#include "compiler/check/gradient_rules.h"
#include "dialects/graph/graph.h"
#include "passes/passes.h"
#include "llvm/ADT/SetVector.h"
#include "llvm/ADT/StringExtras.h"

using namespace mlir;
using weft::graph::HostTensor;
namespace weft {
namespace {

using Differentiate = GradientRunner::Differentiate;

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

// Functions whose gradients are asked for when `f` runs, those inside of others first.
void differentiatedBy(func::FuncOp f, SymbolTable &symbols, llvm::DenseSet<Operation *> &seen,
                      llvm::SetVector<Operation *> &found) {
  if (!f || !seen.insert(f).second) return;
  f.walk([&](Operation *op) {
    auto enter = [&](FlatSymbolRefAttr name) {
      auto g = symbols.lookup<func::FuncOp>(name.getValue());
      differentiatedBy(g, symbols, seen, found);
      return g;
    };
    if (auto call = dyn_cast<func::CallOp>(op)) enter(call.getCalleeAttr());
    if (auto repeat = dyn_cast<graph::RepeatOp>(op)) enter(repeat.getBodyAttr());
    if (auto gradient = dyn_cast<graph::ValueAndGradOp>(op)) found.insert(enter(gradient.getFunctionAttr()));
  });
}

// Checks the gradient of each function when it is first asked for.
class Sites : public graph::InterpretObserver {
public:
  Sites(ModuleOp module, const CheckOptions &options, const Differentiate &differentiate, bool custom,
        GradientCheck &check)
      : options(options), differentiate(differentiate), custom(custom), check(check), module(module),
        gradients(module, differentiate), symbols(module) {}

  LogicalResult run(func::FuncOp entry, int64_t numMicroBatches, graph::Variables variables) {
    this->entry = entry;
    llvm::DenseSet<Operation *> seen;
    llvm::SetVector<Operation *> asked;
    differentiatedBy(entry, symbols, seen, asked);
    waiting.clear();
    if (stopped) return success();
    for (Operation *f : asked)
      if (!done.contains(f)) waiting.insert(f);
    if (waiting.empty()) return success();
    graph::Variables caches;
    auto ran = runEntry(entry, options, numMicroBatches, variables, caches, this);
    if (failed(ran) && !waiting.empty()) return failure(); // else nothing else is to be learned from it
    if (!waiting.empty())                                  // a repeat of no iterations
      check.left =
          "@" + cast<func::FuncOp>(waiting.front()).getSymName().str() + " is not reached on this data";
    return success();
  }

  FailureOr<bool> runInstead(Operation *op, ArrayRef<const HostTensor *> operands,
                             MutableArrayRef<HostTensor> results) override {
    auto gradient = dyn_cast<graph::ValueAndGradOp>(op);
    if (!gradient) return false;
    auto f = symbols.lookup<func::FuncOp>(gradient.getFunction());
    if (done.insert(f).second) {
      auto args = llvm::map_to_vector(operands.take_front(gradient.getArgs().size()),
                                      [](const HostTensor *t) { return *t; });
      // Those that it asks for itself come first: its own differences rest on them.
      graph::Variables none;
      if (needsGradient(f) && failed(graph::interpret(f, args, none, {false, this}))) return failure();
      if (failed(checkSite(gradient, {f, args, SmallVector<int64_t>(gradient.getWrt())}))) return failure();
      waiting.remove(f);
    }
    if (waiting.empty()) return failure();
    if (failed(gradients.run(gradient, operands, results, nullptr))) return failure();
    return true;
  }

private:
  LogicalResult checkSite(graph::ValueAndGradOp op, const GradientSite &site);
  std::string namesOf(graph::ValueAndGradOp op, ArrayRef<size_t> which) const;

  const CheckOptions &options;
  const Differentiate &differentiate;
  const bool custom; // some gradients are given by hand
  GradientCheck &check;
  ModuleOp module;
  GradientRunner gradients;
  SymbolTable symbols;
  func::FuncOp entry;
  llvm::DenseSet<Operation *> done;
  bool stopped = false;                 // nothing more can be checked
  llvm::SetVector<Operation *> waiting; // of the entry's, until they are met
};

std::string Sites::namesOf(graph::ValueAndGradOp op, ArrayRef<size_t> which) const {
  SmallVector<std::string> names;
  for (size_t i : which) {
    const int64_t argument = op.getWrt()[i];
    std::string name = argumentName(op.getArgs()[argument]);
    names.push_back(name.empty() ? "argument " + std::to_string(argument) : name);
  }
  constexpr size_t kMostNames = 4;
  if (names.size() > kMostNames + 1) {
    std::string more = std::to_string(names.size() - kMostNames) + " more";
    names.resize(kMostNames);
    names.push_back(more);
  }
  return llvm::join(names, ", ");
}

LogicalResult Sites::checkSite(graph::ValueAndGradOp op, const GradientSite &site) {
  func::FuncOp f = site.function;
  const std::string name = "@" + f.getSymName().str();
  // `differentiate` leaves none, so that differences of an inner gradient would not hold its values still.
  auto stops = [&] {
    return module->walk([](graph::StopGradientOp) { return WalkResult::interrupt(); }).wasInterrupted();
  };
  if (needsGradient(f) && stops()) {
    check.left = name + " takes a gradient itself, in a program with stop_gradient";
    return success();
  }
  FailureOr<WrongGradient> wrong = failure();
  std::string why;
  {
    ScopedDiagnosticHandler keep(f.getContext(), [&](Diagnostic &d) {
      if (d.getSeverity() == DiagnosticSeverity::Error) why = d.str();
      return success();
    });
    wrong = wrongGradient(site, options.seed, gradients);
  }
  // What a custom gradient is put in the place of need have no rule; all else has.
  if (failed(wrong) && !custom)
    return emitError(entry.getLoc()) << "the gradients of " << name
                                     << " cannot be held against finite differences: " << why;
  if (failed(wrong)) { // nor is there a gradient of it to go on with
    check.left = name + " without its custom gradients: " + why;
    stopped = true;
    waiting.clear();
    return failure();
  }
  if (!wrong->finite) {
    check.left = "the value or the gradient of " + name + " is not finite";
    return success();
  }
  if (wrong->which.empty()) {
    ++check.held;
    return success();
  }
  const std::string rule = firstWrongRule(site, options.seed, differentiate, gradients);
  check.fault = rule.empty() ? "each op's own rule is right: it is what joins them (a repeat, a sum)" : rule;
  return emitError(entry.getLoc()) << "phase `differentiate` gives @" << entry.getSymName()
                                   << " a wrong gradient of " << namesOf(op, wrong->which)
                                   << ": along a random direction over the last of them " << wrong->numbers();
}

} // namespace

LogicalResult checkGradients(ModuleOp before, const CheckOptions &options, Differentiate differentiate,
                             GradientCheck &check) {
  OwningOpRef<ModuleOp> module = before.clone();
  const bool custom =
      module->walk([](graph::CustomGradientOp) { return WalkResult::interrupt(); }).wasInterrupted();
  inlineCustomGradients(*module);
  int64_t numMicroBatches = chooseMicroBatches(*module, options.inputs);
  auto variables = variablesOf(ModuleOp(*module), options.inputs, options.seed);
  if (failed(variables)) return failure();
  Sites sites(*module, options, differentiate, custom, check);
  for (auto entry : module->getOps<func::FuncOp>())
    if (entry->hasAttr("weft.entry") && failed(sites.run(entry, numMicroBatches, variables->front())))
      return failure();
  return success();
}

} // namespace weft
