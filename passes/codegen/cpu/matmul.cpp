// The nest around a dot unit:
//   for each run of items of one (batch, n block)        a call's items, m innermost
//     (grouped: for each group that has rows, or K, there)
//     for each K block                                   partial sums wait in the output, or in scratch when
//     an epilogue follows
//       pack rhs      [n tile][k][tile_n] (not where it is packed, or read in place by few rows)
//       for each m block: pack lhs [m tile][k][rows]; for each m tile, n tile: the micro-kernel,
//       then the epilogue after the last K block
// Rows left over by the m tiles run through a micro-kernel of a few rows (AMX: of 16), of which not all need
// exist: the same chain, so the same bits. Those that do not are the last one again.
#include "passes/codegen/cpu/matmul.h"
#include "passes/codegen/cpu/matmul_emitter.h"
#include "passes/codegen/cpu/matmul_heuristics.h"
#include "llvm/ADT/bit.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
namespace weft::cpu {

Value MatmulEmitter::access(int64_t access, Value batch, Value row, Value column) {
  Value operand =
      access >= output ? op.getResult(access - output) : op->getOperand(access == kLhsAccess ? 0 : 1);
  if (access > kRhsAccess && access < output) operand = op.getExtras()[access - 2];
  Type type = cast<RankedTensorType>(operand.getType()).getElementType();
  return elementAddress(b, frame.buffer(access), frame.offset(access, {batch, row, column}), type);
}

Value MatmulEmitter::along(int64_t access, int64_t dim, Value first, Value i) {
  if (!isLookedUp(access, dim)) return mulI64(b, i, frame.stride(access, dim));
  int64_t rows = op.rowsNumber();
  Value at = elementAddress(b, frame.buffer(rows), frame.offset(rows, {addI64(b, first, i)}), b.getI32Type());
  return frame.offset(access, {}, loadScalar(b, at, b.getI32Type()));
}

void MatmulEmitter::emitRows(const Block &block, Value mBlock) {
  Value row = addI64(b, block.rowBegin, mulI64(b, mBlock, plan.blockM));
  Value rows = minI64(b, subI64(b, block.rowEnd, row), constantI64(b, plan.blockM));
  Value partialRow = mulI64(b, subI64(b, mBlock, block.chunk), plan.partialRows);
  if (plan.streamedTiles > 0)
    partialRow = b.create<arith::SelectOp>(block.oneBlock, constantI64(b, 0), partialRow);
  if (plan.unit.kind == UnitKind::amx) return emitAmxRows(block, row, rows, partialRow);
  Value tiles = divI64(b, rows, plan.tile.rows), tiled = mulI64(b, tiles, plan.tile.rows);
  if (plan.tile.rows > 1) {
    packLhs(block, row, tiles);
    if (plan.streamedTiles > 0) emitStreamedTiles(block, row, partialRow, tiles);
    const Value columnTiles = ceilDivI64(b, block.columns, plan.tile.columns());
    const auto coming = comingTo(block, mBlock);
    forLoop(b, 0, plan.streamedTiles > 0 ? constantI64(b, 0) : tiles, 1, [&](Value tile) {
      auto unit = makeUnit(b, plan.unit, plan.sum, plan.tile);
      Value within = mulI64(b, tile, plan.tile.rows), first = addI64(b, row, within);
      LhsAddress lhs{lhsTile(tile), 1, constantI64(b, plan.lhsWidth)};
      const Rows here{first, constantI64(b, plan.tile.rows), addI64(b, partialRow, within)};
      auto aheadOf = [&](Value column) {
        Value number = addI64(b, mulI64(b, tile, columnTiles), divI64(b, column, plan.tile.columns()));
        return tileAhead(block, coming, number);
      };
      emitTiles(*unit, block, here, lhs, aheadOf);
    });
  } else {
    tiled = constantI64(b, 0);
  }
  // Pairs are packed in rows of a power of two.
  const int64_t height = llvm::bit_floor(uint64_t(std::min(plan.tile.rows, kTailRows)));
  forLoop(b, tiled, rows, height, [&](Value within) {
    auto unit = makeUnit(b, plan.unit, plan.sum, {height, plan.tile.vectors, plan.tile.rows > 1});
    Value count = constantI64(b, 1);
    if (height > 1) count = minI64(b, subI64(b, rows, within), constantI64(b, height));
    Rows tail{addI64(b, row, within), count, addI64(b, partialRow, within)};
    emitTiles(*unit, block, tail, tailLhs(block, tail, height));
  });
}

// Tiles of 32 rows, then of 16, of which not all need exist.
void MatmulEmitter::emitAmxRows(const Block &block, Value row, Value rows, Value partialRow) {
  Value whole = mulI64(b, divI64(b, rows, plan.tile.rows), plan.tile.rows);
  auto some = [&](Value from, Value to, int64_t height) {
    forLoop(b, from, to, height, [&](Value within) {
      auto unit = makeUnit(b, plan.unit, plan.sum, {height, plan.tile.vectors});
      Rows part{addI64(b, row, within), minI64(b, subI64(b, rows, within), constantI64(b, height)),
                addI64(b, partialRow, within)};
      Value packed = scratchAt(plan.lhsOffset);
      packLhsRows(block, part.row, part.count, packed);
      emitTiles(*unit, block, part, {packed, plan.lhsRowBytes, {}});
    });
  };
  some(constantI64(b, 0), whole, plan.tile.rows);
  some(whole, rows, kAmxRows);
}

void MatmulEmitter::emitColumns(Block block) {
  Value mBlocks = ceilDivI64(b, subI64(b, block.rowEnd, block.rowBegin), plan.blockM);
  Value depth = subI64(b, block.kEnd, block.kBegin);
  block.oneBlock = atLeast(b, constantI64(b, plan.blockK), depth);
  // A chunk is as many m blocks as scratch holds partial sums for; all of them where nothing waits in
  // scratch.
  Value chunk = mBlocks;
  if (!plan.direct)
    chunk = b.create<arith::SelectOp>(block.oneBlock, chunk, constantI64(b, plan.chunkBlocks));
  Value chunks = divI64(b, subI64(b, addI64(b, mBlocks, chunk), constantI64(b, 1)), chunk);
  forLoop(b, 0, chunks, 1, [&](Value index) {
    block.chunk = mulI64(b, index, chunk);
    block.chunkEnd = minI64(b, addI64(b, block.chunk, chunk), mBlocks);
    // At least once: a sum of nothing is zero, too.
    Value kEnd = maxI64(b, block.kEnd, addI64(b, block.kBegin, 1));
    forLoop(b, block.kBegin, kEnd, plan.blockK, [&](Value k) {
      block.k = k;
      block.kCount = minI64(b, subI64(b, block.kEnd, k), constantI64(b, plan.blockK));
      Value filled = addI64(b, block.kCount, plan.unit.kMultiple - 1);
      filled = subI64(b, filled, remI64(b, filled, constantI64(b, plan.unit.kMultiple)));
      block.steps = plan.unit.kMultiple == 1 ? block.kCount : divI64(b, filled, plan.unit.pack);
      block.first = b.create<arith::CmpIOp>(arith::CmpIPredicate::eq, k, block.kBegin);
      block.last = atLeast(b, addI64(b, k, plan.blockK), block.kEnd);
      if (!op.getPackedRhs() && !plan.inPlace) packRhs(block);
      forLoop(b, block.chunk, block.chunkEnd, 1, [&](Value mBlock) { emitRows(block, mBlock); });
    });
  });
}

Value MatmulEmitter::groupBound(Value group) {
  int64_t which = 2 + op.getExtras().size();
  Value at = elementAddress(b, frame.buffer(which), frame.offset(which, {group}), b.getI32Type());
  Value bound = b.create<arith::ExtSIOp>(b.getI64Type(), loadScalar(b, at, b.getI32Type()));
  Value most = frame.size(op.getGrouped() == kernel::GroupedBy::m ? 1 : 3);
  return maxI64(b, minI64(b, bound, most), constantI64(b, 0));
}

void MatmulEmitter::emitRun(Value run, Value low, Value high) {
  Value nBlocks = ceilDivI64(b, frame.size(2), plan.blockN);
  Block block;
  block.batch = divI64(b, run, nBlocks);
  block.column = mulI64(b, remI64(b, run, nBlocks), plan.blockN);
  block.columns = minI64(b, subI64(b, frame.size(2), block.column), constantI64(b, plan.blockN));
  block.rowBegin = mulI64(b, low, plan.blockM);
  block.rowEnd = minI64(b, mulI64(b, high, plan.blockM), frame.size(1));
  block.kBegin = constantI64(b, 0);
  block.kEnd = frame.size(3);
  if (!op.getGroups()) return emitColumns(block);
  forLoop(b, 0, frame.size(0), 1, [&](Value group) {
    Block part = block;
    part.batch = group;
    Value begin = groupBound(group), end = groupBound(addI64(b, group, 1));
    if (op.getGrouped() == kernel::GroupedBy::m) {
      part.rowBegin = maxI64(b, begin, block.rowBegin);
      part.rowEnd = minI64(b, end, block.rowEnd);
      ifThen(b, lessThan(b, part.rowBegin, part.rowEnd), [&] { emitColumns(part); });
      return;
    }
    part.kBegin = begin;
    part.kEnd = maxI64(b, begin, end);
    if (op.getInit() && plan.direct) // nothing to add: the sum is there
      ifThen(b, lessThan(b, begin, end), [&] { emitColumns(part); });
    else
      emitColumns(part);
  });
}

LogicalResult MatmulEmitter::emit() {
  if (plan.unit.kind == UnitKind::amx) beginAmx(b, scratchAt(plan.configOffset));
  Value mBlocks = ceilDivI64(b, frame.size(1), plan.blockM);
  Value firstRun = divI64(b, frame.begin, mBlocks);
  Value lastRun = divI64(b, subI64(b, addI64(b, frame.end, mBlocks), constantI64(b, 1)), mBlocks);
  forLoop(b, firstRun, lastRun, 1, [&](Value run) {
    Value base = mulI64(b, run, mBlocks);
    Value low = maxI64(b, subI64(b, frame.begin, base), constantI64(b, 0)),
          high = minI64(b, subI64(b, frame.end, base), mBlocks);
    emitRun(run, low, high);
  });
  if (plan.unit.kind == UnitKind::amx) endAmx(b);
  return status;
}

LogicalResult emitMatmul(kernel::MatmulOp op, KernelFrame &frame) {
  if (failed(checkMatmul(op))) return failure();
  return MatmulEmitter(op, frame).emit();
}

int64_t matmulScratchBytes(kernel::MatmulOp op) {
  int64_t most = 0;
  for (const CpuLevel *level : cpuLevels()) most = std::max(most, planMatmul(op, *level).scratchBytes);
  return most;
}

} // namespace weft::cpu
