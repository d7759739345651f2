#include "compiler/phase_inputs.h"
#include "dialects/graph/graph.h"
#include "runtime/data/philox.h"
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
                double high) {
  HostTensor t = HostTensor::zeros(shape, HostTensor::elementOf(type.getElementType()));
  for (size_t i = 0; i < t.values.size(); ++i) {
    double v = low + (high - low) * uniform(seed, name, i);
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

FailureOr<graph::Variables> variablesOf(ModuleOp module, const PhaseInputs &inputs, uint64_t seed) {
  graph::Variables variables;
  for (auto v : module.getOps<graph::VariableOp>()) {
    auto type = cast<RankedTensorType>(v.getType());
    std::string name = v.getSymName().str();
    if (auto it = inputs.variables.find(name); it != inputs.variables.end()) {
      if (!it->second.fits(type))
        return v.emitError() << "variable " << name << " is given as "
                             << graph::describe(it->second.shape, it->second.element) << " when it is "
                             << type;
      variables[name] = it->second;
      continue;
    }
    bool positive = v.getKind() == graph::VariableKind::optimizer; // second moments go under a root
    bool aroundOne = v.getInit() == graph::InitKind::ones;         // the scale of a norm
    double low = positive ? 0.01 : aroundOne ? 0.5 : -0.5, high = positive ? 0.1 : aroundOne ? 1.5 : 0.5;
    if (!isa<FloatType>(type.getElementType())) low = 0, high = 2;
    variables[name] = draw(type, type.getShape(), v.getSymName(), seed, low, high);
  }
  return variables;
}

} // namespace weft
