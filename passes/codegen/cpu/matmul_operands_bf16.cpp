// Panels of bf16: two elements of k lie together in 32 bits, k below k + 1, and what is missing of the last
// steps is zero. What lies row by row along k is read as pairs; of what lies along the rows two neighbours
// are put together.
#include "passes/codegen/cpu/matmul_emitter.h"

using namespace mlir;
namespace weft::cpu {

void MatmulEmitter::packRhsPairs(const Block &block, Value source) {
  int64_t width = plan.tile.columns();
  Type half = b.getI16Type(), packed = b.getI32Type();
  Value kStride = frame.stride(kRhsAccess, 1), nStride = frame.stride(kRhsAccess, 2);
  if (!frame.strideIs(kRhsAccess, 2, 1)) {
    // 16 columns at a time; columns past the end repeat the last one: nobody reads what comes of them.
    Value lastColumn = subI64(b, block.columns, constantI64(b, 1)),
          tiles = ceilDivI64(b, block.columns, width);
    forLoop(b, 0, mulI64(b, tiles, plan.tile.vectors), 1, [&](Value vector) {
      Value tile = divI64(b, vector, plan.tile.vectors);
      Value within = remI64(b, vector, constantI64(b, plan.tile.vectors));
      Values rows;
      for (int64_t i = 0; i < kLanes; ++i) {
        Value column = minI64(b, addI64(b, mulI64(b, vector, kLanes), i), lastColumn);
        rows.push_back(at(source, mulI64(b, column, nStride), half));
      }
      packRowsInPairs(b, frame.level, rows, kStride, frame.strideIs(kRhsAccess, 1, 1), block.kCount,
                      block.steps, at(rhsTile(tile), mulI64(b, within, kLanes), packed), width,
                      Packing::byCall, bytesOf(mulI64(b, nStride, kLanes)));
    });
    return;
  }
  // Two rows of columns: k outermost, so that each row is read once, front to back.
  Value wholePairs = divI64(b, block.kCount, 2), usedPairs = divI64(b, addI64(b, block.kCount, 1), 2);
  Value wholeTiles = divI64(b, block.columns, width),
        left = subI64(b, block.columns, mulI64(b, wholeTiles, width));
  auto zip = [&](Value k, Value tile, Value columns, bool high) {
    auto from = [&](Value row) {
      return at(source, addI64(b, along(kRhsAccess, 1, block.k, row), mulI64(b, tile, width)), half);
    };
    Value first = mulI64(b, k, 2), even = from(first), odd = high ? from(addI64(b, first, 1)) : Value();
    Value to = at(rhsTile(tile), mulI64(b, k, width), packed);
    if (high) // both rows of a later pair
      for (int64_t i = 0; i < 2; ++i)
        prefetch(at(source,
                    addI64(b, rowAhead(kRhsAccess, 1, block, addI64(b, first, i)), mulI64(b, tile, width)),
                    half));
    for (int64_t v = 0; v < plan.tile.vectors; ++v) {
      Value mask = columns ? tailMask(b, lanesLeft(b, columns, v)) : Value(),
            offset = constantI64(b, v * kLanes);
      Value low = loadLanes(b, at(even, offset, half), half, mask), upper;
      if (high) upper = loadLanes(b, at(odd, offset, half), half, mask);
      storeLanes(b, at(to, offset, packed), joinPairs(b, low, upper));
    }
  };
  auto step = [&](Value k, bool high) {
    forLoop(b, 0, wholeTiles, 1, [&](Value tile) { zip(k, tile, {}, high); });
    ifThen(b, lessThan(b, constantI64(b, 0), left), [&] { zip(k, wholeTiles, left, high); });
  };
  forLoop(b, 0, wholePairs, 1, [&](Value k) { step(k, true); });
  ifThen(b, lessThan(b, wholePairs, usedPairs), [&] { step(wholePairs, false); });
  forLoop(b, 0, ceilDivI64(b, block.columns, width), 1,
          [&](Value tile) { zeroSteps(b, rhsTile(tile), usedPairs, block.steps, width, width); });
}

void MatmulEmitter::packLhsPairs(const Block &block, Value row, int64_t rows, int64_t width, Value to,
                                 Value count) {
  Type half = b.getI16Type(), packed = b.getI32Type();
  auto existing = [&](int64_t i) {
    Value r = constantI64(b, std::min(i, rows - 1));
    return count ? minI64(b, r, subI64(b, count, constantI64(b, 1))) : r;
  };
  Value source = access(kLhsAccess, block.batch, row, block.k);
  if (!frame.strideIs(kLhsAccess, 1, 1)) {
    Values pointers;
    for (int64_t i = 0; i < width; ++i)
      pointers.push_back(at(source, along(kLhsAccess, 1, row, existing(i)), half));
    packRowsInPairs(b, frame.level, pointers, frame.stride(kLhsAccess, 2), frame.strideIs(kLhsAccess, 2, 1),
                    block.kCount, block.steps, to, width, Packing::byCall, nextLhs(rows));
    return;
  }
  VectorType type = VectorType::get({rows}, half);
  auto load = [&](Value k) -> Value {
    Value from = at(source, along(kLhsAccess, 2, block.k, k), half);
    if (!count) return b.create<LLVM::LoadOp>(type, from, 2);
    Value loaded = zeroOf(b, type);
    for (int64_t r = 0; r < rows; ++r)
      loaded = b.create<vector::InsertOp>(loadScalar(b, at(from, existing(r), half), half), loaded,
                                          ArrayRef<int64_t>{r});
    return loaded;
  };
  auto zip = [&](Value k, bool high) {
    Value first = mulI64(b, k, 2), low = load(first), upper = high ? load(addI64(b, first, 1)) : Value();
    for (int64_t i = 0; high && i < 2; ++i)
      prefetch(at(source, rowAhead(kLhsAccess, 2, block, addI64(b, first, i)), half));
    b.create<LLVM::StoreOp>(joinPairs(b, low, upper), at(to, mulI64(b, k, width), packed), 4);
  };
  Value whole = divI64(b, block.kCount, 2), used = divI64(b, addI64(b, block.kCount, 1), 2);
  forLoop(b, 0, whole, 1, [&](Value k) { zip(k, true); });
  ifThen(b, lessThan(b, whole, used), [&] { zip(whole, false); });
  zeroSteps(b, to, used, block.steps, rows, width);
}

// Rows that do not exist keep what they hold: nobody reads what comes of them.
void MatmulEmitter::packLhsRows(const Block &block, Value row, Value count, Value to) {
  constexpr int64_t group = 2 * kLanes; // elements of k
  Type half = b.getI16Type();
  Value source = access(kLhsAccess, block.batch, row, block.k);
  Value kStride = frame.stride(kLhsAccess, 2);
  Value whole = subI64(b, block.kCount, remI64(b, block.kCount, constantI64(b, group)));
  Value filled = mulI64(b, block.steps, 2);
  auto lineAt = [&](Value r, Value k) {
    return at(at(to, mulI64(b, r, plan.lhsRowBytes), b.getI8Type()), k, half);
  };
  if (frame.strideIs(kLhsAccess, 1, 1)) {
    // 16 rows of 32 k at a time: pairs of k, transposed.
    forLoop(b, 0, count, kLanes, [&](Value r) {
      Value there = tailMask(b, lanesLeft(b, subI64(b, count, r), 0)), first = at(source, r, half);
      auto transpose = [&](Value k, bool all) {
        auto load = [&](int64_t i) {
          Value index = addI64(b, k, i), mask = there;
          if (!all) mask = b.create<arith::AndIOp>(mask, splat(b, lessThan(b, index, block.kCount)));
          // Past the end nothing is loaded, nor is there a place to look up.
          if (!all && isIndexed(kLhsAccess))
            index = minI64(b, index, subI64(b, block.kCount, constantI64(b, 1)));
          return loadLanes(b, at(first, along(kLhsAccess, 2, block.k, index), half), half, mask);
        };
        Values now;
        for (int64_t i = 0; i < group; i += 2) now.push_back(joinPairs(b, load(i), load(i + 1)));
        for (auto [i, vector] : llvm::enumerate(interleave(b, now)))
          storeLanes(b, lineAt(addI64(b, r, i), k), vector);
      };
      forLoop(b, 0, whole, group, [&](Value k) { transpose(k, true); });
      ifThen(b, lessThan(b, whole, filled), [&] { transpose(whole, false); });
    });
    return;
  }
  bool contiguous = frame.strideIs(kLhsAccess, 2, 1);
  VectorType wide = VectorType::get({group}, half);
  forLoop(b, 0, count, 1, [&](Value r) {
    Value from = at(source, along(kLhsAccess, 1, row, r), half);
    auto copy = [&](Value k, Value mask) {
      storeLanes(
          b, lineAt(r, k),
          loadLanes(b, at(from, mulI64(b, k, kStride), half), half, mask, contiguous ? Value() : kStride));
    };
    forLoop(b, 0, whole, group, [&](Value k) {
      if (!contiguous) {
        copy(k, {});
        copy(addI64(b, k, kLanes), {});
        return;
      }
      Value loaded = b.create<LLVM::LoadOp>(wide, at(from, k, half), 2);
      b.create<LLVM::StoreOp>(loaded, lineAt(r, k), 2);
    });
    forLoop(b, whole, filled, kLanes,
            [&](Value k) { copy(k, tailMask(b, lanesLeft(b, subI64(b, block.kCount, k), 0))); });
  });
}

} // namespace weft::cpu
