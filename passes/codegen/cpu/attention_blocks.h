// What attention's three kernels share: addresses, packed blocks, products of small tiles, ranges, scratch.
//
// Every product goes through a dot unit (matmul_unit.h), of f32 or of bf16: lhs lies row by row, or the other
// way round, in scratch or is packed there; rhs is a panel [column tile][k][tile's columns].
//
// Bits. A row's scores are chains along D, its sums chains along keys in blocks counted from the row's own
// `begin`; nothing depends on the tile the row is computed in. Where a tile runs past a row's own keys, it
// adds products with p = 0: they can only turn a sum of -0 into +0, so every result is written as value + 0.
#pragma once
#include "passes/codegen/cpu/frame.h"
#include "passes/codegen/cpu/matmul_unit.h"

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

// A panel of rhs: `columns` in tiles of `vectors` vectors, `steps` packed elements of k each.
struct Panel {
  int64_t offset = 0; // bytes of scratch
  int64_t columns = 0, vectors = 1, steps = 0;
  int64_t tileColumns() const { return 16 * vectors; }
};

// Where things lie in a thread's scratch, in bytes. Rows come in groups of tile.rows, so arrays of rows have
// some to spare.
struct AttentionPlan {
  AttentionPlan(kernel::AttentionOp op, const CpuLevel &level);
  UnitFacts unit;
  MatmulTile group;            // rows that go through a product together, and most vectors of their columns
  int64_t width, valueWidth;   // D, E
  int64_t keyBlock, tile;      // keys, query rows
  int64_t begins, ends;        // (tile) i64: ranges clamped to [0, S], end >= begin
  int64_t maxima, sums;        // (tile) f32: m and l
  int64_t nextMaxima, factors; // (group) f32: m with the block at hand, and exp(m - that)
  int64_t queries, douts;      // (tile, D or E filled up), packed row by row
  Panel keysT, valuesT;        // k = D, E; a column a key
  Panel keys, values;          // k = keys; a column an element: what p and ds are multiplied by
  Panel queryRows, doutRows;   // k = query rows of a tile: what pᵀ and dsᵀ are multiplied by
  int64_t scores, grads;       // (rows, key block) f32; the rows of a group, in grad_key_value of a tile
  int64_t p, ds;      // those as factors: (group, key block), or by query pairs (tile / pack, key block)
  int64_t transposed; // AMX: pᵀ or dsᵀ row by row, (key block, tile)
  int64_t acc, acc2;  // f32, (tile or key block, padded width): out or dq; dk and dv
  int64_t amxConfig;
  int64_t scratchBytes;

  int64_t padded(int64_t elements) const; // of k: filled up to the unit's groups
  int64_t rowBytes(int64_t elements) const { return padded(elements) * (unit.pack == 2 ? 2 : 4); }
  int64_t accWidth(int64_t columns) const { return panelOf(columns, 0).columns; }
  Panel panelOf(int64_t columns, int64_t k) const; // not placed yet
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
      : op(op), frame(frame), b(frame.b), plan(op, frame.level), f32(frame.b.getF32Type()),
        factor(plan.unit.pack == 2 ? mlir::Type(frame.b.getBF16Type()) : f32),
        packed(plan.unit.pack == 2 ? mlir::Type(frame.b.getI32Type()) : f32) {}

  mlir::Type elementOf(int64_t access);
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

  // Rows [first, first + count) of an operand, packed row by row at `to`, with zeros behind each row's end.
  void packRows(const RowsOf &rows, mlir::Value first, mlir::Value count, int64_t to);
  // Rows [first, first + count) as the columns of a panel. Columns past `count` are not all written.
  void packTransposed(const RowsOf &rows, mlir::Value first, mlir::Value count, const Panel &to);
  // The rows as the steps of a panel, with zeros behind their end and beside them.
  void packSteps(const RowsOf &rows, mlir::Value first, mlir::Value count, const Panel &to);

  // The steps that `elements` of k take, whole groups.
  mlir::Value stepsOf(mlir::Value elements);

  // out[i][:] (f32, rows accWidth or key block apart) = [out[i][:]] + lhs[i][:] panel, for the rows of a
  // group; k over `steps` of the panel from `firstStep` on.
  void product(const LhsAddress &lhs, const Panel &panel, mlir::Value firstStep, mlir::Value steps,
               mlir::Value out, bool accumulate);
  // Row by row from scratch: `row` of an array of rows of `elements`.
  LhsAddress lhsRows(int64_t offset, mlir::Value row, int64_t elements);

  // Writes `transform(vector)` + 0 of a scratch row to an operand's row.
  void storeRow(mlir::Value acc, const RowsOf &rows, mlir::Value row,
                llvm::function_ref<mlir::Value(mlir::Value)> transform);
  void zeroRows(int64_t scratchOffset, mlir::Value first, mlir::Value count, int64_t width);
  // A vector of 16 f32 as factors; pairs of two rows' (null: zero) where the unit takes pairs.
  void storeFactors(mlir::Value pointer, mlir::Value x);
  mlir::Value pairsOf(mlir::Value low, mlir::Value high);

  kernel::AttentionOp op;
  KernelFrame &frame;
  Builder &b;
  AttentionPlan plan;
  mlir::Type f32, factor, packed;

private:
  mlir::Value columnStride(const RowsOf &rows); // null where contiguous
};

// p and ds of one vector of scores (unscaled): p = exp(scale s - lse), ds = p (dp - delta); both 0 where the
// mask is off; null: it is on.
std::pair<mlir::Value, mlir::Value> gradOfScores(Builder &b, kernel::AttentionOp op, mlir::Value scores,
                                                 mlir::Value dp, mlir::Value lse, mlir::Value delta,
                                                 mlir::Value mask);

// All items of the call: see attention_query.cpp and attention_key_value.cpp.
void emitAttentionQuery(AttentionBlocks &blocks);
void emitAttentionKeyValue(AttentionBlocks &blocks);

} // namespace weft::cpu
