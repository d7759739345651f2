#include "passes/codegen/cpu/matmul_units.h"

using namespace mlir;
namespace weft::cpu {

Value PairUnit::rhsPairs(Value panelRow, int64_t v) {
  return loadLanes(b, elementAddress(b, panelRow, constantI64(b, v * kLanes), packed), packed);
}

Value PairUnit::lhsPairs(Value lhs, int64_t row, int64_t lhsRowStride) {
  return splat(b, loadScalar(b, elementAddress(b, lhs, constantI64(b, row * lhsRowStride), packed), packed));
}

Value PairUnit::even(Value pairs) {
  Value bits = b.create<arith::ShLIOp>(pairs, constantInt(b, pairs.getType(), 16));
  return b.create<arith::BitcastOp>(laneType(sum), bits);
}

Value PairUnit::odd(Value pairs) {
  Value bits = b.create<arith::AndIOp>(pairs, constantInt(b, pairs.getType(), -65536));
  return b.create<arith::BitcastOp>(laneType(sum), bits);
}

Values DotPairUnit::step(ValueRange acc, Value lhs, int64_t lhsRowStride, Value panelRow) {
  Type halves = VectorType::get({2 * kLanes}, b.getBF16Type());
  auto asHalves = [&](Value pairs) -> Value {
    return b.create<vector::BitCastOp>(cast<VectorType>(halves), pairs);
  };
  Values rhs, next;
  for (int64_t v = 0; v < tile.vectors; ++v) rhs.push_back(asHalves(rhsPairs(panelRow, v)));
  for (int64_t r = 0; r < tile.rows; ++r) {
    Value x = asHalves(lhsPairs(lhs, r, lhsRowStride));
    for (int64_t v = 0; v < tile.vectors; ++v)
      next.push_back(b.create<LLVM::CallIntrinsicOp>(laneType(sum),
                                                     StringRef("llvm.x86.avx512bf16.dpbf16ps.512"),
                                                     ValueRange{acc[r * tile.vectors + v], x, rhs[v]})
                         .getResult(0));
  }
  return next;
}

// The odd k first, as VDPBF16PS adds them.
Values FmaPairUnit::step(ValueRange acc, Value lhs, int64_t lhsRowStride, Value panelRow) {
  Values evens, odds, next;
  for (int64_t v = 0; v < tile.vectors; ++v) {
    Value pairs = rhsPairs(panelRow, v);
    evens.push_back(even(pairs));
    odds.push_back(odd(pairs));
  }
  for (int64_t r = 0; r < tile.rows; ++r) {
    Value pairs = lhsPairs(lhs, r, lhsRowStride), x = odd(pairs), y = even(pairs);
    for (int64_t v = 0; v < tile.vectors; ++v) {
      Value sum = b.create<LLVM::FMAOp>(x, odds[v], acc[r * tile.vectors + v]);
      next.push_back(b.create<LLVM::FMAOp>(y, evens[v], sum));
    }
  }
  return next;
}

Values FmaGroupUnit::step(ValueRange acc, Value lhs, int64_t lhsRowStride, Value panelRow) {
  Values rhs, next(acc.size());
  int64_t size = tile.rows * tile.vectors;
  for (int64_t v = 0; v < tile.vectors; ++v) rhs.push_back(rhsPairs(panelRow, v));
  Values evens, odds;
  for (Value pairs : rhs) {
    evens.push_back(even(pairs));
    odds.push_back(odd(pairs));
  }
  for (int64_t r = 0; r < tile.rows; ++r) {
    Value pairs = lhsPairs(lhs, r, lhsRowStride), x = even(pairs), y = odd(pairs);
    for (int64_t v = 0; v < tile.vectors; ++v) {
      int64_t i = r * tile.vectors + v;
      next[i] = b.create<LLVM::FMAOp>(x, evens[v], acc[i]);
      next[size + i] = b.create<LLVM::FMAOp>(y, odds[v], acc[size + i]);
    }
  }
  return next;
}

Values FmaGroupUnit::chain(ValueRange acc, const LhsAddress &lhs, const PanelAddress &panel,
                           const Ahead &ahead, Value count) {
  int64_t size = tile.rows * tile.vectors;
  return forLoop(b, constantI64(b, 0), count, kLanes, acc, [&](Value group, ValueRange carried) {
    LhsAddress part = lhs;
    part.pointer = elementAddress(b, lhs.pointer, mulI64(b, group, lhs.kStride), packed);
    Value rows = elementAddress(b, panel.pointer, mulI64(b, group, panel.stride), packed);
    Values zeros(2 * size, zeroOf(b, laneType(sum)));
    Ahead next = ahead;
    if (ahead.pointer)
      next.pointer =
          elementAddress(b, ahead.pointer, mulI64(b, group, ahead.lines * kLineBytes), b.getI8Type());
    Values chains = StepUnit::chain(zeros, part, {rows, panel.stride}, next, constantI64(b, kLanes)), sums;
    for (int64_t i = 0; i < size; ++i) {
      Value both = b.create<arith::AddFOp>(chains[i], chains[size + i]);
      sums.push_back(b.create<arith::AddFOp>(carried[i], both));
    }
    return sums;
  });
}

} // namespace weft::cpu
