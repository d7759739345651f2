// Panels of bf16: two elements of k lie together in 32 bits, k below k + 1, and what is missing of the last
// steps is zero. What lies row by row along k is read as pairs; of what lies along the rows two neighbours
// are put together.
#include "passes/codegen/cpu/matmul_emitter.h"

using namespace mlir;
namespace weft::cpu {

void MatmulEmitter::packRhsPairs(const Block &block, Value panels, Value source) {
  int64_t width = plan.tile.columns();
  Type half = b.getI16Type(), packed = b.getI32Type();
  Value kStride = frame.stride(kRhsAccess, 1), nStride = frame.stride(kRhsAccess, 2);
  auto panelOf = [&](Value tile) { return at(panels, mulI64(b, tile, plan.steps * width), packed); };
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
      packRowsInPairs(b, rows, kStride, frame.strideIs(kRhsAccess, 1, 1), block.kCount, block.steps,
                      at(panelOf(tile), mulI64(b, within, kLanes), packed), width);
    });
    return;
  }
  // Two rows of columns: k outermost, so that each row is read once, front to back.
  Value wholePairs = divI64(b, block.kCount, 2), usedPairs = divI64(b, addI64(b, block.kCount, 1), 2);
  Value wholeTiles = divI64(b, block.columns, width),
        left = subI64(b, block.columns, mulI64(b, wholeTiles, width));
  auto zip = [&](Value k, Value tile, Value columns, bool high) {
    Value from = at(source, addI64(b, mulI64(b, mulI64(b, k, 2), kStride), mulI64(b, tile, width)), half);
    Value to = at(panelOf(tile), mulI64(b, k, width), packed);
    for (int64_t v = 0; v < plan.tile.vectors; ++v) {
      Value mask = columns ? tailMask(b, lanesLeft(b, columns, v)) : Value(),
            offset = constantI64(b, v * kLanes);
      Value low = loadLanes(b, at(from, offset, half), half, mask), upper;
      if (high) upper = loadLanes(b, at(from, addI64(b, kStride, offset), half), half, mask);
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
          [&](Value tile) { zeroSteps(b, panelOf(tile), usedPairs, block.steps, width, width); });
}

void MatmulEmitter::packLhsPairs(const Block &block, Value row, int64_t rows, int64_t width, Value to) {
  Type half = b.getI16Type(), packed = b.getI32Type();
  Value source = access(kLhsAccess, block.batch, row, block.k);
  Value mStride = frame.stride(kLhsAccess, 1), kStride = frame.stride(kLhsAccess, 2);
  if (!frame.strideIs(kLhsAccess, 1, 1)) {
    Values pointers;
    for (int64_t i = 0; i < width; ++i)
      pointers.push_back(at(source, mulI64(b, mStride, std::min(i, rows - 1)), half));
    packRowsInPairs(b, pointers, kStride, frame.strideIs(kLhsAccess, 2, 1), block.kCount, block.steps, to,
                    width);
    return;
  }
  VectorType type = VectorType::get({rows}, half);
  auto load = [&](Value k) -> Value {
    return b.create<LLVM::LoadOp>(type, at(source, mulI64(b, k, kStride), half), 2);
  };
  auto zip = [&](Value k, bool high) {
    Value first = mulI64(b, k, 2), low = load(first), upper = high ? load(addI64(b, first, 1)) : Value();
    b.create<LLVM::StoreOp>(joinPairs(b, low, upper), at(to, mulI64(b, k, width), packed), 4);
  };
  Value whole = divI64(b, block.kCount, 2), used = divI64(b, addI64(b, block.kCount, 1), 2);
  forLoop(b, 0, whole, 1, [&](Value k) { zip(k, true); });
  ifThen(b, lessThan(b, whole, used), [&] { zip(whole, false); });
  zeroSteps(b, to, used, block.steps, rows, width);
}

void MatmulEmitter::packLhsRows(const Block &block, Value row, int64_t rows, Value count, Value to) {
  Type half = b.getI16Type();
  Value source = access(kLhsAccess, block.batch, row, block.k), last = subI64(b, count, constantI64(b, 1));
  Value mStride = frame.stride(kLhsAccess, 1), kStride = frame.stride(kLhsAccess, 2);
  auto rowAt = [&](Value r) { return at(to, mulI64(b, r, plan.lhsRowBytes), b.getI8Type()); };
  if (frame.strideIs(kLhsAccess, 1, 1)) {
    // 16 rows of 32 k at a time: pairs of k, transposed.
    for (int64_t r = 0; r < rows; r += kLanes) {
      Value there = tailMask(b, lanesLeft(b, count, r / kLanes)), first = at(source, constantI64(b, r), half);
      forLoop(b, 0, block.steps, kLanes, [&](Value step) {
        Values now;
        for (int64_t p = 0; p < kLanes; ++p) {
          auto load = [&](int64_t k) {
            Value index = addI64(b, mulI64(b, step, 2), k), inside = lessThan(b, index, block.kCount);
            Value mask = b.create<arith::AndIOp>(there, splat(b, inside));
            return loadLanes(b, at(first, mulI64(b, index, kStride), half), half, mask);
          };
          now.push_back(joinPairs(b, load(2 * p), load(2 * p + 1)));
        }
        for (auto [i, vector] : llvm::enumerate(interleave(b, now)))
          storeLanes(b, at(rowAt(constantI64(b, r + i)), step, b.getI32Type()), vector);
      });
    }
    return;
  }
  Value stride = frame.strideIs(kLhsAccess, 2, 1) ? Value() : kStride,
        whole = divI64(b, block.kCount, kLanes);
  forLoop(b, 0, constantI64(b, rows), 1, [&](Value r) { // rows past the end repeat the last one
    Value from = at(source, mulI64(b, minI64(b, r, last), mStride), half), line = rowAt(r);
    auto copy = [&](Value k, Value mask) {
      storeLanes(b, at(line, k, half),
                 loadLanes(b, at(from, mulI64(b, k, kStride), half), half, mask, stride));
    };
    Value wholeK = mulI64(b, whole, kLanes);
    forLoop(b, constantI64(b, 0), wholeK, kLanes, [&](Value k) { copy(k, {}); });
    forLoop(b, wholeK, mulI64(b, block.steps, 2), kLanes,
            [&](Value k) { copy(k, tailMask(b, lanesLeft(b, subI64(b, block.kCount, k), 0))); });
  });
}

} // namespace weft::cpu
