// Reductions and schedules of kernels. See passes.td.
#include "passes/codegen/cpu/attention_heuristics.h"
#include "passes/codegen/cpu/matmul_heuristics.h"
#include "passes/passes.h"

using namespace mlir;
namespace weft {
#define GEN_PASS_DEF_SCHEDULEKERNELSPASS
#include "passes/passes.h.inc"

namespace {

// Rows of a sum over rows that all columns of an item go through before the next ones: their sums are then in
// memory, once in that many rows, and rows are read in pieces of many cache lines. Pieces of 256 bytes,
// what registers hold sums of, come half as fast from memory.
constexpr int64_t kSumRows = 16;

struct ScheduleKernelsPass : impl::ScheduleKernelsPassBase<ScheduleKernelsPass> {
  using ScheduleKernelsPassBase::ScheduleKernelsPassBase;

  void runOnOperation() override {
    MLIRContext *ctx = &getContext();
    auto plain = kernel::ReductionAttr::get(ctx, "fma", 16, 0);
    getOperation().walk([&](kernel::LoopsOp op) {
      op.setReductionAttr(plain);
      op.setScheduleAttr(scheduleLoops(op));
    });
    auto dot = kernel::ReductionAttr::get(ctx, bf16Unit, 16, 0);
    getOperation().walk([&](kernel::MatmulOp op) {
      bool bf16 = cast<RankedTensorType>(op.getLhs().getType()).getElementType().isBF16();
      op.setReductionAttr(bf16 ? dot : plain);
      op.setScheduleAttr(cpu::scheduleMatmul(op, threads));
    });
    getOperation().walk(
        [&](kernel::SortOp op) { op.setScheduleAttr(kernel::ScheduleAttr::get(ctx, 0, 0, 0, 0, 0)); });
    SmallVector<kernel::AttentionOp> backwards;
    getOperation().walk([&](kernel::AttentionOp op) {
      if (op.getKind() == kernel::AttentionKind::backward) backwards.push_back(op);
    });
    for (kernel::AttentionOp op : backwards) {
      bool dq = !op.getResult(0).use_empty(),
           dkv = !op.getResult(1).use_empty() || !op.getResult(2).use_empty();
      if (!(dq && dkv && cpu::isOneKernelBetter(op, threads))) cpu::splitBackward(op);
    }
    getOperation().walk([&](kernel::AttentionOp op) {
      if (cast<RankedTensorType>(op.getInputs()[0].getType()).getElementType().isBF16())
        op.setReductionAttr(kernel::ReductionAttr::get(ctx, bf16Unit, 16, op.getReduction()->getKeyBlock()));
      op.setScheduleAttr(cpu::scheduleAttention(op, threads));
    });
  }

  // Columns a work item: enough that starting an item costs nothing (4 KB; AdamW over its seven arrays gained
  // 6 % with 32), few enough that every thread gets several.
  kernel::ScheduleAttr scheduleLoops(kernel::LoopsOp op) {
    int64_t columns = op.getDomain().back(), outer = 1;
    for (int64_t d : op.getDomain().drop_front(op.getReduceDims()).drop_back()) outer *= d;
    const bool sums = op.getReduceDims() > 0;
    // One long row has no others beside it.
    int64_t block = op.getDomain().size() == 1 ? 8192 : 1024, least = 4 * threads;
    // Where nothing but the columns is kept, a call takes its items together (itemsTogether): they only say
    // how finely threads share.
    if (sums && int64_t(op.getReduceDims()) + 1 == int64_t(op.getDomain().size())) block = 64;
    while (block > 64 && outer * ((columns + block - 1) / block) < least) block /= 2;
    // A scatter's sums are in memory anyway.
    const bool scatters = llvm::any_of(op.getOutputAccess().getAsRange<kernel::AccessAttr>(),
                                       [](kernel::AccessAttr a) { return a.getIndex() >= 0; });
    const bool inBlocks = sums && !scatters && op.getDomain()[op.getReduceDims() - 1] >= 4 * kSumRows;
    return kernel::ScheduleAttr::get(&getContext(), 0, 0, inBlocks ? kSumRows : 0, block, 0);
  }
};

} // namespace
} // namespace weft
