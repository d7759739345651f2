#include "compiler/check_phases.h"
#include "compiler/value_trace.h"
#include "dialects/graph/graph.h"
#include "llvm/ADT/StringExtras.h"
#include <cmath>

using namespace mlir;
using weft::graph::HostTensor;
namespace weft {
namespace {

bool meetsGradient(func::FuncOp f, SymbolTable &symbols, llvm::DenseSet<Operation *> &seen) {
  if (!seen.insert(f).second) return false;
  return f
      .walk([&](Operation *op) {
        if (isa<graph::ValueAndGradOp>(op)) return WalkResult::interrupt();
        FlatSymbolRefAttr callee;
        if (auto call = dyn_cast<func::CallOp>(op)) callee = call.getCalleeAttr();
        if (auto repeat = dyn_cast<graph::RepeatOp>(op)) callee = repeat.getBodyAttr();
        auto g = callee ? symbols.lookup<func::FuncOp>(callee.getValue()) : func::FuncOp();
        return g && meetsGradient(g, symbols, seen) ? WalkResult::interrupt() : WalkResult::advance();
      })
      .wasInterrupted();
}

// Where tensors of one type differ by more than the tolerance times the largest magnitude.
struct Difference {
  size_t place = 0;
  double worst = 0, largest = 0;
};
std::optional<Difference> differenceOf(const HostTensor &before, const HostTensor &after, double tolerance) {
  Difference d;
  for (double v : before.values)
    if (std::isfinite(v)) d.largest = std::max(d.largest, std::fabs(v));
  bool any = false;
  for (size_t i = 0; i < before.values.size(); ++i) {
    double by = distance(before.values[i], after.values[i]);
    if (by > 0 && (!any || by > d.worst)) d.worst = by, d.place = i, any = true;
  }
  if (!any || d.worst <= tolerance * d.largest) return std::nullopt;
  return d;
}

std::string resultName(func::FuncOp f, size_t i) {
  auto name = f.getResultAttrOfType<StringAttr>(i, "weft.name");
  return name ? "output " + name.str() : "result " + std::to_string(i);
}

LogicalResult compare(func::FuncOp f, StringRef phase, const std::string &what, const HostTensor &before,
                      const HostTensor &after, double tolerance) {
  if (before.shape != after.shape || before.element != after.element)
    return emitError(f.getLoc()) << "phase `" << phase << "` changed @" << f.getSymName() << ": " << what
                                 << " is " << graph::describe(after.shape, after.element) << " when it was "
                                 << graph::describe(before.shape, before.element);
  auto d = differenceOf(before, after, tolerance);
  if (!d) return success();
  char numbers[200];
  std::snprintf(
      numbers, sizeof numbers,
      "%.9g when it was %.9g (differs by %.2g when %.2g is tolerated; the largest magnitude is %.3g)",
      after.values[d->place], before.values[d->place], d->worst, tolerance * d->largest, d->largest);
  return emitError(f.getLoc()) << "phase `" << phase << "` changed @" << f.getSymName() << ": " << what
                               << " at " << indexText(before.shape, d->place) << " is " << numbers;
}

// What the entry has changed of `before`.
void keepChanged(graph::Variables &variables, const graph::Variables &before) {
  for (auto it = variables.begin(); it != variables.end();) {
    auto old = before.find(it->first);
    bool same = old != before.end() && old->second.values.size() == it->second.values.size() &&
                std::equal(old->second.values.begin(), old->second.values.end(), it->second.values.begin());
    it = same ? variables.erase(it) : std::next(it);
  }
}

} // namespace

double distance(double a, double b) {
  if (a == b || (std::isnan(a) && std::isnan(b))) return 0;
  return std::isfinite(a) && std::isfinite(b) ? std::fabs(a - b) : INFINITY;
}

std::string indexText(ArrayRef<int64_t> shape, int64_t linear) {
  SmallVector<std::string> index;
  for (auto [d, stride] : llvm::zip(shape, graph::rowMajorStrides(shape)))
    index.push_back(std::to_string(linear / stride % d));
  return "[" + llvm::join(index, ", ") + "]";
}

bool needsGradient(func::FuncOp f) {
  SymbolTable symbols(f->getParentOfType<ModuleOp>());
  llvm::DenseSet<Operation *> seen;
  return meetsGradient(f, symbols, seen);
}

FailureOr<SmallVector<HostTensor>> runEntry(func::FuncOp entry, const CheckOptions &options,
                                            int64_t numMicroBatches, graph::Variables &variables,
                                            graph::Variables &caches, graph::InterpretObserver *observer) {
  auto module = entry->getParentOfType<ModuleOp>();
  auto args = argumentsOf(entry, options.inputs, options.seed, numMicroBatches);
  if (failed(args)) return failure();
  if (entry.getSymName() == "decode")
    for (auto &[name, value] : caches) variables[name] = value;
  graph::InterpretOptions interpret;
  interpret.observer = observer;
  // What is made of parameters is made of these.
  auto derive = module.lookupSymbol<func::FuncOp>("derive");
  if (derive && derive != entry && failed(graph::interpret(derive, {}, variables, interpret)))
    return failure();
  auto results = graph::interpret(entry, *args, variables, interpret);
  if (succeeded(results) && entry.getSymName().starts_with("prefill_"))
    for (auto v : module.getOps<graph::VariableOp>())
      if (v.getKind() == graph::VariableKind::cache)
        caches[v.getSymName().str()] = variables[v.getSymName().str()];
  return results;
}

LogicalResult PhaseChecker::check(ModuleOp module, StringRef phase) {
  if (!numMicroBatches) numMicroBatches = chooseMicroBatches(module, options.inputs);
  std::map<std::string, Outcome> now;
  bool same = true;
  auto initial = variablesOf(module, options.inputs, options.seed);
  if (failed(initial)) return failure();
  graph::Variables caches;
  for (auto f : module.getOps<func::FuncOp>()) {
    if (!f->hasAttr("weft.entry") || needsGradient(f)) continue;
    std::string entry = f.getSymName().str();
    Outcome outcome;
    outcome.variables = *initial;
    auto results = runEntry(f, options, numMicroBatches, outcome.variables, caches);
    if (failed(results))
      return emitError(f.getLoc()) << "after phase `" << phase << "`, @" << entry << " cannot be interpreted";
    outcome.results = std::move(*results);
    keepChanged(outcome.variables, *initial);

    if (auto it = last.find(entry); it != last.end()) {
      const Outcome &before = it->second;
      if (before.results.size() != outcome.results.size())
        return emitError(f.getLoc()) << "phase `" << phase << "` changed @" << entry << ": it has "
                                     << outcome.results.size() << " results when it had "
                                     << before.results.size();
      for (size_t i = 0; i < outcome.results.size(); ++i)
        same &= succeeded(
            compare(f, phase, resultName(f, i), before.results[i], outcome.results[i], options.tolerance));
      // One that is changed now and was not, or the other way round, is compared with what it was at first.
      std::set<std::string> names;
      for (auto &[name, value] : outcome.variables) names.insert(name);
      for (auto &[name, value] : before.variables) names.insert(name);
      for (const std::string &name : names) {
        auto value = [&](const graph::Variables &in) -> const HostTensor * {
          if (auto found = in.find(name); found != in.end()) return &found->second;
          auto found = initial->find(name);
          return found == initial->end() || !lastVariables.count(name) ? nullptr : &found->second;
        };
        const HostTensor *was = value(before.variables), *is = value(outcome.variables);
        if (was && is) same &= succeeded(compare(f, phase, "variable " + name, *was, *is, options.tolerance));
      }
    }
    now[entry] = std::move(outcome);
  }
  for (auto &[entry, outcome] : last)
    if (!now.count(entry)) {
      emitError(module.getLoc()) << "phase `" << phase << "` lost the entry @" << entry;
      same = false;
    }
  last = std::move(now);
  lastVariables.clear();
  for (auto &[name, value] : *initial) lastVariables.insert(name);
  different = !same;
  return success(same);
}

LogicalResult checkPhase(ModuleOp before, ModuleOp after, StringRef phase, CheckOptions options) {
  options.inputs.numMicroBatches = chooseMicroBatches(before, options.inputs);
  PhaseChecker checker(std::move(options));
  if (failed(checker.check(before, "before " + phase.str()))) return failure();
  return checker.check(after, phase);
}

std::string firstFault(ModuleOp before, ModuleOp after, const CheckOptions &options) {
  int64_t numMicroBatches = chooseMicroBatches(before, options.inputs);
  graph::Variables caches[2];
  for (auto f : after.getOps<func::FuncOp>()) {
    auto old = before.lookupSymbol<func::FuncOp>(f.getSymName());
    if (!f->hasAttr("weft.entry") || !old || needsGradient(f) || needsGradient(old)) continue;
    ValueTrace traces[2];
    graph::Variables variables[2];
    SmallVector<HostTensor> results[2];
    for (int i = 0; i < 2; ++i) {
      auto initial = variablesOf(i ? after : before, options.inputs, options.seed);
      if (failed(initial)) return "";
      variables[i] = std::move(*initial);
      auto ran = runEntry(i ? f : old, options, numMicroBatches, variables[i], caches[i], &traces[i]);
      if (failed(ran)) return "";
      results[i] = std::move(*ran);
    }
    auto differ = [&](const HostTensor &a, const HostTensor &b) {
      return a.shape != b.shape || a.element != b.element || differenceOf(a, b, options.tolerance);
    };
    SmallVector<int64_t> wrong;
    SmallVector<std::string> wrongVariables;
    for (size_t i = 0; i < std::min(results[0].size(), results[1].size()); ++i)
      if (differ(results[0][i], results[1][i])) wrong.push_back(i);
    for (auto &[name, value] : variables[1])
      if (auto it = variables[0].find(name); it != variables[0].end() && differ(it->second, value))
        wrongVariables.push_back(name);
    if (wrong.empty() && wrongVariables.empty()) continue;
    return ValueTrace::firstFault(traces[0], traces[1], wrong, wrongVariables, options.tolerance);
  }
  return "";
}

} // namespace weft
