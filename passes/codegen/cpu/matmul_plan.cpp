#include "passes/codegen/cpu/matmul_plan.h"

#include "llvm/Support/MathExtras.h"

using namespace mlir;
namespace weft::cpu {

// Partial sums that wait in scratch: at most this much, so that they stay in the second level cache beside
// the packed operands.
constexpr int64_t kPartialBytes = 256 * 1024;

// The schedule's tile where the level's registers hold its accumulators, one row of rhs and a broadcast; else
// the tallest tile of 16 columns.
static MatmulTile tileFor(kernel::ScheduleAttr schedule, int64_t elementBytes, const CpuLevel &level) {
  int64_t perVector = level.registersPerLanes() * elementBytes / 4;
  MatmulTile tile{schedule.getTileM(), int64_t(llvm::divideCeil(schedule.getTileN(), kLanes))};
  auto registers = [&](MatmulTile t) { return perVector * (t.rows * t.vectors + t.vectors) + 1; };
  if (registers(tile) > level.vectorRegisters) tile.vectors = 1;
  tile.rows = std::min<int64_t>(tile.rows, kLanes); // the packers interleave at most 16 rows
  while (tile.rows > 1 && registers(tile) > level.vectorRegisters) --tile.rows;
  return tile;
}

static bool isIdentity(kernel::MatmulOp op) {
  Operation *yield = op.getBody().front().getTerminator();
  return yield->getNumOperands() == 1 && yield->getOperand(0) == op.getBody().getArgument(0);
}

MatmulPlan planMatmul(kernel::MatmulOp op, const CpuLevel &level) {
  MatmulPlan plan;
  plan.element = cast<RankedTensorType>(op.getLhs().getType()).getElementType();
  kernel::ScheduleAttr schedule = *op.getSchedule();
  int64_t bytes = memoryBytes(plan.element);
  plan.tile = tileFor(schedule, bytes, level);
  plan.blockM = schedule.getBlockM();
  plan.blockN = schedule.getBlockN();
  plan.blockK = schedule.getBlockK();
  plan.direct = isIdentity(op) && cast<kernel::AccessAttr>(op.getOutputAccess()[0]).getStrides()[2] == 1;
  bool rowsContiguous = op.getLhsAccess().getStrides()[1] == 1;
  plan.lhsWidth = rowsContiguous ? plan.tile.rows : int64_t(llvm::PowerOf2Ceil(plan.tile.rows));
  plan.partialColumns = llvm::alignTo(plan.blockN, plan.tile.columns());
  plan.chunkBlocks = std::max<int64_t>(1, kPartialBytes / (plan.blockM * plan.partialColumns * bytes));

  auto place = [&](int64_t elements) {
    int64_t offset = plan.scratchBytes;
    plan.scratchBytes += llvm::alignTo(elements * bytes, 64);
    return offset;
  };
  plan.scratchBytes = 0;
  plan.rhsOffset = place(plan.partialColumns * plan.blockK);
  plan.lhsOffset = place(llvm::divideCeil(plan.blockM, plan.tile.rows) * plan.blockK * plan.lhsWidth);
  plan.partialOffset = place(plan.direct ? 0 : plan.chunkBlocks * plan.blockM * plan.partialColumns);
  return plan;
}

LogicalResult checkMatmul(kernel::MatmulOp op) {
  auto typeOf = [](Value v) { return cast<RankedTensorType>(v.getType()).getElementType(); };
  Type type = typeOf(op.getLhs());
  if (!type.isF32() && !type.isF64())
    return op.emitOpError() << "multiplies " << type << " when the CPU's dot unit takes f32 or f64";
  if (typeOf(op.getRhs()) != type)
    return op.emitOpError() << "multiplies " << type << " by " << typeOf(op.getRhs())
                            << "; cast one of them first";
  if (op.getBody().getArgument(0).getType() != type)
    return op.emitOpError() << "accumulates in " << op.getBody().getArgument(0).getType()
                            << " when its operands are " << type;
  if (op.getInit() && typeOf(op.getInit()) != type)
    return op.emitOpError() << "starts from " << typeOf(op.getInit()) << " when its operands are " << type;
  if (!op.getSchedule()) return op.emitOpError("has no schedule; schedule-kernels gives it one");
  kernel::ScheduleAttr s = *op.getSchedule();
  for (int64_t size : {s.getTileM(), s.getTileN(), s.getBlockM(), s.getBlockN(), s.getBlockK()})
    if (size <= 0) return op.emitOpError("has a schedule with a size that is not positive: ") << s;
  for (Attribute a : op.getExtraAccess())
    if (cast<kernel::AccessAttr>(a).getIndex() >= 0)
      return op.emitOpError("has an indexed access; matmul takes none");
  return success();
}

} // namespace weft::cpu
