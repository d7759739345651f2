#include "compiler/check_phases.h"
#include "dialects/graph/graph.h"
#include "runtime/data/philox.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/xxhash.h"
#include <cmath>
#include <numeric>

using namespace mlir;
using weft::graph::HostTensor;
namespace weft {

// Whether interpreting the function meets graph.value_and_grad.
static bool needsGradient(func::FuncOp f, SymbolTable &symbols, llvm::DenseSet<Operation *> &seen) {
  if (!seen.insert(f).second) return false;
  return f
      .walk([&](Operation *op) {
        if (isa<graph::ValueAndGradOp>(op)) return WalkResult::interrupt();
        FlatSymbolRefAttr callee;
        if (auto call = dyn_cast<func::CallOp>(op)) callee = call.getCalleeAttr();
        if (auto repeat = dyn_cast<graph::RepeatOp>(op)) callee = repeat.getBodyAttr();
        auto g = callee ? symbols.lookup<func::FuncOp>(callee.getValue()) : func::FuncOp();
        return g && needsGradient(g, symbols, seen) ? WalkResult::interrupt() : WalkResult::advance();
      })
      .wasInterrupted();
}

// Micro-batches that every dynamic repeat can cut into its parts.
static int64_t chooseMicroBatches(ModuleOp module) {
  int64_t n = 1;
  module.walk([&](graph::RepeatOp op) {
    if (op.getDynamic()) n = std::lcm(n, int64_t(op.getParts()));
  });
  return n == 1 ? 2 : n;
}

// Uniform numbers in [0, 1) for a name: element i is number i of the stream that the name hashes to.
static double uniform(uint64_t seed, StringRef name, uint64_t i) {
  return Philox(seed, llvm::xxh3_64bits(name), i)[0] / 4294967296.0;
}

static HostTensor draw(RankedTensorType type, ArrayRef<int64_t> shape, StringRef name, uint64_t seed,
                       double low, double high) {
  HostTensor t = HostTensor::zeros(shape, HostTensor::elementOf(type.getElementType()));
  for (size_t i = 0; i < t.values.size(); ++i) {
    double v = low + (high - low) * uniform(seed, name, i);
    t.values[i] = t.isFloat() ? double(float(v)) : std::floor(v);
  }
  return t;
}

static std::string argumentName(func::FuncOp f, unsigned i) {
  auto name = f.getArgAttrOfType<StringAttr>(i, "weft.name");
  return name ? name.str() : "argument " + std::to_string(i);
}

static SmallVector<HostTensor> drawArguments(func::FuncOp f, uint64_t seed, int64_t numMicroBatches) {
  SmallVector<HostTensor> args;
  for (auto [i, type] : llvm::enumerate(f.getArgumentTypes())) {
    auto tensor = cast<RankedTensorType>(type);
    SmallVector<int64_t> shape(tensor.getShape());
    for (int64_t &d : shape)
      if (ShapedType::isDynamic(d)) d = numMicroBatches;
    std::string name = argumentName(f, i), stream = f.getSymName().str() + "/" + name;
    double low = -1, high = 1;
    if (!isa<FloatType>(tensor.getElementType())) {
      auto limit = f.getArgAttrOfType<IntegerAttr>(i, "weft.limit");
      low = limit || !shape.empty() ? 0 : 1; // a count or a step number is not zero
      high = limit ? double(limit.getInt()) : tensor.getElementType().isInteger(1) ? 2 : 9;
    } else if (shape.empty()) {
      low = 0.5, high = 1.5;
    }
    args.push_back(draw(tensor, shape, stream, seed, low, high));
    if (name == "micro_batches" && shape.empty()) args.back().values[0] = numMicroBatches;
  }
  return args;
}

static graph::Variables drawVariables(ModuleOp module, uint64_t seed) {
  graph::Variables variables;
  for (auto v : module.getOps<graph::VariableOp>()) {
    auto type = cast<RankedTensorType>(v.getType());
    bool positive = v.getKind() == graph::VariableKind::optimizer; // second moments go under a root
    bool aroundOne = v.getInit() == graph::InitKind::ones;         // the scale of a norm
    double low = positive ? 0.01 : aroundOne ? 0.5 : -0.5, high = positive ? 0.1 : aroundOne ? 1.5 : 0.5;
    if (!isa<FloatType>(type.getElementType())) low = 0, high = 2;
    variables[v.getSymName().str()] = draw(type, type.getShape(), v.getSymName(), seed, low, high);
  }
  return variables;
}

// Emits an error when the tensors differ by more than the tolerance times the largest magnitude.
static LogicalResult compare(func::FuncOp f, StringRef phase, const std::string &what,
                             const HostTensor &before, const HostTensor &after, double tolerance) {
  if (before.shape != after.shape || before.element != after.element)
    return emitError(f.getLoc()) << "phase `" << phase << "` changed @" << f.getSymName() << ": " << what
                                 << " is " << graph::describe(after.shape, after.element) << " when it was "
                                 << graph::describe(before.shape, before.element);
  double largest = 0, worst = -1;
  size_t place = 0;
  for (double v : before.values)
    if (std::isfinite(v)) largest = std::max(largest, std::fabs(v));
  for (size_t i = 0; i < before.values.size(); ++i) {
    double a = before.values[i], b = after.values[i];
    if (a == b || (std::isnan(a) && std::isnan(b))) continue;
    double difference = std::isfinite(a) && std::isfinite(b) ? std::fabs(a - b) : INFINITY;
    if (difference > worst) worst = difference, place = i;
  }
  if (worst <= tolerance * largest) return success();
  SmallVector<std::string> index;
  for (auto [d, stride] : llvm::zip(before.shape, before.strides()))
    index.push_back(std::to_string(int64_t(place) / stride % d));
  char numbers[160];
  std::snprintf(numbers, sizeof numbers,
                "%.9g when it was %.9g (differs by %.2g; the largest magnitude is %.3g)", after.values[place],
                before.values[place], worst, largest);
  return emitError(f.getLoc()) << "phase `" << phase << "` changed @" << f.getSymName() << ": " << what
                               << " at [" << llvm::join(index, ", ") << "] is " << numbers;
}

LogicalResult PhaseChecker::check(ModuleOp module, StringRef phase) {
  SymbolTable symbols(module);
  if (!numMicroBatches) numMicroBatches = chooseMicroBatches(module);
  std::map<std::string, Outcome> now;
  bool same = true;
  for (auto f : module.getOps<func::FuncOp>()) {
    llvm::DenseSet<Operation *> seen;
    if (!f->hasAttr("weft.entry") || needsGradient(f, symbols, seen)) continue;
    std::string entry = f.getSymName().str();
    Outcome outcome;
    outcome.variables = drawVariables(module, options.seed);
    // What is made of parameters is made of these.
    if (auto derive = symbols.lookup<func::FuncOp>("derive"); derive && derive != f)
      if (failed(graph::interpret(derive, {}, outcome.variables)))
        return emitError(derive.getLoc()) << "after phase `" << phase << "`, @derive cannot be interpreted";
    auto results = graph::interpret(f, drawArguments(f, options.seed, numMicroBatches), outcome.variables);
    if (failed(results))
      return emitError(f.getLoc()) << "after phase `" << phase << "`, @" << entry << " cannot be interpreted";
    outcome.results = std::move(*results);

    if (auto it = last.find(entry); it != last.end()) {
      const Outcome &before = it->second;
      if (before.results.size() != outcome.results.size())
        return emitError(f.getLoc()) << "phase `" << phase << "` changed @" << entry << ": it has "
                                     << outcome.results.size() << " results when it had "
                                     << before.results.size();
      for (size_t i = 0; i < outcome.results.size(); ++i) {
        auto name = f.getResultAttrOfType<StringAttr>(i, "weft.name");
        std::string what = name ? "output " + name.str() : "result " + std::to_string(i);
        same &= succeeded(compare(f, phase, what, before.results[i], outcome.results[i], options.tolerance));
      }
      for (auto &[name, value] : outcome.variables)
        if (auto old = before.variables.find(name); old != before.variables.end())
          same &= succeeded(compare(f, phase, "variable " + name, old->second, value, options.tolerance));
    }
    now[entry] = std::move(outcome);
  }
  for (auto &[entry, outcome] : last)
    if (!now.count(entry)) {
      emitError(module.getLoc()) << "phase `" << phase << "` lost the entry @" << entry;
      same = false;
    }
  last = std::move(now);
  return success(same);
}

LogicalResult checkPhase(ModuleOp before, ModuleOp after, StringRef phase, CheckOptions options) {
  PhaseChecker checker(options);
  if (failed(checker.check(before, "before " + phase.str()))) return failure();
  return checker.check(after, phase);
}

} // namespace weft
