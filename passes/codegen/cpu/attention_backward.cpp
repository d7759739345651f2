// Attention, backward: dq, dk and dv from one computation of p and ds; or one of the two sides alone, with
// the same bits.
//   for each item                  backward: (batch, key head), all queries and keys; grad_query: (batch,
//   head,
//                                  query tile); grad_key_value: (batch, key head, chunk of keys)
//     for each run of queries with the same begin
//       for each chunk of the run's keys, in blocks counted from begin
//         pack keysᵀ, valuesᵀ and keys of its blocks
//         for each head of the group, each tile of the run's queries
//           for each block: scores and dp, p and ds; dq += ds k; dkᵀ += qᵀ ds, dvᵀ += doutᵀ p
// Keys ascend for a query, and heads, then queries, for a key. dq lies in scratch during a chunk, dkᵀ and dvᵀ
// during all queries of one; between chunks and runs they lie in the results, where sums go on.
#include "passes/codegen/cpu/attention_backward.h"
#include "passes/codegen/cpu/matmul_pack.h"

using namespace mlir;
namespace weft::cpu {

// A tile's rows as lhs of dkᵀ or dvᵀ: in f32 those that are there already, a row's element after the other.
void BackwardEmitter::packLhs(const RowsOf &rows, const Tile &tile, int64_t to) {
  if (plan.unit.pack == 1) return;
  Panel pairs = plan.pairsOf(rows.width);
  bool amx = plan.unit.kind == UnitKind::amx;
  pairs.offset = amx ? plan.pairs : to;
  s.packSteps(rows, tile.first, tile.rows, pairs, none);
  if (!amx) return;
  int64_t row = plan.padded(plan.tile) / 2;
  forLoop(b, none, s.stepsOf(tile.rows), kLanes, [&](Value step) {
    forLoop(b, 0, constantI64(b, pairs.columns), kLanes, [&](Value element) {
      Values now;
      for (int64_t i = 0; i < kLanes; ++i) {
        Value from = addI64(b, mulI64(b, addI64(b, step, i), pairs.columns), element);
        now.push_back(loadLanes(b, s.scratch(pairs.offset, from, s.packed), s.packed));
      }
      for (auto [i, vector] : llvm::enumerate(interleave(b, now))) {
        Value place = addI64(b, mulI64(b, addI64(b, element, int64_t(i)), row), step);
        storeLanes(b, s.scratch(to, place, s.packed), vector);
      }
    });
  });
}

void BackwardEmitter::packTile(const Run &run, const Chunk &chunk, const Tile &tile) {
  RowsOf q = rows(kQ, tile.head, plan.width), dout = rows(kDout, tile.head, plan.valueWidth);
  s.packRows(q, tile.first, tile.rows, plan.queries);
  s.packRows(dout, tile.first, tile.rows, plan.douts);
  forLoop(b, none, tile.rows, 1, [&](Value i) {
    Value t = addI64(b, tile.first, i);
    storeScalar(b, s.scratch(plan.lses, i, f32), loadScalar(b, s.rowAddress(kLse, batch, t, tile.head), f32));
    storeScalar(b, s.scratch(plan.deltas, i, f32),
                loadScalar(b, s.rowAddress(kDelta, batch, t, tile.head), f32));
  });
  if (keyValue) {
    packLhs(q, tile, plan.queriesT);
    packLhs(dout, tile, plan.doutsT);
  }
  if (!query) return;
  ifElse(
      b, TypeRange(), b.create<arith::CmpIOp>(arith::CmpIPredicate::eq, chunk.key, run.begin),
      [&] {
        s.zeroRows(plan.acc, none, tile.rows, plan.width);
        return Values();
      },
      [&] {
        forLoop(b, none, tile.rows, 1, [&](Value i) {
          s.loadRow(s.scratch(plan.acc, mulI64(b, i, plan.keys.columns), f32), dqOf(tile.head),
                    addI64(b, tile.first, i));
        });
        return Values();
      });
}

void BackwardEmitter::emitTile(const Run &run, const Chunk &chunk, Value head, Value first) {
  Tile tile{head, first, minI64(b, subI64(b, run.end, first), constantI64(b, plan.tile)), {}, {}};
  Type i64 = b.getI64Type();
  Values ends =
      forLoop(b, none, tile.rows, 1, ValueRange{s.frame.size(2), none}, [&](Value i, ValueRange range) {
        Value end = maxI64(b, s.bound(kEnd, batch, addI64(b, first, i)), run.begin);
        storeScalar(b, s.scratch(plan.ends, i, i64), end);
        return Values{minI64(b, range[0], end), maxI64(b, range[1], end)};
      });
  tile.leastEnd = ends[0];
  tile.lastEnd = ends[1];
  // Rows behind the tile's see nothing.
  forLoop(b, tile.rows, addI64(b, tile.rows, plan.strip), 1,
          [&](Value i) { storeScalar(b, s.scratch(plan.ends, i, i64), none); });
  auto work = [&] {
    packTile(run, chunk, tile);
    Value seen = minI64(b, chunk.blocks, ceilDivI64(b, subI64(b, tile.lastEnd, chunk.key), plan.keyBlock));
    forLoop(b, none, seen, 1, [&](Value block) { emitBlock(chunk, tile, block); });
    if (!query) return Values();
    Value done = atMost(tile.lastEnd, addI64(b, chunk.key, chunkKeys()));
    Value factor = splat(b, b.create<arith::SelectOp>(done, scale(), constantFloat(b, f32, 1)));
    forLoop(b, none, tile.rows, 1, [&](Value i) {
      s.storeRow(s.scratch(plan.acc, mulI64(b, i, plan.keys.columns), f32), dqOf(head), addI64(b, first, i),
                 [&](Value x) -> Value { return b.create<arith::MulFOp>(x, factor); });
    });
    return Values();
  };
  auto idle = [&] {
    if (query)
      ifThen(b, b.create<arith::CmpIOp>(arith::CmpIPredicate::eq, chunk.key, run.begin),
             [&] { storeZeros(dqOf(head), first, addI64(b, first, tile.rows)); });
    return Values();
  };
  ifElse(b, TypeRange(), lessThan(b, chunk.key, tile.lastEnd), work, idle);
}

void BackwardEmitter::zeroSums(const Chunk &chunk, int64_t sums, int64_t width) {
  Value zero = zeroOf(b, laneType(f32));
  forLoop(b, none, mulI64(b, chunk.blocks, plan.sumRows(width) * scoreWidth()), kLanes,
          [&](Value i) { storeLanes(b, s.scratch(sums, i, f32), zero); });
}

// A chunk's dkᵀ or dvᵀ from rows of the result, or to them, a square of lanes at a time.
void BackwardEmitter::forSums(const Chunk &chunk, int64_t sums, const RowsOf &rows, bool load) {
  Value end = addI64(b, chunk.key, chunk.count), last = subI64(b, end, constantI64(b, 1));
  Value stride = s.columnStride(rows);
  const int64_t squareLanes = stride ? kLanes : transposedLanes(s.frame.level);
  // Keys from j on, elements from `element` on. A mask says which elements exist; null: all.
  auto square = [&](Value j, Value element, int64_t lanes, Value columns) {
    Value block = divI64(b, j, plan.keyBlock), column = remI64(b, j, constantI64(b, plan.keyBlock));
    Value base = addI64(b, mulI64(b, block, plan.sumRows(rows.width) * scoreWidth()), column);
    base = s.scratch(sums, addI64(b, base, mulI64(b, element, scoreWidth())), f32);
    Value within = stride ? mulI64(b, stride, element) : element;
    const VectorType type = VectorType::get({lanes}, f32);
    const bool plain = !columns && !stride;
    auto sumsAt = [&](int64_t i) { return elementAddress(b, base, constantI64(b, i * scoreWidth()), f32); };
    auto result = [&](int64_t i) {
      Value row = minI64(b, addI64(b, addI64(b, chunk.key, j), i), last);
      return elementAddress(b, s.address(rows, row, {}), within, f32);
    };
    Values now;
    for (int64_t i = 0; i < lanes; ++i)
      now.push_back(load && !plain ? loadLanes(b, result(i), f32, columns, stride)
                                   : b.create<LLVM::LoadOp>(type, load ? result(i) : sumsAt(i), 4));
    now = transpose(b, now);
    for (int64_t i = 0; i < lanes; ++i) {
      if (load) {
        b.create<LLVM::StoreOp>(now[i], sumsAt(i), 4);
        continue;
      }
      ifThen(b, lessThan(b, addI64(b, j, i), chunk.count), [&] {
        Value sum = b.create<arith::AddFOp>(now[i], zeroOf(b, type));
        if (plain)
          b.create<LLVM::StoreOp>(sum, result(i), 4);
        else
          storeLanes(b, result(i), sum, columns, stride);
      });
    }
  };
  auto squares = [&](Value first, Value end, int64_t lanes, Value columns) {
    forLoop(b, none, chunk.count, lanes, [&](Value j) {
      forLoop(b, first, end, lanes, [&](Value element) { square(j, element, lanes, columns); });
    });
  };
  const int64_t whole = rows.width / kLanes * kLanes; // as sumRows counts
  Value width = constantI64(b, rows.width);
  if (whole) squares(none, constantI64(b, whole), squareLanes, {});
  if (whole < rows.width)
    squares(constantI64(b, whole), width, kLanes, tailMask(b, constantI64(b, rows.width - whole)));
}

void BackwardEmitter::emitChunk(const Run &run, Value key) {
  Chunk chunk{key, {}, {}};
  Value left = subI64(b, minI64(b, run.last, endKey), key);
  chunk.count = maxI64(b, minI64(b, left, constantI64(b, chunkKeys())), none);
  chunk.blocks = ceilDivI64(b, chunk.count, plan.keyBlock);
  forLoop(b, none, chunk.blocks, 1, [&](Value block) {
    Value within = mulI64(b, block, plan.keyBlock), first = addI64(b, key, within);
    Value count = minI64(b, subI64(b, chunk.count, within), constantI64(b, plan.keyBlock));
    RowsOf k = rows(kK, keyHead, plan.width), v = rows(kV, keyHead, plan.valueWidth);
    s.packTransposed(k, first, count, plan.keysT, mulI64(b, block, plan.keysT.size()));
    s.packTransposed(v, first, count, plan.valuesT, mulI64(b, block, plan.valuesT.size()));
    if (query) s.packSteps(k, first, count, plan.keys, mulI64(b, block, plan.keys.size()));
  });
  if (keyValue)
    ifElse(
        b, TypeRange(), atLeast(b, key, run.fresh),
        [&] {
          zeroSums(chunk, plan.keySums, plan.width);
          zeroSums(chunk, plan.valueSums, plan.valueWidth);
          return Values();
        },
        [&] {
          forSums(chunk, plan.keySums, dkRows(), true);
          forSums(chunk, plan.valueSums, dvRows(), true);
          return Values();
        });
  forLoop(b, firstHead, endHead, 1, [&](Value head) {
    forLoop(b, run.first, run.end, plan.tile, [&](Value row) { emitTile(run, chunk, head, row); });
  });
  if (!keyValue) return;
  forSums(chunk, plan.keySums, dkRows(), false);
  forSums(chunk, plan.valueSums, dvRows(), false);
}

void BackwardEmitter::emitRun(const Run &run) {
  Value low = maxI64(b, run.begin, firstKey), high = minI64(b, run.last, endKey);
  // Queries that see no key have a gradient too: one chunk, of none.
  if (query) high = maxI64(b, high, addI64(b, low, 1));
  forLoop(b, low, high, chunkKeys(), [&](Value key) { emitChunk(run, key); });
}

void BackwardEmitter::storeZeros(const RowsOf &rows, Value first, Value end) {
  Value stride = s.columnStride(rows), zero = zeroOf(b, laneType(f32));
  forLoop(b, first, end, 1, [&](Value row) {
    Value to = s.address(rows, row, {});
    for (int64_t v = 0; v * kLanes < rows.width; ++v)
      storeLanes(
          b, elementAddress(b, to, stride ? mulI64(b, stride, v * kLanes) : constantI64(b, v * kLanes), f32),
          zero, s.columnsMask(rows.width, v), stride);
  });
}

void BackwardEmitter::finishRows(const RowsOf &rows, Value first, Value end, Value factor) {
  forLoop(b, first, end, 1, [&](Value row) {
    s.loadRow(s.scratch(plan.acc), rows, row);
    s.storeRow(s.scratch(plan.acc), rows, row,
               [&](Value x) -> Value { return b.create<arith::MulFOp>(x, factor); });
  });
}

void BackwardEmitter::decode(Value item) {
  Value heads = s.frame.size(3), keyHeads = s.frame.size(4), group = divI64(b, heads, keyHeads), pair = item;
  firstRow = none;
  endRow = s.frame.size(1);
  firstKey = none;
  endKey = s.frame.size(2);
  auto cut = [&](Value &first, Value &end, int64_t step) {
    Value pieces = ceilDivI64(b, end, step);
    pair = divI64(b, item, pieces);
    first = mulI64(b, remI64(b, item, pieces), step);
    end = minI64(b, end, addI64(b, first, step));
  };
  if (!keyValue) cut(firstRow, endRow, s.op.getSchedule()->getTileM());
  if (!query) cut(firstKey, endKey, chunkKeys());
  if (keyValue) {
    batch = divI64(b, pair, keyHeads);
    keyHead = remI64(b, pair, keyHeads);
    firstHead = mulI64(b, keyHead, group);
    endHead = addI64(b, firstHead, group);
  } else {
    batch = divI64(b, pair, heads);
    firstHead = remI64(b, pair, heads);
    endHead = addI64(b, firstHead, 1);
    keyHead = divI64(b, firstHead, group);
  }
}

void BackwardEmitter::emitItem(Value item) {
  decode(item);
  if (keyValue) {
    storeZeros(dkRows(), firstKey, endKey);
    storeZeros(dvRows(), firstKey, endKey);
  }
  // A run ends where begins change: found from the row that begins it.
  forLoop(b, firstRow, endRow, 1, ValueRange{firstRow, none, none}, [&](Value row, ValueRange carried) {
    Value begin = s.bound(kBegin, batch, row), next = addI64(b, row, 1);
    Value last = maxI64(b, carried[1], maxI64(b, s.bound(kEnd, batch, row), begin));
    auto differs = [&]() -> Values {
      return {b.create<arith::CmpIOp>(arith::CmpIPredicate::ne, begin, s.bound(kBegin, batch, next))};
    };
    auto yes = [&]() -> Values { return {b.create<arith::ConstantIntOp>(1, 1)}; };
    Value ends = ifElse(b, {b.getI1Type()}, lessThan(b, next, endRow), differs, yes)[0];
    ifThen(b, ends, [&] { emitRun({carried[0], next, begin, last, carried[2]}); });
    auto choose = [&](Value x, Value y) -> Value { return b.create<arith::SelectOp>(ends, x, y); };
    return Values{choose(next, carried[0]), choose(none, last),
                  choose(maxI64(b, carried[2], last), carried[2])};
  });
  if (keyValue) finishRows(dkRows(), firstKey, endKey, splat(b, scale()));
}

void emitAttentionBackward(AttentionBlocks &blocks) {
  forLoop(blocks.b, blocks.frame.begin, blocks.frame.end, 1,
          [&](Value item) { BackwardEmitter(blocks).emitItem(item); });
}

} // namespace weft::cpu
