#include "compiler/check/check_phases.h"
#include "compiler/check/value_trace.h"
#include "dialects/graph/graph.h"
#include "llvm/ADT/StringExtras.h"
#include <cmath>

using namespace mlir;
using weft::graph::HostTensor;
namespace weft {
namespace {

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

// An output "WHAT.PATH" is of a stack of layers when the parameter PATH is: a stage gives those of its own.
bool isOfLayers(ModuleOp module, StringRef output) {
  auto variable = module.lookupSymbol<graph::VariableOp>(output.split('.').second);
  return variable && int64_t(variable.getLayers()) > 0;
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

FailureOr<PhaseChecker::Outcome> PhaseChecker::run(Stages stages, func::FuncOp entry, StringRef phase,
                                                   ArrayRef<graph::Variables> initial,
                                                   MutableArrayRef<graph::Variables> caches) {
  SmallVector<graph::Variables> variables(initial);
  auto results = runEntry(stages, entry.getSymName(), options, numMicroBatches, variables, caches);
  if (failed(results)) {
    emitError(entry.getLoc()) << "after phase `" << phase << "`, @" << entry.getSymName()
                              << " cannot be interpreted";
    return failure();
  }
  Outcome outcome;
  for (auto [i, of] : llvm::enumerate(*results)) {
    auto f = ModuleOp(stages[i]).lookupSymbol<func::FuncOp>(entry.getSymName());
    for (auto [r, value] : llvm::enumerate(of)) {
      std::string name = resultName(f, r);
      auto same = [&](auto &known) { return known.first == name; };
      auto known = i == 0 ? outcome.results.end() : llvm::find_if(outcome.results, same);
      if (known == outcome.results.end())
        outcome.results.push_back({name, std::move(value)});
      else if (isOfLayers(stages[i], name)) {
        HostTensor &all = known->second;
        all.shape[0] += value.shape[0];
        all.values.insert(all.values.end(), value.values.begin(), value.values.end());
      } else if (known->second.shape != value.shape || differenceOf(known->second, value, options.tolerance))
        return emitError(f.getLoc()) << "after phase `" << phase << "`, " << name << " of @"
                                     << entry.getSymName() << " is not the same in all pipeline stages";
    }
  }
  auto joined = joinVariables(stages, std::move(variables), options.tolerance);
  if (failed(joined)) return failure();
  outcome.variables = std::move(*joined);
  return outcome;
}

LogicalResult PhaseChecker::check(Stages stages, StringRef phase) {
  ModuleOp first = stages.front();
  if (!numMicroBatches) numMicroBatches = chooseMicroBatches(first, options.inputs);
  std::map<std::string, Outcome> now;
  bool same = true;
  auto parts = variablesOf(stages, options.inputs, options.seed);
  if (failed(parts)) return failure();
  graph::Variables whole; // of several stages
  if (stages.size() > 1) {
    auto joined = joinVariables(stages, *parts, options.tolerance);
    if (failed(joined)) return failure();
    whole = std::move(*joined);
  }
  const graph::Variables &initial = stages.size() > 1 ? whole : parts->front();
  SmallVector<graph::Variables> caches(stages.size());
  for (auto f : first.getOps<func::FuncOp>()) {
    if (!f->hasAttr("weft.entry") || needsGradient(stages, f.getSymName())) continue;
    std::string entry = f.getSymName().str();
    auto ran = run(stages, f, phase, *parts, caches);
    if (failed(ran)) return failure();
    Outcome outcome = std::move(*ran);
    keepChanged(outcome.variables, initial);

    if (auto it = last.find(entry); it != last.end()) {
      const Outcome &before = it->second;
      if (before.results.size() != outcome.results.size())
        return emitError(f.getLoc()) << "phase `" << phase << "` changed @" << entry << ": it has "
                                     << outcome.results.size() << " results when it had "
                                     << before.results.size();
      for (auto &[name, value] : outcome.results) { // stages give them in another order
        auto was = llvm::find_if(before.results, [&, &n = name](auto &r) { return r.first == n; });
        if (was == before.results.end())
          return emitError(f.getLoc()) << "phase `" << phase << "` changed @" << entry << ": it has " << name
                                       << ", which it had not";
        same &= succeeded(compare(f, phase, name, was->second, value, options.tolerance));
      }
      // One that is changed now and was not, or the other way round, is compared with what it was at first.
      std::set<std::string> names;
      for (auto &[name, value] : outcome.variables) names.insert(name);
      for (auto &[name, value] : before.variables) names.insert(name);
      for (const std::string &name : names) {
        auto value = [&](const graph::Variables &in) -> const HostTensor * {
          if (auto found = in.find(name); found != in.end()) return &found->second;
          auto found = initial.find(name);
          return found == initial.end() || !lastVariables.count(name) ? nullptr : &found->second;
        };
        const HostTensor *was = value(before.variables), *is = value(outcome.variables);
        if (was && is) same &= succeeded(compare(f, phase, "variable " + name, *was, *is, options.tolerance));
      }
    }
    now[entry] = std::move(outcome);
  }
  for (auto &[entry, outcome] : last)
    if (!now.count(entry)) {
      emitError(first.getLoc()) << "phase `" << phase << "` lost the entry @" << entry;
      same = false;
    }
  last = std::move(now);
  lastVariables.clear();
  for (auto &[name, value] : initial) lastVariables.insert(name);
  different = !same;
  return success(same);
}

LogicalResult checkPhase(Stages before, Stages after, StringRef phase, CheckOptions options) {
  options.inputs.numMicroBatches = chooseMicroBatches(before.front(), options.inputs);
  PhaseChecker checker(std::move(options));
  if (failed(checker.check(before, "before " + phase.str()))) return failure();
  return checker.check(after, phase);
}

std::string firstFault(Stages before, Stages after, const CheckOptions &options) {
  const size_t n = before.size();
  if (after.size() != n) return "";
  ModuleOp first = after.front();
  int64_t numMicroBatches = chooseMicroBatches(before.front(), options.inputs);
  SmallVector<graph::Variables> caches[2] = {SmallVector<graph::Variables>(n),
                                             SmallVector<graph::Variables>(n)};
  auto differ = [&](const HostTensor &a, const HostTensor &b) {
    return a.shape != b.shape || a.element != b.element || differenceOf(a, b, options.tolerance);
  };
  for (auto f : first.getOps<func::FuncOp>()) {
    StringRef entry = f.getSymName();
    if (!f->hasAttr("weft.entry") || !ModuleOp(before.front()).lookupSymbol(entry) ||
        needsGradient(before, entry) || needsGradient(after, entry))
      continue;
    std::vector<ValueTrace> traces[2] = {std::vector<ValueTrace>(n), std::vector<ValueTrace>(n)};
    SmallVector<graph::Variables> variables[2];
    SmallVector<SmallVector<HostTensor>> results[2];
    for (int i = 0; i < 2; ++i) {
      auto initial = variablesOf(i ? after : before, options.inputs, options.seed);
      if (failed(initial)) return "";
      variables[i] = std::move(*initial);
      SmallVector<graph::InterpretObserver *> observers;
      for (ValueTrace &trace : traces[i]) observers.push_back(&trace);
      auto ran =
          runEntry(i ? after : before, entry, options, numMicroBatches, variables[i], caches[i], observers);
      if (failed(ran)) return "";
      results[i] = std::move(*ran);
    }
    std::vector<SmallVector<int64_t>> wrong(n); // results
    std::vector<SmallVector<std::string>> wrongVariables(n);
    bool same = true;
    for (size_t s = 0; s < n; ++s) {
      for (size_t i = 0; i < std::min(results[0][s].size(), results[1][s].size()); ++i)
        if (differ(results[0][s][i], results[1][s][i])) wrong[s].push_back(i);
      for (auto &[name, value] : variables[1][s])
        if (auto it = variables[0][s].find(name); it != variables[0][s].end() && differ(it->second, value))
          wrongVariables[s].push_back(name);
      same &= wrong[s].empty() && wrongVariables[s].empty();
    }
    if (same) continue;
    std::string passedOn; // by a stage that got it from another
    for (size_t s = 0; s < n; ++s) {
      if (n > 1 && before[s] == after[s]) continue;
      bool received = false;
      std::string fault = ValueTrace::firstFault(traces[0][s], traces[1][s], wrong[s], wrongVariables[s],
                                                 options.tolerance, &received);
      if (fault.empty()) continue;
      if (n > 1) fault += "\n  in pipeline stage " + std::to_string(s);
      if (!received) return fault;
      if (passedOn.empty()) passedOn = fault;
    }
    return passedOn;
  }
  return "";
}

} // namespace weft
