#include "passes/codegen/cpu/matmul_pack.h"

using namespace mlir;
namespace weft::cpu {

// a0 b0 a1 b1 … of two vectors, as two vectors.
static std::pair<Value, Value> zip(Builder &b, Value x, Value y) {
  SmallVector<int64_t> low, high;
  for (int64_t i = 0; i < kLanes / 2; ++i) {
    low.append({i, i + kLanes});
    high.append({i + kLanes / 2, i + kLanes / 2 + kLanes});
  }
  return {b.create<vector::ShuffleOp>(x, y, low), b.create<vector::ShuffleOp>(x, y, high)};
}

Values interleave(Builder &b, Values rows) {
  for (size_t width = 1; width < rows.size(); width *= 2) {
    Values next;
    for (size_t i = 0; i < rows.size() / 2; ++i) {
      auto [low, high] = zip(b, rows[i], rows[i + rows.size() / 2]);
      next.append({low, high});
    }
    rows = next;
  }
  return rows;
}

void packScalars(Builder &b, Type element, ArrayRef<Value> rows, Value stride, Value from, Value count,
                 Value destination, int64_t step) {
  forLoop(b, from, count, 1, [&](Value k) {
    Value at = elementAddress(b, destination, mulI64(b, k, step), element);
    Value offset = mulI64(b, k, stride);
    for (auto [i, row] : llvm::enumerate(rows))
      storeScalar(b, elementAddress(b, at, constantI64(b, i), element),
                  loadScalar(b, elementAddress(b, row, offset, element), element));
  });
}

void packInterleaved(Builder &b, Type element, ArrayRef<Value> rows, Value count, Value destination,
                     int64_t step) {
  Value whole = subI64(b, count, remI64(b, count, constantI64(b, kLanes)));
  int64_t perVector = kLanes / int64_t(rows.size()); // values of k in a zipped vector
  forLoop(b, 0, whole, kLanes, [&](Value k) {
    Values now;
    for (Value row : rows) now.push_back(loadLanes(b, elementAddress(b, row, k, element), element));
    now = interleave(b, now);
    Value at = elementAddress(b, destination, mulI64(b, k, step), element);
    for (auto [i, vector] : llvm::enumerate(now))
      storeLanes(b, elementAddress(b, at, constantI64(b, int64_t(i) * perVector * step), element), vector);
  });
  packScalars(b, element, rows, constantI64(b, 1), whole, count, destination, step);
}

} // namespace weft::cpu
