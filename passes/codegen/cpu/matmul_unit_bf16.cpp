#include "passes/codegen/cpu/matmul_units.h"

using namespace mlir;
namespace weft::cpu {

Value PairUnit::even(Value pairs) {
  auto type = cast<VectorType>(pairs.getType());
  Value bits = b.create<arith::ShLIOp>(pairs, constantInt(b, type, 16));
  return b.create<arith::BitcastOp>(type.clone(sum), bits);
}

Value PairUnit::odd(Value pairs) {
  auto type = cast<VectorType>(pairs.getType());
  Value bits = b.create<arith::AndIOp>(pairs, constantInt(b, type, -65536));
  return b.create<arith::BitcastOp>(type.clone(sum), bits);
}

Values DotPairUnit::step(ValueRange acc, const Values &lhs, const Values &rhs) {
  auto asHalves = [&](Value pairs) -> Value {
    return b.create<vector::BitCastOp>(VectorType::get({2 * kLanes}, b.getBF16Type()), pairs);
  };
  Values next;
  for (int64_t r = 0; r < tile.rows; ++r) {
    Value x = asHalves(lhsLanes(lhs[r], rhs[0]));
    for (Value y : rhs)
      next.push_back(b.create<LLVM::CallIntrinsicOp>(laneType(sum),
                                                     StringRef("llvm.x86.avx512bf16.dpbf16ps.512"),
                                                     ValueRange{acc[next.size()], x, asHalves(y)})
                         .getResult(0));
  }
  return next;
}

// The odd k first, as VDPBF16PS adds them.
Values FmaPairUnit::step(ValueRange acc, const Values &lhs, const Values &rhs) {
  Values evens, odds, next;
  for (Value pairs : rhs) {
    evens.push_back(even(pairs));
    odds.push_back(odd(pairs));
  }
  for (int64_t r = 0; r < tile.rows; ++r) {
    Value pairs = lhsLanes(lhs[r], rhs[0]), x = odd(pairs), y = even(pairs);
    for (size_t v = 0; v < rhs.size(); ++v) {
      Value sum = b.create<LLVM::FMAOp>(x, odds[v], acc[next.size()]);
      next.push_back(b.create<LLVM::FMAOp>(y, evens[v], sum));
    }
  }
  return next;
}

Values FmaGroupUnit::step(ValueRange acc, const Values &lhs, const Values &rhs) {
  Values evens, odds, next(acc.size());
  const size_t size = tile.rows * rhs.size();
  for (Value pairs : rhs) {
    evens.push_back(even(pairs));
    odds.push_back(odd(pairs));
  }
  for (int64_t r = 0; r < tile.rows; ++r) {
    Value pairs = lhsLanes(lhs[r], rhs[0]), x = even(pairs), y = odd(pairs);
    for (size_t v = 0; v < rhs.size(); ++v) {
      const size_t i = r * rhs.size() + v;
      next[i] = b.create<LLVM::FMAOp>(x, evens[v], acc[i]);
      next[size + i] = b.create<LLVM::FMAOp>(y, odds[v], acc[size + i]);
    }
  }
  return next;
}

Values FmaGroupUnit::sumGroups(
    ValueRange acc, const LhsAddress &lhs, Value count,
    llvm::function_ref<Values(Value group, ValueRange zeros, const LhsAddress &lhs)> chains) {
  return forLoop(b, constantI64(b, 0), count, kLanes, acc, [&](Value group, ValueRange carried) {
    LhsAddress part = lhs;
    Value from = mulI64(b, group, lhs.kStride);
    part.pointer = elementAddress(b, lhs.pointer, from, packed);
    for (Value &row : part.rows) row = elementAddress(b, row, from, packed);
    Values both = chains(group, Values(2 * acc.size(), zeroOf(b, laneType(sum))), part), sums;
    for (size_t i = 0; i < acc.size(); ++i) {
      Value pair = b.create<arith::AddFOp>(both[i], both[acc.size() + i]);
      sums.push_back(b.create<arith::AddFOp>(carried[i], pair));
    }
    return sums;
  });
}

Values FmaGroupUnit::chainSteps(ValueRange acc, const LhsAddress &lhs, RhsAt rhsAt, Value count) {
  return sumGroups(acc, lhs, count, [&](Value group, ValueRange zeros, const LhsAddress &part) {
    auto within = [&](Value k, int64_t i) { return rhsAt(addI64(b, group, k), i); };
    return PairUnit::chainSteps(zeros, part, within, constantI64(b, kLanes));
  });
}

Values FmaGroupUnit::chainColumns(ValueRange acc, const LhsAddress &lhs, const ColumnPointers &columns,
                                  Value next, Value count) {
  return sumGroups(acc, lhs, count, [&](Value group, ValueRange zeros, const LhsAddress &part) {
    ColumnPointers from;
    for (Value column : columns) from.push_back(elementAddress(b, column, group, packed));
    return PairUnit::chainColumns(zeros, part, from, next, constantI64(b, kLanes));
  });
}

} // namespace weft::cpu
