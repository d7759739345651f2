#include "passes/codegen/cpu/matmul_heuristics.h"

#include "llvm/Support/MathExtras.h"

using namespace mlir;
namespace weft::cpu {

// The least multiple of `unit` that cuts `size` into as few equal blocks as blocks of at most `limit` would.
static int64_t evenBlock(int64_t size, int64_t limit, int64_t unit) {
  limit = std::max(unit, limit / unit * unit);
  int64_t blocks = std::max<int64_t>(1, llvm::divideCeil(size, limit));
  return std::max<int64_t>(unit, llvm::alignTo(llvm::divideCeil(std::max<int64_t>(size, 1), blocks), unit));
}

kernel::ScheduleAttr scheduleMatmul(MLIRContext *context, const MatmulShape &shape, int64_t threads, const CacheSizes &caches) {
  // Few rows (decode): all of them in one tile, bound by memory. One row needs no wide tile: rhs passes once, 16 columns at a time.
  if (shape.m < 8) {
    int64_t tileN = shape.m == 1 ? 16 : 48;
    return kernel::ScheduleAttr::get(context, shape.m, tileN, 24, tileN, evenBlock(shape.k, caches.l1 / 8 / shape.elementBytes, 8), 0);
  }
  // 24 accumulators of 16 f32: 8 x 48, or 12 x 32 where 48 columns would leave more of the last tile unused.
  auto padded = [&](int64_t tile) { return int64_t(llvm::alignTo(shape.n, tile)); };
  int64_t tileN = padded(32) < padded(48) ? 32 : 48;
  if (shape.n <= 16) tileN = 16;
  int64_t tileM = tileN == 48 ? 8 : 12;
  // A tile of lhs takes half of the first level or a little more, a block of rhs three quarters of the second: deep blocks are worth more
  // than cache left free, since the partial sums of a tile go through memory once a block.
  int64_t blockK = evenBlock(shape.k, caches.l1 / 16 / shape.elementBytes, 8);
  int64_t blockN = evenBlock(shape.n, caches.l2 * 3 / 4 / (blockK * shape.elementBytes), tileN);
  // A multiple of 8, 12 and of AVX2's 6 rows.
  int64_t blockM = evenBlock(shape.m, 96, 24);
  auto items = [&] { return shape.batch * llvm::divideCeil(shape.n, blockN) * llvm::divideCeil(shape.m, blockM); };
  // Too few items for the threads (few rows): narrower blocks of columns.
  while (int64_t(items()) < 4 * threads && blockN > tileN) blockN = llvm::alignTo(blockN / 2, tileN);
  return kernel::ScheduleAttr::get(context, tileM, tileN, blockM, blockN, blockK, 0);
}

kernel::ScheduleAttr scheduleMatmul(kernel::MatmulOp op, int64_t threads, const CacheSizes &caches) {
  auto sizes = op.getSizes();
  int64_t bytes = cast<RankedTensorType>(op.getLhs().getType()).getElementType().getIntOrFloatBitWidth() / 8;
  return scheduleMatmul(op.getContext(), {sizes[0], sizes[1], sizes[2], sizes[3], bytes}, threads, caches);
}

} // namespace weft::cpu
