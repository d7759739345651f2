#include "passes/codegen/cpu/matmul_unit.h"
#include "passes/codegen/cpu/matmul_pack.h"
#include "passes/codegen/cpu/matmul_units.h"

#include "mlir/IR/Matchers.h"
#include "llvm/ADT/Sequence.h"
#include "llvm/ADT/bit.h"

using namespace mlir;
namespace weft::cpu {

// As many as make a few dozen products, which hide what a loop costs. More only make more code, and these
// loops are most of a program's. What is seldom run is not worth more than one.
int64_t MatmulTile::stepsTogether() const {
  if (seldom) return 1;
  return std::clamp<int64_t>(llvm::bit_floor(uint64_t(48 / (rows * vectors))), 1, 4);
}

UnitFacts unitFacts(StringRef unit, const CpuLevel &level) {
  const int64_t columnsTogether = std::min(kLanes, level.vectorRegisters / 2);
  if (unit == "vdpbf16") return {level.bf16 ? UnitKind::dotPair : UnitKind::fmaPair, 2, 2, columnsTogether};
  if (unit == "amx")
    return {level.amx ? UnitKind::amx : UnitKind::fmaGroup, 2, 32, columnsTogether,
            level.vectorRegisters < 32};
  return {UnitKind::fma, 1, 1, columnsTogether};
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
    return (sumsInMemory ? 2 : 3) * acc + 2 * tile.vectors + 1;
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

static Value rowOffset(Builder &b, const TileAddress &tile, int64_t r) {
  if (r == 0 || !tile.rows) return mulI64(b, tile.rowStride, r);
  return mulI64(b, tile.rowStride, minI64(b, constantI64(b, r), subI64(b, tile.rows, constantI64(b, 1))));
}

Values DotUnit::loadAcc(const TileAddress &from) {
  Values acc, masks = tileMasks(b, from, tile.vectors);
  for (int64_t r = 0; r < tile.rows; ++r) {
    Value row = elementAddress(b, from.pointer, rowOffset(b, from, r), sum);
    for (int64_t v = 0; v < tile.vectors; ++v)
      acc.push_back(loadLanes(b, elementAddress(b, row, constantI64(b, v * kLanes), sum), sum, masks[v]));
  }
  return acc;
}

void DotUnit::storeAcc(const TileAddress &to, ValueRange acc) {
  Values masks = tileMasks(b, to, tile.vectors);
  for (int64_t r = 0; r < tile.rows; ++r) {
    Value row = elementAddress(b, to.pointer, rowOffset(b, to, r), sum);
    for (int64_t v = 0; v < tile.vectors; ++v)
      storeLanes(b, elementAddress(b, row, constantI64(b, v * kLanes), sum), acc[r * tile.vectors + v],
                 masks[v]);
  }
}

// Into the second level: the first holds what the chain reads.
static void prefetch(Builder &b, Value line) {
  b.create<LLVM::Prefetch>(line, /*rw=*/0, /*hint=*/2, /*cache=*/1);
}

static void prefetch(Builder &b, const Ahead &ahead, Value k) {
  Value from = elementAddress(b, ahead.pointer, mulI64(b, k, ahead.stride), b.getI8Type());
  for (int64_t line = 0; line < ahead.lines; ++line)
    prefetch(b, elementAddress(b, from, constantI64(b, line * kLineBytes), b.getI8Type()));
}

Values StepUnit::chain(ValueRange acc, const LhsAddress &lhs, const PanelAddress &panel, const Ahead &ahead,
                       Value count) {
  auto rhsAt = [&](Value k, int64_t i) {
    if (ahead.pointer) prefetch(b, ahead, addI64(b, k, i));
    if (ahead.more && i == 0) ahead.more(k);
    Value row = elementAddress(b, panel.pointer, mulI64(b, k, panel.stride), packed);
    row = elementAddress(b, row, mulI64(b, panel.stride, i), packed);
    Values rhs;
    for (int64_t v = 0; v < tile.vectors; ++v)
      rhs.push_back(loadLanes(b, elementAddress(b, row, constantI64(b, v * kLanes), packed), packed));
    return rhs;
  };
  return chainSteps(acc, lhs, rhsAt, count);
}

Values StepUnit::chainSteps(ValueRange acc, const LhsAddress &lhs, RhsAt rhsAt, Value count) {
  auto steps = [&](Value from, Value to, int64_t unrolled, ValueRange start) {
    return forLoop(b, from, to, unrolled, start, [&](Value k, ValueRange carried) {
      Values now(carried);
      for (int64_t i = 0; i < unrolled; ++i) now = step(now, lhsAt(lhs, k, i), rhsAt(k, i));
      return now;
    });
  };
  const int64_t unroll = tile.stepsTogether();
  if (unroll == 1) return steps(constantI64(b, 0), count, 1, acc);
  Value whole = subI64(b, count, remI64(b, count, constantI64(b, unroll)));
  Values now = steps(constantI64(b, 0), whole, unroll, acc);
  return steps(whole, count, 1, now);
}

Values StepUnit::lhsAt(const LhsAddress &lhs, Value k, int64_t i) {
  Value first = mulI64(b, k, lhs.kStride), next = mulI64(b, lhs.kStride, i);
  Values rows;
  for (Value row : lhs.rows)
    rows.push_back(elementAddress(b, elementAddress(b, row, first, packed), next, packed));
  if (!rows.empty()) return rows;
  Value step = elementAddress(b, elementAddress(b, lhs.pointer, first, packed), next, packed);
  for (int64_t r = 0; r < tile.rows; ++r)
    rows.push_back(elementAddress(b, step, constantI64(b, r * lhs.rowStride), packed));
  return rows;
}

Value StepUnit::lhsLanes(Value lhs, Value rhs) {
  return b.create<vector::SplatOp>(cast<VectorType>(rhs.getType()).clone(packed), loadScalar(b, lhs, packed));
}

Values StepUnit::chainColumns(ValueRange acc, const LhsAddress &lhs, const ColumnPointers &columns,
                              Value next, Value count) {
  // A vector's columns are transposed in `parts` squares of `width`, each with sums of its own.
  const int64_t width = columnsTogether, parts = kLanes / width;
  const VectorType lanes = VectorType::get({width}, packed);
  // Part p of vector i of acc at i * parts + p.
  Values split;
  for (Value a : acc)
    for (int64_t p = 0; p < parts; ++p)
      split.push_back(
          b.create<vector::ShuffleOp>(a, a, llvm::to_vector(llvm::seq<int64_t>(p * width, (p + 1) * width))));
  auto add = [&](Value k, Value rhs, int64_t v, int64_t p, Values &now) {
    Values sums;
    for (size_t i = v; i < acc.size(); i += tile.vectors) sums.push_back(now[i * parts + p]);
    sums = step(sums, lhsAt(lhs, k, 0), {rhs});
    for (size_t i = v, from = 0; i < acc.size(); i += tile.vectors) now[i * parts + p] = sums[from++];
  };
  auto forParts = [&](Value begin, Value end, int64_t steps, ValueRange start, auto &&rowsOf) {
    return forLoop(b, begin, end, steps, start, [&](Value k, ValueRange carried) {
      Values now(carried);
      for (int64_t v = 0; v < tile.vectors; ++v)
        for (int64_t p = 0; p < parts; ++p) {
          ArrayRef<Value> of = ArrayRef<Value>(columns).slice(v * kLanes + p * width, width);
          for (auto [i, rhs] : llvm::enumerate(rowsOf(k, of))) add(addI64(b, k, int64_t(i)), rhs, v, p, now);
        }
      return now;
    });
  };
  Value whole = subI64(b, count, remI64(b, count, constantI64(b, width)));
  Values now = forParts(constantI64(b, 0), whole, width, split, [&](Value k, ArrayRef<Value> of) {
    Values rows;
    for (Value column : of) {
      rows.push_back(b.create<LLVM::LoadOp>(lanes, elementAddress(b, column, k, packed), 4));
      if (next) prefetch(b, elementAddress(b, column, addI64(b, k, next), packed));
    }
    return transpose(b, rows);
  });
  IntegerAttr known;
  const bool even = matchPattern(count, m_Constant(&known)) && known.getInt() % width == 0;
  if (!even)
    now = forParts(whole, count, 1, now, [&](Value k, ArrayRef<Value> of) {
      Value rhs = zeroOf(b, lanes);
      for (auto [i, column] : llvm::enumerate(of))
        rhs = b.create<vector::InsertOp>(loadScalar(b, elementAddress(b, column, k, packed), packed), rhs,
                                         ArrayRef<int64_t>{int64_t(i)});
      return Values{rhs};
    });
  Values sums;
  for (size_t i = 0; i < now.size(); i += parts) {
    Value last = now[i + parts - 1]; // two parts at most
    sums.push_back(b.create<vector::ShuffleOp>(now[i], last, llvm::to_vector(llvm::seq<int64_t>(0, kLanes))));
  }
  return sums;
}

Values FmaUnit::step(ValueRange acc, const Values &lhs, const Values &rhs) {
  Values next;
  for (int64_t r = 0; r < tile.rows; ++r) {
    Value x = lhsLanes(lhs[r], rhs[0]);
    for (Value y : rhs) next.push_back(b.create<LLVM::FMAOp>(x, y, acc[next.size()]));
  }
  return next;
}

Values DotUnit::chainSteps(ValueRange, const LhsAddress &, RhsAt, Value) {
  llvm_unreachable("a unit that takes packed panels alone");
}
Values DotUnit::chainColumns(ValueRange, const LhsAddress &, const ColumnPointers &, Value, Value) {
  llvm_unreachable("a unit that takes packed panels alone");
}

std::unique_ptr<DotUnit> makeUnit(Builder &b, const UnitFacts &facts, Type sum, MatmulTile tile) {
  switch (facts.kind) {
  case UnitKind::fma:
    return std::make_unique<FmaUnit>(b, sum, tile, facts.columnsTogether);
  case UnitKind::dotPair:
    return std::make_unique<DotPairUnit>(b, sum, tile, facts.columnsTogether);
  case UnitKind::fmaPair:
    return std::make_unique<FmaPairUnit>(b, sum, tile, facts.columnsTogether);
  case UnitKind::fmaGroup:
    return std::make_unique<FmaGroupUnit>(b, sum, tile, facts.columnsTogether);
  case UnitKind::amx:
    return std::make_unique<AmxUnit>(b, sum, tile);
  }
  llvm_unreachable("unit");
}

} // namespace weft::cpu
