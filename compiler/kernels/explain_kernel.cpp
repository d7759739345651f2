// A kernel's reduction and schedule in words. The rules themselves: dialects/kernel/kernel.td and kernel.h.
#include "compiler/kernels/kernel_source.h"
#include "dialects/kernel/kernel.h"
#include "passes/codegen/cpu/matmul_heuristics.h"
#include "llvm/Support/FormatVariadic.h"

using namespace mlir;
using llvm::formatv;
namespace weft {

static std::string dotUnit(StringRef unit) {
  if (unit == "fma") return "one chain of fused multiply-adds, ascending in k";
  if (unit == "amx")
    return "bf16 factors, f32 sums, denormals flushed: for each 32 along k a chain over the even k and one "
           "over the odd k, "
           "then sum += even + odd, as TDPBF16PS does";
  return "bf16 factors, f32 sums, denormals flushed: one chain over k in the order 1, 0, 3, 2, …, as "
         "VDPBF16PS does";
}

std::vector<std::string> explainReduction(Operation *op) {
  std::vector<std::string> out;
  auto reduction = op->getAttrOfType<kernel::ReductionAttr>("reduction");
  if (auto loops = dyn_cast<kernel::LoopsOp>(op)) {
    if (loops.getReduceDims() > 0)
      out.push_back(
          formatv("sums over the first {0} of {1} dimensions, in ascending order, one chain a result element",
                  loops.getReduceDims(), loops.getDomain().size()));
    else if (kernel::hasRowReduction(loops))
      out.push_back(formatv("kernel.reduce: {0} virtual lanes, lane j takes columns j, j + {0}, …; lanes are "
                            "combined by halves",
                            reduction ? reduction.getLanes() : 16));
    else
      out.emplace_back("none: each element is computed on its own");
  } else if (auto matmul = dyn_cast<kernel::MatmulOp>(op)) {
    out.push_back("each result element: " + dotUnit(reduction ? reduction.getUnit() : "fma"));
    if (matmul.getInit()) out.emplace_back("chains go on from what the result holds");
    if (matmul.getGroups())
      out.emplace_back(matmul.getGrouped() == kernel::GroupedBy::m
                           ? "each row belongs to one group, whose factor it is multiplied by"
                           : "each group's sum is over its own part of k");
    if (matmul.getRows()) out.emplace_back("rows are read through a table, which moves no sum");
  } else if (auto attention = dyn_cast<kernel::AttentionOp>(op)) {
    if (reduction) {
      out.push_back(
          formatv("keys in blocks of {0}, counted from where the range begins", reduction.getKeyBlock()));
      out.push_back("products: " + dotUnit(reduction.getUnit()));
      out.push_back(
          formatv("sums of a block's weights: {0} virtual lanes, combined by halves", reduction.getLanes()));
    }
  } else
    out.emplace_back("none: a stable counting sort");
  return out;
}

static std::string packingText(kernel::MatmulOp op, kernel::ScheduleAttr s) {
  const bool few = s.getTileM() == 1 || s.getBlockM() <= cpu::kFewRows;
  std::string rhs = op.getPackedRhs()                 ? "rhs lies in panels"
                    : few && cpu::takesRhsInPlace(op) ? "rhs is read where it lies"
                                                      : "rhs is packed for a block";
  std::string lhs = s.getTileM() == 1 ? ", lhs row by row" : ", lhs packed for a block";
  return rhs + lhs;
}

std::vector<std::string> explainSchedule(Operation *op) {
  auto s = op->getAttrOfType<kernel::ScheduleAttr>("schedule");
  if (!s) return {};
  if (auto loops = dyn_cast<kernel::LoopsOp>(op)) {
    if (loops.getReduceDims() > 0)
      return {formatv("a work item: {0} columns of the result, over all that is summed", s.getBlockN()),
              s.getBlockM()
                  ? formatv("{0} rows of them at a time, sums lie in memory meanwhile", s.getBlockM()).str()
                  : std::string("as many columns at a time as registers hold sums of")};
    if (kernel::hasRowReduction(loops)) return {"a work item: a row"};
    return {formatv("a work item: {0} columns of a row", s.getBlockN())};
  }
  if (auto matmul = dyn_cast<kernel::MatmulOp>(op))
    return {formatv("a work item: a block of {0} rows and {1} columns of the result", s.getBlockM(),
                    s.getBlockN()),
            formatv("registers hold a tile of {0} rows and {1} columns", s.getTileM(), s.getTileN()),
            s.getBlockK() ? formatv("k in blocks of {0}", s.getBlockK()).str()
                          : std::string("k in one piece"),
            packingText(matmul, s)};
  if (auto attention = dyn_cast<kernel::AttentionOp>(op)) {
    using Kind = kernel::AttentionKind;
    if (attention.getKind() == Kind::backward)
      return {"a work item: a head of the keys in one sequence",
              formatv("tiles of {0} queries", s.getTileM()),
              formatv("{0} keys whose packed form and sums are kept", s.getTileN())};
    if (attention.getKind() == Kind::grad_key_value)
      return {formatv("a work item: {0} keys of a head", s.getTileN()),
              formatv("tiles of {0} queries", s.getTileM())};
    return {formatv("a work item: {0} queries of a head", s.getTileM())};
  }
  return {"one work item"};
}

} // namespace weft
