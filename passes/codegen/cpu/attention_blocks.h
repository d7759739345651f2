// What attention's kernels share: addresses, packed blocks, products of small tiles, ranges, scratch.
//
// Every product goes through a dot unit (matmul_unit.h), of f32 or of bf16: lhs lies row by row, or the other
// way round, in scratch or is packed there; rhs is a panel [column tile][k][tile's columns], or an operand as
// it lies where one query reads it.
//
// Bits. A row's scores are chains along D, its sums chains along keys in blocks counted from the row's own
// `begin`; a key's sums are chains along the queries of a run, rows one after another with the same `begin`,
// counted from its first. Nothing depends on the tile that is computed. Where a tile runs past a row's own
// keys, it adds products with p = 0: they can only turn a sum of -0 into +0, so every result is written as
// value + 0.
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

// A panel of rhs: `columns` in tiles of `vectors` vectors, `steps` packed elements of k each; [tile][step]
// or, by rows, [step][tile].
struct Panel {
  int64_t offset = 0; // bytes of scratch
  int64_t columns = 0, vectors = 1, steps = 0;
  bool byRows = false;
  int64_t tileColumns() const { return 16 * vectors; }
  int64_t stepStride() const { return byRows ? columns : tileColumns(); }
  int64_t tileStride() const { return byRows ? tileColumns() : steps * tileColumns(); }
  int64_t size() const { return columns * steps; } // packed elements
};

// Where things lie in a thread's scratch, in bytes. Rows come in groups of group.rows, or of a piece's, so
// arrays of rows have some to spare.
struct AttentionPlan {
  AttentionPlan(kernel::AttentionOp op, const CpuLevel &level);
  UnitFacts unit;
  MatmulTile group;          // rows that go through a product together, and most vectors of their columns
  int64_t width, valueWidth; // D, E
  int64_t keyBlock, tile;    // keys, query rows
  int64_t begins = 0, ends;  // (tile) i64: ranges clamped to [0, S], end >= begin
  int64_t queries, douts;    // (tile, D or E filled up), packed row by row
  int64_t amxConfig;
  int64_t scratchBytes = 0;

  // Forward.
  int64_t maxima, sums;        // (tile) f32: m and l
  int64_t nextMaxima, factors; // (strip) f32: m with the block at hand, and exp(m - that)
  Panel values;                // k = keys; a column an element: what p is multiplied by
  int64_t acc;                 // (tile, padded width) f32: out, or dq

  Panel keysT;    // k = D; a column a key. Backward: of each block of a chunk
  int64_t strip;  // query rows whose scores are computed together: whole groups of rows, and, backward, of k
  int64_t scores; // (strip, keysT.columns) f32
  int64_t p, ds;  // forward: p as lhs (strip, key block). Backward: as rhs, `factorPanel`

  // Backward.
  int64_t stripUnit;          // rows of the least strip
  int64_t chunkBlocks;        // blocks of keys in a chunk, whose packed keys and sums stay in scratch
  int64_t lses, deltas;       // (tile) f32
  Panel valuesT, keys;        // k = E, a column a key; k = keys, a column an element of D
  int64_t grads;              // dp, as scores
  Panel factorPanel;          // of p and of ds: k = queries, a column a key
  int64_t dsRows;             // ds as lhs (tile, key block)
  int64_t pairs;              // AMX: `pairsOf` queries or douts, on their way to be lhs
  int64_t queriesT, doutsT;   // lhs of dkᵀ and dvᵀ: a row an element, k = queries; see lhsOf
  int64_t keySums, valueSums; // (blocks, sumRows, keysT.columns) f32: dkᵀ and dvᵀ

  int64_t padded(int64_t elements) const; // of k: filled up to the unit's groups
  int64_t rowBytes(int64_t elements) const { return padded(elements) * (unit.pack == 2 ? 2 : 4); }
  int64_t accWidth(int64_t columns) const { return panelOf(columns, 0).columns; }
  int64_t sumRows(int64_t width) const; // rows of dkᵀ or dvᵀ that are written
  // What a block that is seen in part is computed in: tiles half as wide as keysT's and twice as tall, so
  // that as many chains are under way.
  MatmulTile piece() const {
    const int64_t vectors = panelOf(keyBlock, 0).vectors;
    return unit.kind == UnitKind::amx || vectors % 2 ? MatmulTile{group.rows, vectors}
                                                     : MatmulTile{2 * group.rows, vectors / 2};
  }
  Panel panelOf(int64_t columns, int64_t k) const; // not placed yet
  Panel pairsOf(int64_t columns) const;            // likewise: a tile's rows in pairs, a column an element

private:
  int64_t stripOf(int64_t unit) const;
  void placeForward();
  void placeBackward();
  int64_t place(int64_t bytes);
  Panel panel(int64_t columns, int64_t k, int64_t copies = 1);
};

// One row-major operand: element (i, c) of the chosen batch and head.
struct RowsOf {
  int64_t access;
  mlir::Value batch, head;
  int64_t width;
};

// Rows that will be read, whose elements lie together: asked for one by one while others are read, since a
// request for all of them at once waits for memory.
struct RowsAhead {
  RowsOf rows;
  mlir::Value first, last;
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

  // begin or end (`access`) of a query, clamped to [0, S].
  mlir::Value bound(int64_t access, mlir::Value batch, mlir::Value row);
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
  // Rows [first, first + count) as the columns of a panel that begins `at` packed elements behind to.offset.
  // Columns past `count` are not all written.
  void packTransposed(const RowsOf &rows, mlir::Value first, mlir::Value count, const Panel &to,
                      mlir::Value at, const RowsAhead *ahead = nullptr);
  // The rows as the steps of a panel, with zeros behind their end and beside them.
  void packSteps(const RowsOf &rows, mlir::Value first, mlir::Value count, const Panel &to, mlir::Value at,
                 const RowsAhead *ahead = nullptr);

  // The steps that `elements` of k take, whole groups.
  mlir::Value stepsOf(mlir::Value elements);

  // Calls f(column, row) for each tile of the panel's columns and each group of rows in [first, end), columns
  // outermost: a tile of rhs stays in the first level while rows go by. The last group may end behind `end`.
  void forTiles(const Panel &panel, mlir::Value first, mlir::Value end,
                llvm::function_ref<void(mlir::Value column, mlir::Value row)> f);
  // out[i][c] (f32, rows panel.columns apart) = [out[i][c]] + lhs[i][:] panel[:][c], for the rows and vectors
  // of `shape` from `column` on, which lie in one of the panel's tiles; k over `steps` of the panel, from
  // `at` packed elements behind its offset on.
  void productTile(const LhsAddress &lhs, const Panel &panel, mlir::Value at, mlir::Value column,
                   MatmulTile shape, mlir::Value steps, mlir::Value out, bool accumulate);
  // All of a panel's tile, for a group of rows.
  MatmulTile wholeTile(const Panel &panel) const { return {plan.group.rows, panel.vectors}; }
  // All columns, with operands as they lie, where a panel would be read once; not on AMX. Rows [first, first
  // + count) as columns, `columns` apart in `out`: of whole groups of k. Rows as steps, added to `out`, whose
  // width is whole tiles of `panel`. `ahead`: rows of the operand that are asked for meanwhile.
  void productOfColumns(const LhsAddress &lhs, const RowsOf &rows, mlir::Value first, mlir::Value count,
                        mlir::Value out, int64_t columns, const RowsAhead *ahead);
  void productOfSteps(const LhsAddress &lhs, const RowsOf &rows, mlir::Value first, mlir::Value count,
                      mlir::Value out, const Panel &panel, const RowsAhead *ahead);
  // Row by row from scratch: `row` of an array of rows of `elements`.
  LhsAddress lhsRows(int64_t offset, mlir::Value row, int64_t elements);

  // Writes `transform(vector)` + 0 of a scratch row to an operand's row.
  void storeRow(mlir::Value acc, const RowsOf &rows, mlir::Value row,
                llvm::function_ref<mlir::Value(mlir::Value)> transform);
  void zeroRows(int64_t scratchOffset, mlir::Value first, mlir::Value count, int64_t width);
  // The other way round: an operand's row (f32) to scratch, with zeros beside it.
  void loadRow(mlir::Value acc, const RowsOf &rows, mlir::Value row);
  // The mask of vector `v` of `width` columns; null for a whole vector.
  mlir::Value columnsMask(int64_t width, int64_t v);
  mlir::Value columnStride(const RowsOf &rows); // null where contiguous
  mlir::Value exp(mlir::Value x);               // of 16 f32
  // A vector of 16 f32 as factors; pairs of two rows' where the unit takes pairs.
  void storeFactors(mlir::Value pointer, mlir::Value x);
  mlir::Value pairsOf(mlir::Value low, mlir::Value high);

  // The cache lines of `columns` elements of row `i` of those ahead, from `column` (null: the first) on.
  void prefetch(const RowsAhead &ahead, mlir::Value i, mlir::Value column, int64_t columns);
  // Row first + `row` and, in pairs, the next one: 16 packed elements from `column` on. `mask`: of columns
  // that exist; null: all do. Rows from `count` on are zeros; null: they exist.
  mlir::Value stepAt(const RowsOf &rows, mlir::Value first, mlir::Value row, mlir::Value column,
                     mlir::Value mask, mlir::Value count);
  // The beginnings of 16 rows from `first` + `j` on, of `count` of them: later ones are the last.
  ColumnPointers pointersTo(const RowsOf &rows, mlir::Value first, mlir::Value j, mlir::Value count);

  kernel::AttentionOp op;
  KernelFrame &frame;
  Builder &b;
  AttentionPlan plan;
  mlir::Type f32, factor, packed;
};

// All items of the call: see attention_forward.cpp and attention_backward.cpp.
void emitAttentionForward(AttentionBlocks &blocks);
void emitAttentionBackward(AttentionBlocks &blocks);

} // namespace weft::cpu
