// Emits kernel.attention's backward kinds; attention_backward.cpp says how they go through the work.
#pragma once
#include "passes/codegen/cpu/attention_blocks.h"

namespace weft::cpu {

class BackwardEmitter {
public:
  explicit BackwardEmitter(AttentionBlocks &s)
      : s(s), b(s.b), plan(s.plan), f32(s.f32), kind(s.op.getKind()),
        query(kind != kernel::AttentionKind::grad_key_value),
        keyValue(kind != kernel::AttentionKind::grad_query), none(constantI64(b, 0)) {}

  void emitItem(mlir::Value item);

private:
  struct Run {
    mlir::Value first, end;  // query rows
    mlir::Value begin, last; // keys: where its rows' ranges begin, the last end
    mlir::Value fresh;       // from this key on no run before it has written to dk and dv
  };
  struct Chunk {
    mlir::Value key, count, blocks; // first key, keys, blocks
  };
  struct Tile { // of query rows
    mlir::Value head, first, rows;
    mlir::Value leastEnd, lastEnd; // of its rows' ranges
  };

  void decode(mlir::Value item);
  void emitRun(const Run &run);
  void emitChunk(const Run &run, mlir::Value key);
  void emitTile(const Run &run, const Chunk &chunk, mlir::Value head, mlir::Value row);
  void packTile(const Run &run, const Chunk &chunk, const Tile &tile);
  void packLhs(const RowsOf &rows, const Tile &tile, int64_t to);
  LhsAddress lhsOf(int64_t queriesT, int64_t width, mlir::Value element, mlir::Value firstStep);
  void emitBlock(const Chunk &chunk, const Tile &tile, mlir::Value j);
  void emitStrip(mlir::Value key, mlir::Value block, mlir::Value row, mlir::Value end, bool full);
  mlir::Value keysSeen(mlir::Value key, mlir::Value row, int64_t count);
  std::pair<mlir::Value, mlir::Value> rowsThatSee(const Tile &tile, mlir::Value key);
  void emitFactors(mlir::Value key, mlir::Value row, mlir::Value count, bool masked);
  void queryProducts(mlir::Value key, mlir::Value block, mlir::Value low, mlir::Value high, bool full);
  void keyValueProducts(mlir::Value block, mlir::Value low, mlir::Value high, mlir::Value column);
  void forSums(const Chunk &chunk, int64_t sums, const RowsOf &rows, bool load);
  void zeroSums(const Chunk &chunk, int64_t sums, int64_t width);
  void storeZeros(const RowsOf &rows, mlir::Value first, mlir::Value end);
  void finishRows(const RowsOf &rows, mlir::Value first, mlir::Value end, mlir::Value factor);

  RowsOf rows(int64_t access, mlir::Value headOf, int64_t width) { return {access, batch, headOf, width}; }
  RowsOf dqOf(mlir::Value head) { return rows(s.op.getInputs().size(), head, plan.width); }
  RowsOf dkRows() { return rows(s.op.getInputs().size() + query, keyHead, plan.width); }
  RowsOf dvRows() { return rows(s.op.getInputs().size() + query + 1, keyHead, plan.valueWidth); }
  mlir::Value endOf(mlir::Value row) { return s.rangeEnd(row); }
  mlir::Value scale() { return constantFloat(b, f32, s.op.getScale().convertToDouble()); }
  mlir::Value atMost(mlir::Value x, mlir::Value y) { return atLeast(b, y, x); }
  int64_t chunkKeys() const { return plan.chunkBlocks * plan.keyBlock; }
  int64_t scoreWidth() const { return plan.keysT.columns; }

  AttentionBlocks &s;
  Builder &b;
  const AttentionPlan &plan;
  mlir::Type f32;
  kernel::AttentionKind kind;
  bool query, keyValue;
  mlir::Value none;
  mlir::Value batch, keyHead; // of the item, as are these: query heads, query rows, keys
  mlir::Value firstHead, endHead, firstRow, endRow, firstKey, endKey;
};

} // namespace weft::cpu
