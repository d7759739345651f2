// What attention's three kernels share: addresses, packed key blocks, products of small tiles, ranges,
// scratch.
//
// Bits. A row's scores are chains along D, its sums chains along keys in blocks counted from the row's own
// `begin`; nothing depends on the tile the row is computed in. Where a tile runs past a row's own keys, it
// adds products with p = 0: they can only turn a sum of -0 into +0, so every result is written as value + 0.
#pragma once
#include "passes/codegen/cpu/frame.h"
#include "passes/codegen/cpu/matmul_control.h"

namespace weft::cpu {

// The op's inputs by number: the first five of forward, all of the gradients.
enum AttentionInput : int64_t {
  kQ = 0,
  kK = 1,
  kV = 2,
  kBegin = 3,
  kEnd = 4,
  kLse = 5,
  kDelta = 6,
  kDout = 7
};

// Rows that go through a product together.
constexpr int64_t kGroup = 4;

// Where things lie in a thread's scratch, in bytes. Rows come in groups, so arrays of rows have kGroup - 1 to
// spare.
struct AttentionPlan {
  explicit AttentionPlan(kernel::AttentionOp op);
  int64_t width, valueWidth; // D, E
  int64_t keyBlock, tile;    // keys, query rows
  int64_t begins, ends;      // (tile) i64: ranges clamped to [0, S], end >= begin
  int64_t maxima, sums;      // (tile) f32: m and l
  int64_t keysT, valuesT;    // (D, key block), (E, key block): transposed
  int64_t scores,
      grads; // forward, grad_query: (group, key block); grad_key_value: (tile, key block). p, and ds
  int64_t corrections; // (group)
  int64_t acc, acc2;   // (tile or key block, padded width): out or dq; dk and dv
  int64_t scratchBytes;

  static int64_t padded(int64_t width) { return (width + kLanes - 1) / kLanes * kLanes; }
};

// One row-major operand: element (i, c) of the chosen batch and head.
struct RowsOf {
  int64_t access;
  mlir::Value batch, head;
  int64_t width;
};

class AttentionBlocks {
public:
  AttentionBlocks(kernel::AttentionOp op, KernelFrame &frame)
      : op(op), frame(frame), b(frame.b), plan(op), f32(frame.b.getF32Type()) {}

  // Address of element (row, column) of an operand; column may be null.
  mlir::Value address(const RowsOf &rows, mlir::Value row, mlir::Value column);
  // Address of (batch, row[, head]) of begin, end, lse, delta.
  mlir::Value rowAddress(int64_t access, mlir::Value batch, mlir::Value row, mlir::Value head);
  mlir::Value scratch(int64_t bytes) {
    return elementAddress(b, frame.scratch, constantI64(b, bytes), b.getI8Type());
  }
  mlir::Value scratch(int64_t bytes, mlir::Value index, mlir::Type element) {
    return elementAddress(b, scratch(bytes), index, element);
  }

  // Clamped ranges of query rows [row, row + count) to scratch.
  void loadRanges(mlir::Value batch, mlir::Value row, mlir::Value count);
  mlir::Value rangeBegin(mlir::Value i) {
    return loadScalar(b, scratch(plan.begins, i, b.getI64Type()), b.getI64Type());
  }
  mlir::Value rangeEnd(mlir::Value i) {
    return loadScalar(b, scratch(plan.ends, i, b.getI64Type()), b.getI64Type());
  }

  // Rows [first, first + count) of keys or values to scratch, transposed: (width, key block). Columns past
  // `count` are not all written.
  void packTransposed(const RowsOf &rows, mlir::Value first, mlir::Value count, int64_t to);

  // (group, key block) += rows times a transposed block: out[i][j] = chain over c of rows[indices[i]][c] *
  // transposed[c][j], from zero, stored at `to` (i * key block).
  void productTransposed(const RowsOf &rows, llvm::ArrayRef<mlir::Value> indices, int64_t transposed,
                         mlir::Value to);

  // acc[i][:] = chain over j in [from, to), from `scale(i)` * acc[i][:] (scale null: acc), of factor(i, j) *
  // rows[firstRow + j][:]. acc: address of kGroup rows of padded(rows.width) in scratch.
  void accumulate(mlir::Value acc, llvm::function_ref<mlir::Value(int64_t)> scale,
                  llvm::function_ref<mlir::Value(int64_t, mlir::Value)> factor, const RowsOf &rows,
                  mlir::Value firstRow, mlir::Value from, mlir::Value to);

  // Writes `transform(vector)` + 0 of a scratch row to an operand's row.
  void storeRow(mlir::Value acc, const RowsOf &rows, mlir::Value row,
                llvm::function_ref<mlir::Value(mlir::Value)> transform);
  void zeroRows(int64_t scratchOffset, mlir::Value first, mlir::Value count, int64_t width);

  kernel::AttentionOp op;
  KernelFrame &frame;
  Builder &b;
  AttentionPlan plan;
  mlir::Type f32;

private:
  // Calls `body(first vector, vectors, mask of the last or null)` for vectors covering `width` columns, at
  // most `most` at a time.
  void forColumns(int64_t width, int64_t most,
                  llvm::function_ref<void(mlir::Value, int64_t, mlir::Value)> body);
  // Vectors a product of kGroup rows holds in registers.
  int64_t vectorsAtOnce() const { return frame.level.vectorRegisters >= 32 ? 4 : 1; }
  mlir::Value columnStride(const RowsOf &rows); // null where contiguous
};

// p and ds of one vector of scores (unscaled): p = exp(scale s - lse), ds = p (dp - delta); both 0 where the
// mask is off.
std::pair<mlir::Value, mlir::Value> gradOfScores(Builder &b, kernel::AttentionOp op, mlir::Value scores,
                                                 mlir::Value dp, mlir::Value lse, mlir::Value delta,
                                                 mlir::Value mask);

// All items of the call: see attention_query.cpp and attention_key_value.cpp.
void emitAttentionQuery(AttentionBlocks &blocks);
void emitAttentionKeyValue(AttentionBlocks &blocks);

} // namespace weft::cpu
