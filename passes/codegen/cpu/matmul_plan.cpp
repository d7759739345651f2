#include "passes/codegen/cpu/matmul_plan.h"
#include "passes/codegen/cpu/matmul_heuristics.h"

#include "mlir/Dialect/Math/IR/Math.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
namespace weft::cpu {

// Partial sums that wait in scratch: at most this much, so that they stay in the second level cache beside
// the packed operands.
constexpr int64_t kPartialBytes = 256 * 1024;

// The schedule's tile where the level's registers hold its accumulators, one row of rhs and a broadcast; else
// the tallest tile of 16 columns.
static MatmulTile tileFor(kernel::ScheduleAttr schedule, UnitFacts unit, int64_t sumBytes,
                          const CpuLevel &level) {
  if (unit.kind == UnitKind::amx) return {2 * kAmxRows, schedule.getBlockN() > kLanes ? 2 : 1};
  int64_t perVector = level.registersPerLanes() * sumBytes / 4;
  MatmulTile tile{schedule.getTileM(), int64_t(llvm::divideCeil(schedule.getTileN(), kLanes))};
  auto registers = [&](MatmulTile t) { return perVector * unit.vectorsFor(t) + 1; };
  if (registers(tile) > level.vectorRegisters) tile.vectors = 1;
  tile.rows = std::min<int64_t>(tile.rows, kLanes); // the packers interleave at most 16 rows
  while (tile.rows > 1 && registers(tile) > level.vectorRegisters) --tile.rows;
  return tile;
}

static bool isIdentity(kernel::MatmulOp op) {
  Operation *yield = op.getBody().front().getTerminator();
  return yield->getNumOperands() == 1 && yield->getOperand(0) == op.getBody().getArgument(0);
}

// Few enough operations that a copy for every vector of a tile is no burden.
static bool isShort(Block &body) {
  constexpr size_t kMostOperations = 6;
  return body.getOperations().size() <= kMostOperations + 1 &&
         llvm::none_of(body, [](Operation &op) { return isa<math::MathDialect>(op.getDialect()); });
}

MatmulPlan planMatmul(kernel::MatmulOp op, const CpuLevel &level) {
  MatmulPlan plan;
  plan.element = cast<RankedTensorType>(op.getLhs().getType()).getElementType();
  kernel::ScheduleAttr schedule = *op.getSchedule();
  plan.sum = op.getBody().getArgument(0).getType();
  plan.unit = unitFacts(op.getReduction()->getUnit(), level);
  plan.packed = plan.unit.pack == 2 ? IntegerType::get(op.getContext(), 32) : plan.element;
  int64_t bytes = memoryBytes(plan.sum), packedBytes = memoryBytes(plan.packed);
  bool amx = plan.unit.kind == UnitKind::amx;
  plan.tile = tileFor(schedule, plan.unit, bytes, level);
  // A tile of packed columns lies within a panel.
  if (op.getPackedRhs())
    plan.tile.vectors = std::min<int64_t>(plan.tile.vectors, kernel::kPanelColumns / kLanes);
  plan.blockM = schedule.getBlockM();
  plan.blockN = schedule.getBlockN();
  plan.blockK = schedule.getBlockK();
  plan.steps = llvm::alignTo(plan.blockK, plan.unit.kMultiple) / plan.unit.pack;
  plan.direct =
      !amx && isIdentity(op) && cast<kernel::AccessAttr>(op.getOutputAccess()[0]).getStrides()[2] == 1;
  plan.epilogueInRegisters = !amx && !plan.direct && isShort(op.getBody().front());
  bool few = plan.tile.rows > 1 && plan.blockM <= kFewRows;
  // Half of the registers hold what is transposed.
  bool transposes =
      few && schedule.getTileN() == kLanes && plan.unit.columnsTogether == kLanes && !op.getGroups();
  plan.inPlace = takesRhsInPlace(op) && (plan.tile.rows == 1 || transposes);
  bool streams = !amx && few && (op.getPackedRhs() || plan.inPlace) && !op.getGroups();
  plan.streamedTiles = streams ? plan.blockM / plan.tile.rows : 0;
  bool rowsContiguous = op.getLhsAccess().getStrides()[1] == 1;
  plan.lhsWidth = rowsContiguous ? plan.tile.rows : int64_t(llvm::PowerOf2Ceil(plan.tile.rows));
  plan.lhsRowBytes =
      plan.steps * packedBytes + 64; // rows 2048 bytes apart would share their places in the first level
  plan.lhsTileBytes = amx ? plan.tile.rows * plan.lhsRowBytes
                          : llvm::alignTo(plan.steps * plan.lhsWidth * packedBytes, kLineBytes) + kLineBytes;
  plan.rhsTileBytes = plan.steps * plan.tile.columns() * packedBytes + kLineBytes;
  plan.partialColumns = llvm::alignTo(plan.blockN, plan.tile.columns());
  plan.partialRows = amx ? llvm::alignTo(plan.blockM, plan.tile.rows) : plan.blockM;
  plan.chunkBlocks = std::max<int64_t>(1, kPartialBytes / (plan.partialRows * plan.partialColumns * bytes));

  auto place = [&](int64_t size) {
    int64_t offset = plan.scratchBytes;
    plan.scratchBytes += llvm::alignTo(size, 64);
    return offset;
  };
  plan.scratchBytes = 0;
  plan.rhsOffset = place(
      op.getPackedRhs() || plan.inPlace ? 0 : plan.partialColumns / plan.tile.columns() * plan.rhsTileBytes);
  plan.lhsOffset = place(plan.inPlace && plan.tile.rows == 1
                             ? 0
                             : (amx ? 1 : llvm::divideCeil(plan.blockM, plan.tile.rows)) * plan.lhsTileBytes);
  plan.partialOffset =
      place(plan.direct ? 0 : plan.chunkBlocks * plan.partialRows * plan.partialColumns * bytes);
  plan.configOffset = place(amx ? 64 : 0);
  return plan;
}

LogicalResult checkMatmul(kernel::MatmulOp op) {
  auto typeOf = [](Value v) { return cast<RankedTensorType>(v.getType()).getElementType(); };
  Type type = typeOf(op.getLhs());
  if (!type.isF32() && !type.isF64() && !type.isBF16())
    return op.emitOpError() << "multiplies " << type << " when the CPU's dot units take f32, f64 or bf16";
  if (typeOf(op.getRhs()) != type)
    return op.emitOpError() << "multiplies " << type << " by " << typeOf(op.getRhs())
                            << "; cast one of them first";
  Type sum = type.isBF16() ? Float32Type::get(op.getContext()) : type;
  if (op.getBody().getArgument(0).getType() != sum)
    return op.emitOpError() << "accumulates in " << op.getBody().getArgument(0).getType()
                            << " when its operands are " << type;
  if (op.getInit() && typeOf(op.getInit()) != sum)
    return op.emitOpError() << "starts from " << typeOf(op.getInit()) << " when its sums are " << sum;
  if (!op.getReduction()) return op.emitOpError("has no reduction; schedule-kernels gives it one");
  StringRef unit = op.getReduction()->getUnit();
  if (type.isBF16() ? unit != "amx" && unit != "vdpbf16" : unit != "fma")
    return op.emitOpError() << "multiplies " << type << " with the dot unit " << unit
                            << "; fma is for f32 and f64, amx and vdpbf16 for bf16";
  if (type.isBF16() && op.getSchedule() && op.getSchedule()->getBlockK() % 32 != 0 &&
      op.getSchedule()->getBlockK() < op.getSizes()[3])
    return op.emitOpError() << "has K blocks of " << op.getSchedule()->getBlockK()
                            << ", which would cut a group of 32 of bf16";
  if (!op.getSchedule()) return op.emitOpError("has no schedule; schedule-kernels gives it one");
  kernel::ScheduleAttr s = *op.getSchedule();
  for (int64_t size : {s.getTileM(), s.getTileN(), s.getBlockM(), s.getBlockN(), s.getBlockK()})
    if (size <= 0) return op.emitOpError("has a schedule with a size that is not positive: ") << s;
  return success();
}

} // namespace weft::cpu
