#include "passes/codegen/cpu/matmul_heuristics.h"

#include "llvm/Support/MathExtras.h"

using namespace mlir;
namespace weft::cpu {

constexpr int64_t kLanes = 16;

// The least multiple of `unit` that cuts `size` into as few equal blocks as blocks of at most `limit` would.
static int64_t evenBlock(int64_t size, int64_t limit, int64_t unit) {
  limit = std::max(unit, limit / unit * unit);
  int64_t blocks = std::max<int64_t>(1, llvm::divideCeil(size, limit));
  return std::max<int64_t>(unit, llvm::alignTo(llvm::divideCeil(std::max<int64_t>(size, 1), blocks), unit));
}

namespace {
struct Tile {
  int64_t rows, vectors; // vectors of 16 columns
};
} // namespace

// Of one step along K: an FMA a cycle, at least as long as the latency of two rounds of FMA, and a little for
// what the loads of a step cost.
static double tileCycles(int64_t rows, int64_t vectors) {
  return std::max(double(rows * vectors), 8.0) + 0.15 * double(rows + vectors);
}

// Of one step along K for all rows and columns: blocks of rows by whole tiles, rows left over one by one. A
// group of rows ends anywhere in a tile. (Tails take kTailRows at a time and cost less than that. What is
// chosen with this was measured with AVX-512; counted as they are, tails would make tiles of 12 rows of most
// of 8.)
static double stepCycles(const MatmulShape &shape, int64_t blockM, int64_t rows, int64_t vectors) {
  const int64_t m = std::max<int64_t>(shape.m, 1);
  const double tile = tileCycles(rows, vectors), single = tileCycles(1, vectors);
  auto run = [&](int64_t length) { return double(length / rows) * tile + double(length % rows) * single; };
  double cycles = double(m / blockM) * run(blockM) + run(m % blockM);
  cycles += double(shape.rowGroups) * double(rows - 1) / 2 * (single - tile / double(rows));
  return cycles * double(llvm::divideCeil(std::max<int64_t>(shape.n, 1), vectors * kLanes));
}

// The register tile of at most 24 accumulators (of vector<16xf32>) that needs the fewest cycles.
static Tile tileFor(const MatmulShape &shape, int64_t blockM) {
  Tile best{1, 1};
  double least = 0;
  for (int64_t vectors : {3, 2, 1})
    for (int64_t rows = 12; rows >= 1; --rows) {
      if (shape.packedRhs && vectors != kernel::kPanelColumns / kLanes) continue;
      if (rows * vectors > 24 || (vectors == 1 && shape.n > kLanes)) continue;
      double cost = stepCycles(shape, blockM, rows, vectors);
      // Of a small tile the model knows too little: packing and loops weigh more.
      if (rows * vectors < 16) cost *= 1.02;
      if (least == 0 || cost < least) least = cost, best = {rows, vectors};
    }
  return best;
}

// Cycles of the thread that has most to do, of the shares that threads begin with: a vector of FMA a cycle,
// and half a cycle for each element that is packed, of lhs once an item, of rhs once a run of items in the
// same columns.
static double busiestThread(const MatmulShape &shape, int64_t blockM, int64_t blockN, int64_t threads) {
  int64_t rows = llvm::divideCeil(shape.m, blockM), columns = llvm::divideCeil(shape.n, blockN),
          items = shape.batch * columns * rows;
  double perCycle = 64.0 / double(shape.elementBytes), most = 0;
  // Rows [low, high) blocks of one run.
  auto run = [&](int64_t column, int64_t low, int64_t high) {
    double m = double(std::min(high * blockM, shape.m) - low * blockM),
           n = double(std::min(blockN, shape.n - column * blockN));
    double packed = m + (shape.packedRhs ? 0 : n);
    return double(shape.k) * (m * n / perCycle + 0.5 * packed);
  };
  double whole = 0; // of one batch
  for (int64_t column = 0; column < columns; ++column) whole += run(column, 0, rows);
  for (int64_t thread = 0; thread < threads; ++thread) {
    int64_t begin = items * thread / threads, end = items * (thread + 1) / threads;
    double cycles = 0;
    while (begin < end) {
      int64_t inBatch = begin % (columns * rows), column = inBatch / rows, low = inBatch % rows;
      if (inBatch == 0 && end - begin >= columns * rows) {
        int64_t batches = (end - begin) / (columns * rows);
        cycles += whole * double(batches);
        begin += batches * columns * rows;
        continue;
      }
      int64_t high = std::min(rows, low + end - begin);
      cycles += run(column, low, high);
      begin += high - low;
    }
    most = std::max(most, cycles);
  }
  return most;
}

kernel::ScheduleAttr scheduleMatmul(MLIRContext *context, const MatmulShape &shape, int64_t threads,
                                    const CacheSizes &caches) {
  // A multiple of 8, 12 and of AVX2's 6 rows; of bf16 of AMX's 32 too, and of 32 along K. Few rows are a
  // block.
  bool bf16 = shape.elementBytes == 2;
  int64_t blockM = shape.m <= kFewRows ? llvm::alignTo(std::max<int64_t>(shape.m, 1), 8)
                                       : evenBlock(shape.m, 96, bf16 ? 96 : 24),
          kUnit = bf16 ? 32 : 8;
  // Columns that give each thread `items` work items.
  auto shared = [&](int64_t items, int64_t unit) {
    return std::clamp<int64_t>(llvm::alignTo(llvm::divideCeil(shape.n, items * threads), unit), unit,
                               1024 / unit * unit);
  };
  // One row passes over each panel once, as long as it is: it streams from memory.
  if (shape.m == 1 && shape.packedRhs)
    return kernel::ScheduleAttr::get(context, 1, kernel::kPanelColumns, blockM,
                                     shared(4, kernel::kPanelColumns), llvm::alignTo(shape.k, kUnit));
  if (shape.m == 1) {
    // Bound by memory: rhs passes once. Columns that lie together are taken as wide as can be, others 16 at a
    // time: of f32 as long as they are, through registers; of bf16 in pieces of 512 bytes, which the first
    // level keeps until they are read.
    if (shape.rhsInPlace)
      return kernel::ScheduleAttr::get(context, 1, 16, blockM, std::min<int64_t>(1024, shared(4, 16)),
                                       evenBlock(shape.k, caches.l2 / 4 / shape.elementBytes, kUnit));
    int64_t depth = shape.rhsColumnsContiguous ? 64 : 512 / shape.elementBytes,
            columns = shape.rhsColumnsContiguous ? 1024 : 16;
    return kernel::ScheduleAttr::get(context, 1, 16, blockM, std::min(columns, shared(4, 16)),
                                     evenBlock(shape.k, depth, kUnit));
  }
  Tile tile = tileFor(shape, blockM);
  int64_t tileM = tile.rows, tileN = tile.vectors * kLanes;
  // Few rows take columns of rhs in registers together, each as long as it is, in as few tiles as can be:
  // each transposes it again. A block stays in the second level for them, and for levels that pack it.
  if (shape.m <= kFewRows && shape.rhsInPlace && shape.rowGroups == 0) {
    int64_t tiles = llvm::divideCeil(shape.m, kLanes);
    int64_t deep = evenBlock(shape.k, caches.l2 / 4 / (kLanes * 4), kUnit);
    int64_t wide = caches.l2 * 3 / 4 / (deep * 4) / kLanes * kLanes;
    return kernel::ScheduleAttr::get(context, shape.m / tiles, kLanes, blockM,
                                     std::clamp<int64_t>(shared(1, 16), kLanes, std::max(wide, kLanes)),
                                     deep);
  }
  // Rows for one block only: what is packed of rhs is read once, so it should be in the second level still,
  // beside a tile of lhs in the first. Each item packs lhs, so that a thread has one.
  if (shape.m <= kFewRows) {
    int64_t deep = evenBlock(
        shape.k, std::min(caches.l2 * 3 / 16 / tileN, caches.l1 / tileM) / shape.elementBytes, kUnit);
    int64_t most = caches.l2 * 3 / 4 / (deep * shape.elementBytes) / tileN * tileN;
    return kernel::ScheduleAttr::get(context, tileM, tileN, blockM,
                                     std::max(tileN, std::min(most, shared(1, tileN))), deep);
  }
  // A tile of lhs takes half of the first level or a little more, a block of rhs three quarters of the
  // second. Within that, lhs is packed once a block of columns and partial sums go through memory once a
  // block of K: both cost about half a cycle an element.
  int64_t blockK = kUnit, blockN = tileN;
  double least = 0;
  for (int64_t most = caches.l1 / 16 / shape.elementBytes; most >= 64; most = most * 3 / 4) {
    int64_t deep = evenBlock(shape.k, most, kUnit);
    int64_t wide = evenBlock(shape.n, caches.l2 * 3 / 4 / (deep * shape.elementBytes), tileN);
    double cost = double(llvm::divideCeil(shape.n, wide)) / double(shape.n) +
                  double(llvm::divideCeil(shape.k, deep)) / double(shape.k);
    if (least == 0 || cost < least) least = cost, blockK = deep, blockN = wide;
  }
  // An epilogue waits for all of K, and sums in scratch for it: one piece, if a tile of lhs just fits (7 % of
  // products of K 1024).
  if (int64_t whole = llvm::alignTo(shape.k, kUnit);
      shape.epilogue && whole > blockK && tileM * whole * shape.elementBytes <= caches.l1) {
    blockK = whole;
    blockN = evenBlock(shape.n, caches.l2 * 3 / 4 / (whole * shape.elementBytes), tileN);
  }
  // Blocks that divide well among the threads: lower ones, or narrower ones, each of which packs more.
  int64_t lowest = bf16 ? blockM : std::min<int64_t>(blockM, 2 * kFewRows), bestM = blockM, bestN = blockN;
  least = 0;
  for (int64_t low = blockM;; low = llvm::alignTo(low / 2, 24)) {
    for (int64_t parts = 1;; ++parts) {
      int64_t narrow = evenBlock(blockN, llvm::divideCeil(blockN, parts), tileN);
      double cost = busiestThread(shape, low, narrow, threads);
      if (least == 0 || cost < 0.98 * least) least = cost, bestM = low, bestN = narrow;
      if (narrow == tileN || parts >= 4 * threads) break;
    }
    if (low <= lowest) break;
  }
  blockM = bestM;
  blockN = bestN;
  return kernel::ScheduleAttr::get(context, tileM, tileN, blockM, blockN, blockK);
}

bool takesRhsInPlace(kernel::MatmulOp op) {
  auto strides = op.getRhsAccess().getStrides();
  return cast<RankedTensorType>(op.getRhs().getType()).getElementType().isF32() && !op.getPackedRhs() &&
         !op.getRows() && strides[1] == 1 && strides[2] != 1;
}

MatmulShape matmulShape(kernel::MatmulOp op, ArrayRef<int64_t> sizes) {
  int64_t bytes = cast<RankedTensorType>(op.getLhs().getType()).getElementType().getIntOrFloatBitWidth() / 8;
  MatmulShape shape{sizes[0],         sizes[1], sizes[2],
                    sizes[3],         bytes,    op.getRhsAccess().getStrides()[2] == 1,
                    op.getPackedRhs()};
  shape.rhsInPlace = takesRhsInPlace(op);
  if (op.getGroups()) { // groups are gone through in each item; their sizes are data, so on average
    if (op.getGrouped() == kernel::GroupedBy::k)
      shape.k = llvm::divideCeil(shape.k, std::max<int64_t>(1, shape.batch));
    else
      shape.rowGroups = shape.batch;
    shape.batch = 1;
  }
  Operation *yield = op.getBody().front().getTerminator();
  shape.epilogue = yield->getNumOperands() != 1 || yield->getOperand(0) != Value(op.getBody().getArgument(0));
  return shape;
}

kernel::ScheduleAttr scheduleMatmul(kernel::MatmulOp op, int64_t threads, const CacheSizes &caches) {
  return scheduleMatmul(op.getContext(), matmulShape(op, op.getSizes()), threads, caches);
}

double estimateMatmulCycles(const MatmulShape &shape, kernel::ScheduleAttr s, int64_t threads,
                            const CacheSizes &caches) {
  const double m = double(std::max<int64_t>(shape.m, 1)), n = double(std::max<int64_t>(shape.n, 1)),
               outputs = double(shape.batch) * m * n / double(threads),
               perCycle = 64.0 / double(shape.elementBytes);
  const int64_t vectors = std::max<int64_t>(s.getTileN() / kLanes, 1),
                rows = std::max<int64_t>(s.getTileM(), 1);
  // What the tile takes beyond an FMA a cycle.
  const double beyond =
      stepCycles(shape, std::max<int64_t>(s.getBlockM(), 1), rows, vectors) / (m * n / kLanes) - 1;
  double cycles = busiestThread(shape, s.getBlockM(), s.getBlockN(), threads) +
                  beyond * outputs * double(shape.k) / perCycle;
  // Sums go through memory once a block of k.
  cycles += double(llvm::divideCeil(std::max<int64_t>(shape.k, 1), s.getBlockK()) - 1) * outputs * 0.5;
  const int64_t deep = std::min(s.getBlockK(), shape.k) * shape.elementBytes;
  if (rows * deep > caches.l1 * 3 / 4) cycles *= 1.05;
  if (!shape.packedRhs && std::min(s.getBlockN(), shape.n) * deep > caches.l2) cycles *= 1.1;
  return cycles;
}

} // namespace weft::cpu
