#include "compiler/check/phase_inputs.h"
#include "dialects/graph/graph.h"
#include "runtime/data/philox.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/Support/xxhash.h"
#include <cfloat>
#include <cmath>
#include <numeric>

using namespace mlir;
using weft::graph::HostTensor;
namespace weft {
namespace {

// Uniform numbers in [0, 1) for a name: element i is number i of the stream that the name hashes to.
double uniform(uint64_t seed, StringRef name, uint64_t i) {
  return Philox(seed, llvm::xxh3_64bits(name), i)[0] / 4294967296.0;
}

HostTensor draw(RankedTensorType type, ArrayRef<int64_t> shape, StringRef name, uint64_t seed, double low,
                double high, uint64_t first = 0) {
  HostTensor t = HostTensor::zeros(shape, HostTensor::elementOf(type.getElementType()));
  for (size_t i = 0; i < t.values.size(); ++i) {
    double v = low + (high - low) * uniform(seed, name, first + i);
    t.values[i] = t.isFloat() ? double(float(v)) : std::floor(v);
  }
  if (t.element == graph::Element::bf16) t.roundToElement();
  return t;
}

std::string argumentName(func::FuncOp f, unsigned i) {
  auto name = f.getArgAttrOfType<StringAttr>(i, "weft.name");
  return name ? name.str() : "argument " + std::to_string(i);
}

} // namespace

int64_t chooseMicroBatches(ModuleOp module, const PhaseInputs &inputs) {
  if (inputs.numMicroBatches > 0) return inputs.numMicroBatches;
  int64_t n = 1;
  module.walk([&](graph::RepeatOp op) {
    if (op.getDynamic()) n = std::lcm(n, int64_t(op.getParts()));
  });
  return n == 1 ? 2 : n;
}

FailureOr<SmallVector<HostTensor>> argumentsOf(func::FuncOp f, const PhaseInputs &inputs, uint64_t seed,
                                               int64_t numMicroBatches) {
  auto given = inputs.entries.find(f.getSymName().str());
  SmallVector<HostTensor> args;
  for (auto [i, type] : llvm::enumerate(f.getArgumentTypes())) {
    auto tensor = cast<RankedTensorType>(type);
    std::string name = argumentName(f, i), stream = f.getSymName().str() + "/" + name;
    if (given != inputs.entries.end())
      if (auto it = given->second.find(name); it != given->second.end()) {
        if (!it->second.fits(tensor))
          return f.emitError() << "argument " << name << " of @" << f.getSymName() << " is given as "
                               << graph::describe(it->second.shape, it->second.element) << " when it is "
                               << tensor;
        args.push_back(it->second);
        continue;
      }
    SmallVector<int64_t> shape(tensor.getShape());
    for (int64_t &d : shape)
      if (ShapedType::isDynamic(d)) d = numMicroBatches;
    double low = -1, high = 1;
    if (!isa<FloatType>(tensor.getElementType())) {
      auto limit = f.getArgAttrOfType<IntegerAttr>(i, "weft.limit");
      low = limit || !shape.empty() ? 0 : 1; // a count or a step number is not zero
      high = limit ? double(limit.getInt()) : tensor.getElementType().isInteger(1) ? 2 : 9;
    } else if (shape.empty()) {
      low = 0.5, high = 1.5;
    }
    args.push_back(draw(tensor, shape, stream, seed, low, high));
    // Of one sequence no two are alike: rows of a cache are written once.
    if (name == "positions" && !shape.empty() && shape.back() > 1)
      for (size_t e = 0; e < args.back().values.size(); ++e)
        args.back().values[e] = double(int64_t(e) % shape.back() % int64_t(high));
    if (name == "micro_batches" && shape.empty()) args.back().values[0] = double(numMicroBatches);
    // A step beyond a limit updates nothing: there would be nothing to compare.
    if ((name == "loss_limit" || name == "grad_norm_limit") && shape.empty()) args.back().values[0] = FLT_MAX;
  }
  return args;
}

// By name, the number of the first layer that any stage has of a stack.
static llvm::StringMap<int64_t> firstLayers(Stages stages) {
  llvm::StringMap<int64_t> first;
  for (ModuleOp module : stages)
    for (auto v : module.getOps<graph::VariableOp>()) {
      int64_t begin = v.getLayerBegin();
      auto [it, fresh] = first.try_emplace(v.getSymName(), begin);
      it->second = std::min(it->second, begin);
    }
  return first;
}

FailureOr<SmallVector<graph::Variables>> variablesOf(Stages stages, const PhaseInputs &inputs,
                                                     uint64_t seed) {
  llvm::StringMap<int64_t> first = firstLayers(stages);
  SmallVector<graph::Variables> out(stages.size());
  for (auto [module, variables] : llvm::zip(stages, out))
    for (auto v : ModuleOp(module).getOps<graph::VariableOp>()) {
      auto type = cast<RankedTensorType>(v.getType());
      std::string name = v.getSymName().str();
      const int64_t layer = int64_t(v.getLayerBegin()) - first[name], // of all
          begin = layer == 0 ? 0 : layer * (type.getNumElements() / type.getDimSize(0));
      if (auto it = inputs.variables.find(name); it != inputs.variables.end()) {
        HostTensor part = it->second;
        if (!part.shape.empty() && stages.size() > 1 && int64_t(v.getLayers()) > 0 &&
            ArrayRef<int64_t>(part.shape).drop_front() == type.getShape().drop_front() &&
            layer + type.getDimSize(0) <= part.shape[0]) {
          part.shape[0] = type.getDimSize(0);
          auto from = it->second.values.begin() + begin;
          part.values.assign(from, from + graph::numElements(part.shape));
        }
        if (!part.fits(type))
          return v.emitError() << "variable " << name << " is given as "
                               << graph::describe(it->second.shape, it->second.element) << " when it is "
                               << type;
        variables[name] = std::move(part);
        continue;
      }
      bool positive = v.getKind() == graph::VariableKind::optimizer; // second moments go under a root
      bool aroundOne = v.getInit() == graph::InitKind::ones;         // the scale of a norm
      double low = positive ? 0.01 : aroundOne ? 0.5 : -0.5, high = positive ? 0.1 : aroundOne ? 1.5 : 0.5;
      if (!isa<FloatType>(type.getElementType())) low = 0, high = 2;
      variables[name] = draw(type, type.getShape(), v.getSymName(), seed, low, high, begin);
    }
  return out;
}

FailureOr<graph::Variables> joinVariables(Stages stages, SmallVector<graph::Variables> of, double tolerance) {
  if (stages.size() == 1) return std::move(of[0]);
  graph::Variables out;
  for (auto [module, variables] : llvm::zip(stages, of))
    for (auto v : ModuleOp(module).getOps<graph::VariableOp>()) {
      auto it = variables.find(v.getSymName().str());
      if (it == variables.end()) continue;
      const HostTensor &part = it->second;
      auto [known, fresh] = out.try_emplace(it->first, part);
      HostTensor &whole = known->second;
      if (fresh) continue;
      if (int64_t(v.getLayers()) == 0) {
        double largest = 0, worst = whole.shape == part.shape ? 0 : INFINITY;
        for (auto [x, y] : llvm::zip(whole.values, part.values))
          largest = std::max(largest, std::fabs(x)), worst = std::max(worst, std::fabs(x - y));
        if (worst > tolerance * largest)
          return v.emitError() << "variable " << it->first << " is not the same in all pipeline stages that "
                               << "hold it: it differs by " << worst << " of " << largest;
        continue;
      }
      // The stages come in the order of their layers.
      whole.shape[0] += part.shape[0];
      whole.values.insert(whole.values.end(), part.values.begin(), part.values.end());
    }
  return out;
}

} // namespace weft
