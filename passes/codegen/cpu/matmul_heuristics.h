// Tiles and cache blocks of kernel.matmul on a CPU, as a function of shape and caches. They change no bit of
// the result.
#pragma once
#include "dialects/kernel/kernel.h"

namespace weft::cpu {

// Bytes a core has to itself. The defaults are the least of the processors with AVX-512 that matter: an
// artifact may run on any.
struct CacheSizes {
  int64_t l1 = 32 * 1024;
  int64_t l2 = 1024 * 1024;
};

struct MatmulShape {
  int64_t batch = 1, m = 1, n = 1, k = 1;
  int64_t elementBytes = 4;          // of operands and accumulators
  bool rhsColumnsContiguous = false; // a row of rhs (k, n) lies together, rather than a column
  bool packedRhs = false;            // rhs lies in panels of 32 columns: a tile is of one
  int64_t rowGroups = 0;             // that cut m, anywhere
  bool epilogue = false;             // sums are not stored as they are
  bool rhsInPlace = false;           // few rows need no packed rhs
};

// So few rows that reading rhs counts as much as multiplying it: they are one block, and no block of more
// rows is as low.
constexpr int64_t kFewRows = 24;

// Rows that are left over by tiles are multiplied so many at a time, of which not all need exist: chains
// enough for two FMAs a cycle, and little code.
constexpr int64_t kTailRows = 4;

// Whether few rows can take rhs from where it lies: f32 whose k lies together.
bool takesRhsInPlace(kernel::MatmulOp op);

// `threads`: how many share the work, 1 or more; there are enough items for that many where the shape allows.
kernel::ScheduleAttr scheduleMatmul(mlir::MLIRContext *context, const MatmulShape &shape, int64_t threads,
                                    const CacheSizes &caches = {});

// For an op whose sizes are known.
kernel::ScheduleAttr scheduleMatmul(kernel::MatmulOp op, int64_t threads, const CacheSizes &caches = {});

// Of a launch of `op` with these sizes (batch, m, n, k).
MatmulShape matmulShape(kernel::MatmulOp op, llvm::ArrayRef<int64_t> sizes);

// About what the busiest thread takes, in cycles: good for comparing schedules of one shape, no more.
double estimateMatmulCycles(const MatmulShape &shape, kernel::ScheduleAttr schedule, int64_t threads,
                            const CacheSizes &caches = {});

} // namespace weft::cpu
