#include "compiler/check/check_cost.h"
#include "dialects/graph/graph.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "runtime/train/byte_size.h"
#include <unistd.h>

using namespace mlir;
namespace weft {
namespace {

// As measured on one core of a Zen 4 server: of a multiply-add of a product, and of an element of anything
// else.
constexpr double kProductNs = 0.7, kElementNs = 4;
// The phases that are interpreted (gradients by differences among them), and the kernels, whose errors are
// computed, too.
constexpr double kPhases = 10, kKernels = 5;
// Backward computes twice what forward does.
constexpr double kGradient = 3;

double elements(Type type, double dynamic) {
  double n = 1;
  for (int64_t d : cast<RankedTensorType>(type).getShape())
    n *= ShapedType::isDynamic(d) ? dynamic : double(d);
  return n;
}

class Cost {
public:
  Cost(ModuleOp module, double dynamic) : symbols(module), dynamic(dynamic) {}

  double of(StringRef function, int depth = 0) {
    auto f = symbols.lookup<func::FuncOp>(function);
    if (!f || depth > 64) return 0;
    auto [it, fresh] = known.try_emplace(function, 0);
    if (!fresh) return it->second;
    double sum = 0;
    for (Operation &op : f.getBody().front().without_terminator()) sum += of(&op, depth);
    return known[function] = sum;
  }

private:
  double of(Operation *op, int depth) {
    if (auto call = dyn_cast<func::CallOp>(op)) return of(call.getCallee(), depth + 1);
    if (auto custom = dyn_cast<graph::CustomGradientOp>(op)) return of(custom.getForward(), depth + 1);
    if (auto grad = dyn_cast<graph::ValueAndGradOp>(op)) return kGradient * of(grad.getFunction(), depth + 1);
    if (auto repeat = dyn_cast<graph::RepeatOp>(op)) {
      double times = repeat.getDynamic() ? dynamic / double(repeat.getParts()) : double(repeat.tripCount());
      return times * of(repeat.getBody(), depth + 1);
    }
    double results = 0, operands = 0;
    for (Type t : op->getResultTypes()) results += elements(t, dynamic);
    for (Type t : op->getOperandTypes()) operands += elements(t, dynamic);
    if (auto matmul = dyn_cast<graph::MatmulOp>(op)) {
      auto shape = graph::shapeOf(matmul.getLhs());
      return kProductNs * results * double(matmul.getTransposeLhs() ? shape[shape.size() - 2] : shape.back());
    }
    if (isa<graph::GroupedMatmulOp>(op))
      return kProductNs * results * double(graph::shapeOf(op->getOperand(0)).back());
    if (isa<graph::GroupedOuterOp>(op))
      return kProductNs * operands * double(graph::shapeOf(op->getOperand(1)).back());
    if (isa<graph::AttentionOp>(op)) // every query with every key, at most
      return kProductNs * 2 * elements(op->getOperand(0).getType(), dynamic) *
             double(graph::shapeOf(op->getOperand(1))[1]);
    return kElementNs * (results + operands);
  }

  SymbolTable symbols;
  double dynamic;
  llvm::StringMap<double> known;
};

} // namespace

CheckCost checkCost(ModuleOp module, int64_t numMicroBatches) {
  CheckCost out;
  Cost cost(module, double(numMicroBatches));
  for (auto f : module.getOps<func::FuncOp>())
    if (f->hasAttr("weft.entry")) out.seconds += cost.of(f.getSymName()) * 1e-9 * (kPhases + kKernels);
  for (auto v : module.getOps<graph::VariableOp>()) out.bytes += 8 * 5 * elements(v.getType(), 1);
  return out;
}

std::string durationText(double seconds) {
  char text[40];
  if (seconds < 100)
    snprintf(text, sizeof text, "%.0f s", seconds);
  else if (seconds < 6000)
    snprintf(text, sizeof text, "%.0f minutes", seconds / 60);
  else
    snprintf(text, sizeof text, "%.3g hours", seconds / 3600);
  return text;
}

std::string costProblem(const CheckCost &cost, double limitSeconds) {
  double machine = double(sysconf(_SC_PHYS_PAGES)) * double(sysconf(_SC_PAGE_SIZE));
  if (machine > 0 && cost.bytes > 0.8 * machine)
    return "--check-phases holds the variables as doubles, several times: " +
           ByteText(int64_t(std::min(cost.bytes, 9e18))) + " when this machine has " +
           ByteText(int64_t(machine)) +
           "\nhint: a smaller config of the model, as --config tiny, goes through the same phases";
  if (limitSeconds > 0 && cost.seconds > limitSeconds)
    return "--check-phases would take about " + durationText(cost.seconds) + ", more than " +
           durationText(limitSeconds) +
           ": interpreting in f64 is slow\nhint: smaller sizes, as --batch 2 --micro-batch 2 --seq 64, or a "
           "smaller "
           "config; --check-limit 0 lets it take that long";
  return "";
}

} // namespace weft
