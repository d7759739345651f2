#include "passes/codegen/cpu/matmul_unit.h"

using namespace mlir;
namespace weft::cpu {

Values FmaUnit::zero() { return Values(tile.rows * tile.vectors, zeroOf(b, laneType(element))); }

// The mask of each of a tile's vectors; nulls for a whole tile.
static Values tileMasks(Builder &b, const TileAddress &tile, int64_t vectors) {
  Values masks(vectors);
  if (tile.columns)
    for (int64_t v = 0; v < vectors; ++v) masks[v] = tailMask(b, lanesLeft(b, tile.columns, v));
  return masks;
}

Values FmaUnit::loadAcc(const TileAddress &from) {
  Values acc, masks = tileMasks(b, from, tile.vectors);
  for (int64_t r = 0; r < tile.rows; ++r) {
    Value row = elementAddress(b, from.pointer, mulI64(b, from.rowStride, r), element);
    for (int64_t v = 0; v < tile.vectors; ++v)
      acc.push_back(
          loadLanes(b, elementAddress(b, row, constantI64(b, v * kLanes), element), element, masks[v]));
  }
  return acc;
}

void FmaUnit::storeAcc(const TileAddress &to, ValueRange acc) {
  Values masks = tileMasks(b, to, tile.vectors);
  for (int64_t r = 0; r < tile.rows; ++r) {
    Value row = elementAddress(b, to.pointer, mulI64(b, to.rowStride, r), element);
    for (int64_t v = 0; v < tile.vectors; ++v)
      storeLanes(b, elementAddress(b, row, constantI64(b, v * kLanes), element), acc[r * tile.vectors + v],
                 masks[v]);
  }
}

Values FmaUnit::step(ValueRange acc, Value lhs, int64_t lhsRowStride, Value panelRow) {
  Values rhs, next;
  for (int64_t v = 0; v < tile.vectors; ++v)
    rhs.push_back(loadLanes(b, elementAddress(b, panelRow, constantI64(b, v * kLanes), element), element));
  for (int64_t r = 0; r < tile.rows; ++r) {
    Value x =
        splat(b, loadScalar(b, elementAddress(b, lhs, constantI64(b, r * lhsRowStride), element), element));
    for (int64_t v = 0; v < tile.vectors; ++v)
      next.push_back(b.create<LLVM::FMAOp>(x, rhs[v], acc[r * tile.vectors + v]));
  }
  return next;
}

Values FmaUnit::chain(ValueRange acc, const LhsAddress &lhs, Value panel, Value count, int64_t unroll) {
  auto steps = [&](Value from, Value to, int64_t unrolled, ValueRange start) {
    return forLoop(b, from, to, unrolled, start, [&](Value k, ValueRange carried) {
      Values now(carried);
      Value lhsRow = elementAddress(b, lhs.pointer, mulI64(b, k, lhs.kStride), element);
      Value panelRow = elementAddress(b, panel, mulI64(b, k, tile.columns()), element);
      for (int64_t u = 0; u < unrolled; ++u) {
        now = step(now, u == 0 ? lhsRow : elementAddress(b, lhsRow, mulI64(b, lhs.kStride, u), element),
                   lhs.rowStride, elementAddress(b, panelRow, constantI64(b, u * tile.columns()), element));
      }
      return now;
    });
  };
  Value whole = subI64(b, count, remI64(b, count, constantI64(b, unroll)));
  Values now = steps(constantI64(b, 0), whole, unroll, acc);
  return steps(whole, count, 1, now);
}

} // namespace weft::cpu
