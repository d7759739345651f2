#include "passes/codegen/cpu/matmul_unit.h"
#include "passes/codegen/cpu/matmul_pack.h"
#include "passes/codegen/cpu/matmul_units.h"

#include "llvm/ADT/Sequence.h"
#include "llvm/ADT/bit.h"

using namespace mlir;
namespace weft::cpu {

// Steps a loop iteration: as many as make a few dozen products, which hide what a loop costs. More only make
// more code, and these loops are most of a program's.
static int64_t unrollFor(MatmulTile tile) {
  int64_t steps = 48 / (tile.rows * tile.vectors);
  return std::clamp<int64_t>(llvm::bit_floor(uint64_t(steps)), 1, 4);
}

UnitFacts unitFacts(StringRef unit, const CpuLevel &level) {
  if (unit == "vdpbf16") return {level.bf16 ? UnitKind::dotPair : UnitKind::fmaPair, 2, 2};
  if (unit == "amx") return {level.amx ? UnitKind::amx : UnitKind::fmaGroup, 2, 32};
  return {UnitKind::fma, 1, 1, std::min(kLanes, level.vectorRegisters / 2)};
}

int64_t UnitFacts::vectorsFor(MatmulTile tile) const {
  int64_t acc = tile.rows * tile.vectors;
  switch (kind) {
  case UnitKind::fma:
  case UnitKind::dotPair:
    return acc + tile.vectors;
  case UnitKind::fmaPair:
    return acc + 2 * tile.vectors + 1;
  case UnitKind::fmaGroup: // the sums, and two chains from zero
    return 3 * acc + 2 * tile.vectors + 1;
  case UnitKind::amx:
    return 0;
  }
  llvm_unreachable("unit");
}

Values DotUnit::zero() { return Values(tile.rows * tile.vectors, zeroOf(b, laneType(sum))); }

// The mask of each of a tile's vectors; nulls for a whole tile.
static Values tileMasks(Builder &b, const TileAddress &tile, int64_t vectors) {
  Values masks(vectors);
  if (tile.columns)
    for (int64_t v = 0; v < vectors; ++v) masks[v] = tailMask(b, lanesLeft(b, tile.columns, v));
  return masks;
}

Values DotUnit::loadAcc(const TileAddress &from) {
  Values acc, masks = tileMasks(b, from, tile.vectors);
  for (int64_t r = 0; r < tile.rows; ++r) {
    Value row = elementAddress(b, from.pointer, mulI64(b, from.rowStride, r), sum);
    for (int64_t v = 0; v < tile.vectors; ++v)
      acc.push_back(loadLanes(b, elementAddress(b, row, constantI64(b, v * kLanes), sum), sum, masks[v]));
  }
  return acc;
}

void DotUnit::storeAcc(const TileAddress &to, ValueRange acc) {
  Values masks = tileMasks(b, to, tile.vectors);
  for (int64_t r = 0; r < tile.rows; ++r) {
    Value row = elementAddress(b, to.pointer, mulI64(b, to.rowStride, r), sum);
    for (int64_t v = 0; v < tile.vectors; ++v)
      storeLanes(b, elementAddress(b, row, constantI64(b, v * kLanes), sum), acc[r * tile.vectors + v],
                 masks[v]);
  }
}

// Into the second level: the first holds what the chain reads.
void StepUnit::prefetch(Value line) { b.create<LLVM::Prefetch>(line, /*rw=*/0, /*hint=*/2, /*cache=*/1); }

void StepUnit::prefetch(const Ahead &ahead, Value k, int64_t steps) {
  for (int64_t i = 0; i < steps; ++i) {
    Value from = elementAddress(b, ahead.pointer, mulI64(b, addI64(b, k, i), ahead.stride), b.getI8Type());
    for (int64_t line = 0; line < ahead.lines; ++line)
      prefetch(elementAddress(b, from, constantI64(b, line * kLineBytes), b.getI8Type()));
  }
}

Values StepUnit::chain(ValueRange acc, const LhsAddress &lhs, const PanelAddress &panel, const Ahead &ahead,
                       Value count) {
  auto steps = [&](Value from, Value to, int64_t unrolled, ValueRange start) {
    return forLoop(b, from, to, unrolled, start, [&](Value k, ValueRange carried) {
      Values now(carried);
      Value lhsRow = elementAddress(b, lhs.pointer, mulI64(b, k, lhs.kStride), packed);
      Value panelRow = elementAddress(b, panel.pointer, mulI64(b, k, panel.stride), packed);
      if (ahead.pointer) prefetch(ahead, k, unrolled);
      for (int64_t u = 0; u < unrolled; ++u) {
        now = step(now, u == 0 ? lhsRow : elementAddress(b, lhsRow, mulI64(b, lhs.kStride, u), packed),
                   lhs.rowStride, elementAddress(b, panelRow, mulI64(b, panel.stride, u), packed));
      }
      return now;
    });
  };
  const int64_t unroll = unrollFor(tile);
  if (unroll == 1) return steps(constantI64(b, 0), count, 1, acc);
  Value whole = subI64(b, count, remI64(b, count, constantI64(b, unroll)));
  Values now = steps(constantI64(b, 0), whole, unroll, acc);
  return steps(whole, count, 1, now);
}

Values FmaUnit::step(ValueRange acc, Value lhs, int64_t lhsRowStride, Value panelRow) {
  Values rhs, next;
  for (int64_t v = 0; v < tile.vectors; ++v)
    rhs.push_back(loadLanes(b, elementAddress(b, panelRow, constantI64(b, v * kLanes), sum), sum));
  for (int64_t r = 0; r < tile.rows; ++r) {
    Value x = splat(b, loadScalar(b, elementAddress(b, lhs, constantI64(b, r * lhsRowStride), sum), sum));
    for (int64_t v = 0; v < tile.vectors; ++v)
      next.push_back(b.create<LLVM::FMAOp>(x, rhs[v], acc[r * tile.vectors + v]));
  }
  return next;
}

Values DotUnit::chainColumns(ValueRange, const LhsAddress &, const ColumnPointers &, Value, Value) {
  llvm_unreachable("a unit that takes packed panels alone");
}

Values FmaUnit::chainColumns(ValueRange acc, const LhsAddress &lhs, const ColumnPointers &columns, Value next,
                             Value count) {
  const int64_t group = transposed, groups = kLanes / group;
  const VectorType lanes = VectorType::get({group}, sum);
  // Sums of `group` columns: those of row r in group g of all columns are number r * groups * vectors + g.
  Values parts;
  for (Value a : acc)
    for (int64_t g = 0; g < groups; ++g)
      parts.push_back(
          b.create<vector::ShuffleOp>(a, a, llvm::to_vector(llvm::seq<int64_t>(g * group, (g + 1) * group))));
  auto add = [&](Value k, Value rhs, int64_t g, Values &now) {
    Value left = elementAddress(b, lhs.pointer, mulI64(b, k, lhs.kStride), sum);
    for (int64_t r = 0; r < tile.rows; ++r) {
      Value x = loadScalar(b, elementAddress(b, left, constantI64(b, r * lhs.rowStride), sum), sum);
      Value &a = now[r * groups * tile.vectors + g];
      a = b.create<LLVM::FMAOp>(b.create<vector::SplatOp>(lanes, x), rhs, a);
    }
  };
  auto forGroups = [&](Value begin, Value end, int64_t steps, ValueRange start, auto &&rowsOf) {
    return forLoop(b, begin, end, steps, start, [&](Value k, ValueRange carried) {
      Values sums(carried);
      for (int64_t g = 0; g < groups * tile.vectors; ++g)
        for (auto [i, rhs] : llvm::enumerate(rowsOf(k, ArrayRef<Value>(columns).slice(g * group, group))))
          add(addI64(b, k, int64_t(i)), rhs, g, sums);
      return sums;
    });
  };
  Value whole = subI64(b, count, remI64(b, count, constantI64(b, group)));
  Values now = forGroups(constantI64(b, 0), whole, group, parts, [&](Value k, ArrayRef<Value> of) {
    Values rows;
    for (Value column : of) {
      rows.push_back(b.create<LLVM::LoadOp>(lanes, elementAddress(b, column, k, sum), 4));
      if (next) prefetch(elementAddress(b, column, addI64(b, k, next), sum));
    }
    return group == kLanes ? interleave(b, rows) : transposeEight(b, rows);
  });
  now = forGroups(whole, count, 1, now, [&](Value k, ArrayRef<Value> of) {
    Value rhs = zeroOf(b, lanes);
    for (auto [i, column] : llvm::enumerate(of))
      rhs = b.create<vector::InsertOp>(loadScalar(b, elementAddress(b, column, k, sum), sum), rhs,
                                       ArrayRef<int64_t>{int64_t(i)});
    return Values{rhs};
  });
  Values sums;
  for (size_t i = 0; i < now.size(); i += groups) {
    Value last = now[i + groups - 1]; // two groups at most
    sums.push_back(b.create<vector::ShuffleOp>(now[i], last, llvm::to_vector(llvm::seq<int64_t>(0, kLanes))));
  }
  return sums;
}

std::unique_ptr<DotUnit> makeUnit(Builder &b, const UnitFacts &facts, Type sum, MatmulTile tile) {
  switch (facts.kind) {
  case UnitKind::fma:
    return std::make_unique<FmaUnit>(b, sum, tile, facts.transposed);
  case UnitKind::dotPair:
    return std::make_unique<DotPairUnit>(b, sum, tile);
  case UnitKind::fmaPair:
    return std::make_unique<FmaPairUnit>(b, sum, tile);
  case UnitKind::fmaGroup:
    return std::make_unique<FmaGroupUnit>(b, sum, tile);
  case UnitKind::amx:
    return std::make_unique<AmxUnit>(b, sum, tile);
  }
  llvm_unreachable("unit");
}

} // namespace weft::cpu
