// Operands on their way: while a block is computed, what is packed next comes into the second level. Packing
// waits for memory otherwise: a gradient of a weight spent a fifth of its time there. Of rows of k alone;
// what lies along k is packed a tile at a time, which asks for the next tile (nextLhs).
//
// A tile asks for one line of a row with each iteration of its loop over k: a request for many lines at once
// waits for memory. Those rows are as far apart as k is in successive iterations, and as many tiles ask for
// one line of all rows; the tiles behind them for the next one. Blocks of few tiles ask for a part.
#include "passes/codegen/cpu/matmul_emitter.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
namespace weft::cpu {

static Value choose(Builder &b, Value condition, Value x, Value y) {
  return b.create<arith::SelectOp>(condition, x, y);
}

// Rows [k, k + as many as a K block has) of an operand.
MatmulEmitter::Coming MatmulEmitter::comingRows(int64_t access, Value source, Value k, Value end,
                                                int64_t elements) {
  Value rows = minI64(b, subI64(b, end, k), constantI64(b, plan.blockK));
  const int64_t lines = llvm::divideCeil(elements * memoryBytes(plan.element), kLineBytes);
  return {access, lines, source, k, rows, {}, {}, {}};
}

// Where the next K block begins: of groups of k the next one's first.
std::pair<Value, Value> MatmulEmitter::nextK(const Block &block) {
  const bool cut = op.getGroups() && op.getGrouped() == kernel::GroupedBy::k;
  Value next = addI64(b, block.k, plan.blockK);
  if (!cut) return {next, block.kEnd};
  return {minI64(b, next, block.kEnd), frame.size(3)};
}

// The next m block with the same k, or the first one with the next k.
MatmulEmitter::Coming MatmulEmitter::lhsComing(const Block &block, Value mBlock) {
  if (plan.streamedTiles > 0 || !frame.strideIs(kLhsAccess, 1, 1)) return {};
  Value after = addI64(b, mBlock, 1), more = lessThan(b, after, block.chunkEnd);
  auto [next, end] = nextK(block);
  Value k = choose(b, more, block.k, next);
  Value row = addI64(b, block.rowBegin, mulI64(b, choose(b, more, after, block.chunk), plan.blockM));
  return comingRows(kLhsAccess, access(kLhsAccess, block.batch, row, k), k, choose(b, more, block.kEnd, end),
                    plan.blockM);
}

// The next K block.
MatmulEmitter::Coming MatmulEmitter::rhsComing(const Block &block, Value mBlock) {
  if (plan.inPlace || op.getPackedRhs() || plan.streamedTiles > 0 || !frame.strideIs(kRhsAccess, 2, 1))
    return {};
  auto [k, end] = nextK(block);
  return comingRows(kRhsAccess, access(kRhsAccess, block.batch, k, block.column), k, end, plan.blockN);
}

std::array<MatmulEmitter::Coming, 2> MatmulEmitter::comingTo(const Block &block, Value mBlock) {
  Coming lhs = lhsComing(block, mBlock), rhs = rhsComing(block, mBlock);
  Value zero = constantI64(b, 0);
  Value tiles = mulI64(b, ceilDivI64(b, block.columns, plan.tile.columns()), plan.blockM / plan.tile.rows);
  lhs.skipped = lhs.done = rhs.skipped = rhs.done = lhs.turns = zero;
  if (rhs.source) {
    // As much with each m block: what is asked for early pushes out what is read now.
    Value blocks = subI64(b, block.chunkEnd, block.chunk), all = constantI64(b, rhs.lines * rowsApart());
    rhs.turns = divI64(b, subI64(b, addI64(b, all, blocks), constantI64(b, 1)), blocks);
    if (lhs.source) rhs.turns = minI64(b, rhs.turns, ceilDivI64(b, tiles, 2));
    rhs.done = mulI64(b, subI64(b, mBlock, block.chunk), rhs.turns);
  }
  if (lhs.source) {
    lhs.turns = constantI64(b, lhs.lines * rowsApart());
    if (rhs.source) lhs.turns = minI64(b, lhs.turns, subI64(b, tiles, rhs.turns));
    rhs.skipped = lhs.turns;
  }
  return {lhs, rhs};
}

Ahead MatmulEmitter::tileAhead(const Block &block, const std::array<Coming, 2> &both, Value tile) {
  const int64_t apart = rowsApart();
  std::vector<std::function<void(Value k)>> requests;
  // Of rows that are as far from one another as the first two: of one operand, since no tile asks for both.
  Value zero = constantI64(b, 0), pointer, stride;
  for (const Coming &coming : both) {
    if (!coming.source) continue;
    const int64_t operand = coming.access, dim = operand == kLhsAccess ? 2 : 1;
    Value within = subI64(b, tile, coming.skipped), turn = addI64(b, coming.done, within);
    Value line = divI64(b, turn, apart), first = remI64(b, turn, constantI64(b, apart));
    Value asks = atLeast(b, within, zero);
    // A block much lower than the one at hand is not worth the requests behind its end.
    for (Value holds : {lessThan(b, within, coming.turns), lessThan(b, line, constantI64(b, coming.lines)),
                        lessThan(b, first, coming.rows), atLeast(b, mulI64(b, coming.rows, 2), block.kCount)})
      asks = b.create<arith::AndIOp>(asks, holds);
    // What is not asked for is one line, again and again: cheaper than to look whether there is something.
    Value byte = choose(b, asks, mulI64(b, line, kLineBytes), zero);
    auto rowAt = [=, this](Value from, Value i) {
      Value row = at(coming.source, along(operand, dim, from, i), plan.element);
      return at(row, byte, b.getI8Type());
    };
    if (!isLookedUp(operand, dim)) {
      Value step = mulI64(b, bytesOf(frame.stride(operand, dim)), plan.unit.pack);
      pointer = choose(b, asks, rowAt(coming.first, first), pointer ? pointer : frame.scratch);
      stride = choose(b, asks, step, stride ? stride : zero);
      continue;
    }
    Value from = choose(b, asks, coming.first, block.k);
    first = choose(b, asks, first, zero);
    Value last = choose(b, asks, subI64(b, coming.rows, constantI64(b, 1)), zero);
    requests.push_back([=, this](Value k) {
      askFor(rowAt(from, minI64(b, addI64(b, first, mulI64(b, k, plan.unit.pack)), last)));
    });
  }
  if (pointer)
    requests.push_back([=, this](Value k) { askFor(at(pointer, mulI64(b, k, stride), b.getI8Type())); });
  if (requests.empty()) return {};
  return {{}, {}, 0, [=](Value k) {
            for (auto &request : requests) request(k);
          }};
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
