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
    } else if (i == kLse || i == kDelta ? !type.isF32() : type != elementOf(op.getInputs()[0])) {
      return op.emitOpError() << "has an input of " << type << " beside queries of "
                              << elementOf(op.getInputs()[0])
                              << "; lse and delta should be f32, others all f32 or all bf16";
    }
  }
  bool bf16 = elementOf(op.getInputs()[0]).isBF16();
  if (!bf16 && !elementOf(op.getInputs()[0]).isF32())
    return op.emitOpError() << "has an input of " << elementOf(op.getInputs()[0])
                            << " when the CPU's attention takes f32 or bf16; cast it first";
  for (int64_t i : {5, 6})
    if (op.getSizes()[i] == kernel::kDynamic || op.getSizes()[i] <= 0)
      return op.emitOpError()
             << "has a width known only when it runs; D and E shape the code and must stay static";
  if (!op.getReduction()) return op.emitOpError("has no reduction; schedule-kernels gives it one");
  StringRef unit = op.getReduction()->getUnit();
  if (bf16 ? unit != "amx" && unit != "vdpbf16" : unit != "fma")
    return op.emitOpError() << "multiplies " << (bf16 ? "bf16" : "f32") << " with the dot unit " << unit
                            << "; fma is for f32, amx and vdpbf16 for bf16";
  int64_t block = op.getReduction()->getKeyBlock();
  if (block <= 0 || block % kLanes)
    return op.emitOpError() << "has key blocks of " << block << " keys when they should be a multiple of "
                            << kLanes;
  if (!op.getSchedule() || op.getSchedule()->getTileM() <= 0)
    return op.emitOpError("has no schedule with a positive tile_m; schedule-kernels gives it one");
  if (op.getKind() == kernel::AttentionKind::forward) return success();
  int64_t chunk = op.getSchedule()->getTileN();
  if (chunk <= 0 || chunk % block)
    return op.emitOpError() << "has chunks of " << chunk
                            << " keys (tile_n) when they should be a multiple of " << block
                            << ", its key block";
  for (Value result : op.getResults())
    if (!elementOf(result).isF32())
      return op.emitOpError() << "has a gradient of " << elementOf(result)
                              << " when it should be f32: sums are continued in it";
  return success();
}

LogicalResult emitAttention(kernel::AttentionOp op, KernelFrame &frame) {
  if (failed(check(op))) return failure();
  AttentionBlocks blocks(op, frame);
  bool amx = blocks.plan.unit.kind == UnitKind::amx;
  if (amx) beginAmx(blocks.b, blocks.scratch(blocks.plan.amxConfig));
  op.getKind() == kernel::AttentionKind::forward ? emitAttentionForward(blocks)
                                                 : emitAttentionBackward(blocks);
  if (amx) endAmx(blocks.b);
  return success();
}

int64_t attentionScratchBytes(kernel::AttentionOp op) {
  int64_t most = 0;
  for (const CpuLevel *level : cpuLevels()) most = std::max(most, AttentionPlan(op, *level).scratchBytes);
  return most;
}

} // namespace weft::cpu
