// Operands on their way: while a block is computed, what is packed next comes into the second level. Packing
// waits for memory otherwise: a gradient of a weight spent a fifth of its time there. Of rows of k alone;
// what lies along k is packed a tile at a time, which asks for the next tile (nextLhs).
#include "passes/codegen/cpu/matmul_emitter.h"

using namespace mlir;
namespace weft::cpu {

static Value choose(Builder &b, Value condition, Value x, Value y) {
  return b.create<arith::SelectOp>(condition, x, y);
}

// Rows [k, k + depth) of an operand, with `parts` tiles.
MatmulEmitter::Coming MatmulEmitter::comingRows(int64_t access, Value source, Value k, Value end,
                                                int64_t elements, Value parts, Value done) {
  Value depth = maxI64(b, minI64(b, subI64(b, end, k), constantI64(b, plan.blockK)), constantI64(b, 0));
  // As many with each tile, so that nothing is divided there. A block may have rows for no tile.
  parts = maxI64(b, parts, constantI64(b, 1));
  Value each = divI64(b, subI64(b, addI64(b, depth, parts), constantI64(b, 1)), parts);
  return {access, elements * memoryBytes(plan.element), source, k, depth, each, done};
}

// Where the next K block begins: of groups of k the next one's first.
std::pair<Value, Value> MatmulEmitter::nextK(const Block &block) {
  const bool cut = op.getGroups() && op.getGrouped() == kernel::GroupedBy::k;
  Value next = addI64(b, block.k, plan.blockK);
  if (!cut) return {next, block.kEnd};
  return {minI64(b, next, block.kEnd), frame.size(3)};
}

// The next m block with the same k, or the first one with the next k.
MatmulEmitter::Coming MatmulEmitter::lhsComing(const Block &block, Value mBlock, Value tiles) {
  if (plan.streamedTiles > 0 || !frame.strideIs(kLhsAccess, 1, 1)) return {};
  Value after = addI64(b, mBlock, 1), more = lessThan(b, after, block.chunkEnd);
  auto [next, end] = nextK(block);
  Value k = choose(b, more, block.k, next);
  Value row = addI64(b, block.rowBegin, mulI64(b, choose(b, more, after, block.chunk), plan.blockM));
  return comingRows(kLhsAccess, access(kLhsAccess, block.batch, row, k), k, choose(b, more, block.kEnd, end),
                    plan.blockM, tiles, constantI64(b, 0));
}

// The next K block, a part of it with each m block.
MatmulEmitter::Coming MatmulEmitter::rhsComing(const Block &block, Value mBlock, Value columnTiles) {
  if (plan.inPlace || op.getPackedRhs() || plan.streamedTiles > 0 || !frame.strideIs(kRhsAccess, 2, 1))
    return {};
  // The tiles of the chunk's m blocks, of which the last may have fewer.
  auto tilesBefore = [&](Value mBlocks) {
    Value rows = minI64(b, mulI64(b, mBlocks, plan.blockM), subI64(b, block.rowEnd, block.rowBegin));
    return mulI64(b, columnTiles, divI64(b, rows, plan.tile.rows));
  };
  Value done = tilesBefore(block.chunk);
  auto [k, end] = nextK(block);
  return comingRows(kRhsAccess, access(kRhsAccess, block.batch, k, block.column), k, end, plan.blockN,
                    subI64(b, tilesBefore(block.chunkEnd), done), subI64(b, tilesBefore(mBlock), done));
}

void MatmulEmitter::askFor(const Coming &coming, Value tile) {
  if (!coming.source) return;
  Value from = mulI64(b, addI64(b, coming.done, tile), coming.each);
  forLoop(b, from, minI64(b, addI64(b, from, coming.each), coming.rows), 1, [&](Value i) {
    Value row = at(coming.source, along(coming.access, coming.access == kLhsAccess ? 2 : 1, coming.first, i),
                   plan.element);
    // A loop, so that kernels with other blocks have the same code (share_code.h).
    forLoop(b, 0, constantI64(b, coming.bytes), kLineBytes, [&](Value byte) {
      b.create<LLVM::Prefetch>(at(row, byte, b.getI8Type()), /*rw=*/0, /*hint=*/2, /*cache=*/1);
    });
  });
}

// The next tile's sums, in the rows below behind the last column: a line of each row at a time is no stream
// that the processor would see.
void MatmulEmitter::askForSums(DotUnit &unit, const Block &block, const Rows &rows, Value column) {
  if (plan.streamedTiles > 0) return; // rows are innermost there
  const int64_t lineElements = kLineBytes / memoryBytes(plan.sum);
  Value next = addI64(b, column, plan.tile.columns()), more = lessThan(b, next, block.columns);
  Value row = addI64(b, rows.row, choose(b, more, constantI64(b, 0), constantI64(b, unit.shape().rows)));
  next = addI64(b, block.column, choose(b, more, next, constantI64(b, 0)));
  for (int64_t r = 0; r < unit.shape().rows; ++r)
    for (int64_t at = 0; at < plan.tile.columns(); at += lineElements)
      prefetch(access(output, block.batch, addI64(b, row, r), addI64(b, next, at)));
}

} // namespace weft::cpu
