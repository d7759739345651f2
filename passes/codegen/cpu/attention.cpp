#include "passes/codegen/cpu/attention.h"
#include "passes/codegen/cpu/attention_blocks.h"

using namespace mlir;
namespace weft::cpu {

static LogicalResult check(kernel::AttentionOp op) {
  auto elementOf = [](Value v) { return cast<RankedTensorType>(v.getType()).getElementType(); };
  for (auto [i, input] : llvm::enumerate(op.getInputs())) {
    Type type = elementOf(input);
    if (i == kBegin || i == kEnd) {
      if (!type.isInteger(32) && !type.isInteger(64))
        return op.emitOpError() << "has a range of " << type << " when it should be i32 or i64";
    } else if (!type.isF32()) {
      return op.emitOpError() << "has an input of " << type
                              << " when the CPU's attention takes f32; cast it first";
    }
  }
  for (int64_t i : {5, 6})
    if (op.getSizes()[i] == kernel::kDynamic || op.getSizes()[i] <= 0)
      return op.emitOpError()
             << "has a width known only when it runs; D and E shape the code and must stay static";
  if (!op.getReduction()) return op.emitOpError("has no reduction; schedule-kernels gives it one");
  int64_t block = op.getReduction()->getKeyBlock();
  if (block <= 0 || block % kLanes)
    return op.emitOpError() << "has key blocks of " << block << " keys when they should be a multiple of "
                            << kLanes;
  if (!op.getSchedule() || op.getSchedule()->getTileM() <= 0)
    return op.emitOpError("has no schedule with a positive tile_m; schedule-kernels gives it one");
  return success();
}

LogicalResult emitAttention(kernel::AttentionOp op, KernelFrame &frame) {
  if (failed(check(op))) return failure();
  AttentionBlocks blocks(op, frame);
  if (op.getKind() == kernel::AttentionKind::grad_key_value)
    emitAttentionKeyValue(blocks);
  else
    emitAttentionQuery(blocks);
  return success();
}

int64_t attentionScratchBytes(kernel::AttentionOp op) { return AttentionPlan(op).scratchBytes; }

} // namespace weft::cpu
