// Attention, forward: an item owns query rows.
//   for each item (batch, head, query tile):
//     for each run of rows with the same begin          documents packed into one row begin new runs inside a
//     tile
//       for each key block from begin to the run's last end
//         pack keysᵀ and values; for each strip of rows: scores; p; acc += p v
// One query, as in decode, multiplies keys and values where they lie.
#include "passes/codegen/cpu/attention_blocks.h"
#include "passes/codegen/cpu/vector_math.h"

using namespace mlir;
namespace weft::cpu {
namespace {

// With so few query rows, as in decode, the time is that of reading keys and values, which lie in pieces of
// one head: no stream that the hardware would see.
constexpr int64_t kFewRows = 4;

class ForwardEmitter {
public:
  explicit ForwardEmitter(AttentionBlocks &s)
      : s(s), b(s.b), plan(s.plan), f32(s.f32), output(s.op.getInputs().size()) {}

  void emitItem(Value item);

private:
  struct Block {      // one key block of one run of rows, by number within the tile
    Value runEnd;     // row
    Value key, count; // first key, keys up to the run's last end
  };

  void emitRun(Value first, Value end);
  RowsAhead rowsAhead(const RowsOf &of, Value key, Value end);
  void emitStrip(const Block &block, Value row);
  Value keysSeen(const Block &block, Value row, int64_t rows);
  bool isInPlace(const RowsOf &keys, const RowsOf &values);
  void forKeys(const Block &block, Value row, llvm::function_ref<void(const Values &)> some,
               llvm::function_ref<void()> none);
  void softmaxRows(const Block &block, Value first, Value count);
  void scaleRow(Value row, Value factor);
  void finishRow(Value row);
  // Vector v of row i of a strip.
  Value scoreAt(int64_t base, Value i, int64_t v) {
    return s.scratch(base, addI64(b, mulI64(b, i, plan.keysT.columns), v * kLanes), f32);
  }
  Value factorAt(Value i, int64_t v) {
    return s.scratch(plan.p, addI64(b, mulI64(b, i, plan.padded(plan.keyBlock)), v * kLanes), s.factor);
  }
  int64_t vectors() const { return plan.keyBlock / kLanes; }
  // Zeros behind the block's keys, where the unit's groups are longer than the block.
  void fillFactors(Value i) {
    for (int64_t v = vectors(); v * kLanes < plan.padded(plan.keyBlock); ++v)
      s.storeFactors(factorAt(i, v), zeroOf(b, laneType(f32)));
  }
  void noFactors(Value i) { // of a row that sees none of the keys
    for (int64_t v = 0; v < vectors(); ++v) s.storeFactors(factorAt(i, v), zeroOf(b, laneType(f32)));
    fillFactors(i);
  }
  Value accAt(Value row, int64_t column) {
    return s.scratch(plan.acc, addI64(b, mulI64(b, row, plan.accWidth(plan.valueWidth)), column), f32);
  }
  RowsOf rows(int64_t access, Value headOf, int64_t width) { return {access, batch, headOf, width}; }

  AttentionBlocks &s;
  Builder &b;
  const AttentionPlan &plan;
  Type f32;
  int64_t output;
  Value batch, head, keyHead, firstRow; // of the item
  struct {
    Value batch, keyHead, begin, end; // keys of its first query
  } next;                             // the item behind it; of few rows alone
};

// `some(masks)` where the row sees keys of the block, with null masks where it sees all of them; else
// `none()`.
void ForwardEmitter::forKeys(const Block &block, Value row, llvm::function_ref<void(const Values &)> some,
                             llvm::function_ref<void()> none) {
  Value left = subI64(b, s.rangeEnd(row), block.key);
  auto nothing = [] { return Values(); };
  ifElse(
      b, TypeRange(), atLeast(b, left, constantI64(b, plan.keyBlock)),
      [&] {
        some(Values(vectors()));
        return nothing();
      },
      [&] {
        ifElse(
            b, TypeRange(), lessThan(b, constantI64(b, 0), left),
            [&] {
              Values masks;
              for (int64_t v = 0; v < vectors(); ++v) masks.push_back(tailMask(b, lanesLeft(b, left, v)));
              some(masks);
              return nothing();
            },
            [&] {
              none();
              return nothing();
            });
        return nothing();
      });
}

// The online softmax of a strip of rows, in three passes: a row's own work is a chain of latencies, which
// rows one after another hide, and what a row has one number of is done for sixteen rows at once.
//   scaled scores and the block's maximum; m' = max(m, that)
//   f = exp(m - m'), l *= f, m = m'
//   p = exp(s - m'), l += Σ p, acc *= f
void ForwardEmitter::softmaxRows(const Block &block, Value first, Value count) {
  using kernel::RowReduceKind;
  Value zero = zeroOf(b, laneType(f32));
  auto maximumOf = [&](Value row) { return s.scratch(plan.maxima, row, f32); };
  auto nextOf = [&](Value i) { return s.scratch(plan.nextMaxima, i, f32); };
  auto factorOf = [&](Value i) { return s.scratch(plan.factors, i, f32); };
  forLoop(b, 0, count, 1, [&](Value i) {
    Value row = addI64(b, first, i), before = loadScalar(b, maximumOf(row), f32);
    auto seen = [&](const Values &masks) {
      Value scale = constantFloat(b, laneType(f32), s.op.getScale().convertToDouble());
      Value nothing = reductionIdentity(b, RowReduceKind::max, laneType(f32)), lanes;
      for (int64_t v = 0; v < vectors(); ++v) {
        Value place = scoreAt(plan.scores, i, v);
        Value x = b.create<arith::MulFOp>(loadLanes(b, place, f32), scale);
        if (masks[v]) x = b.create<arith::SelectOp>(masks[v], x, nothing);
        storeLanes(b, place, x);
        lanes = v ? combine(b, RowReduceKind::max, lanes, x) : x;
      }
      storeScalar(b, nextOf(i),
                  combine(b, RowReduceKind::max, before, combineHalves(b, RowReduceKind::max, lanes)));
    };
    forKeys(block, row, seen, [&] { storeScalar(b, nextOf(i), before); });
  });
  // Where the maximum stays the factor is 1, also while it is -inf.
  forLoop(b, 0, count, kLanes, [&](Value i) {
    Value row = addI64(b, first, i), mask = tailMask(b, lanesLeft(b, subI64(b, count, i), 0));
    Value before = loadLanes(b, maximumOf(row), f32, mask), now = loadLanes(b, nextOf(i), f32, mask);
    Value same = b.create<arith::CmpFOp>(arith::CmpFPredicate::OEQ, before, now);
    Value factor = b.create<arith::SelectOp>(same, constantFloat(b, laneType(f32), 1),
                                             s.exp(b.create<arith::SubFOp>(before, now)));
    Value sums = s.scratch(plan.sums, row, f32);
    storeLanes(b, factorOf(i), factor, mask);
    storeLanes(b, maximumOf(row), now, mask);
    storeLanes(b, sums, b.create<arith::MulFOp>(loadLanes(b, sums, f32, mask), factor), mask);
  });
  forLoop(b, 0, count, 1, [&](Value i) {
    Value row = addI64(b, first, i);
    auto seen = [&](const Values &masks) {
      Value spread = splat(b, loadScalar(b, nextOf(i), f32)), sum = s.scratch(plan.sums, row, f32), lanes;
      for (int64_t v = 0; v < vectors(); ++v) {
        Value p = s.exp(b.create<arith::SubFOp>(loadLanes(b, scoreAt(plan.scores, i, v), f32), spread));
        if (masks[v]) p = b.create<arith::SelectOp>(masks[v], p, zero);
        s.storeFactors(factorAt(i, v), p);
        lanes = v ? combine(b, RowReduceKind::sum, lanes, p) : p;
      }
      fillFactors(i);
      Value total = combineHalves(b, RowReduceKind::sum, lanes);
      storeScalar(b, sum, b.create<arith::AddFOp>(loadScalar(b, sum, f32), total));
      scaleRow(row, loadScalar(b, factorOf(i), f32));
    };
    forKeys(block, row, seen, [&] { noFactors(i); });
  });
}

// acc[row] *= factor, where its maximum has risen.
void ForwardEmitter::scaleRow(Value row, Value factor) {
  Value one = constantFloat(b, f32, 1), spread = splat(b, factor);
  ifThen(b, b.create<arith::CmpFOp>(arith::CmpFPredicate::UNE, factor, one), [&] {
    for (int64_t v = 0; v * kLanes < plan.accWidth(plan.valueWidth); ++v) {
      Value place = accAt(row, v * kLanes);
      storeLanes(b, place, b.create<arith::MulFOp>(loadLanes(b, place, f32), spread));
    }
  });
}

// How many of the block's keys, from its first to the last that some of `rows` rows from `row` on sees.
Value ForwardEmitter::keysSeen(const Block &block, Value row, int64_t rows) {
  Value end = minI64(b, addI64(b, row, rows), block.runEnd);
  Value last = forLoop(b, row, end, 1, ValueRange{constantI64(b, 0)}, [&](Value i, ValueRange most) {
    return Values{maxI64(b, most[0], s.rangeEnd(i))};
  })[0];
  return minI64(b, subI64(b, last, block.key), block.count);
}

void ForwardEmitter::emitStrip(const Block &block, Value row) {
  Value none = constantI64(b, 0), count = minI64(b, subI64(b, block.runEnd, row), constantI64(b, plan.strip));
  // What no row of a group sees is not computed, and masked below.
  s.forTiles(plan.keysT, none, count, [&](Value column, Value i) {
    Value of = addI64(b, row, i);
    ifThen(b, lessThan(b, column, keysSeen(block, of, plan.group.rows)), [&] {
      s.productTile(s.lhsRows(plan.queries, of, plan.width), plan.keysT, none, column,
                    s.wholeTile(plan.keysT), constantI64(b, plan.keysT.steps),
                    s.scratch(plan.scores, mulI64(b, i, plan.keysT.columns), f32), false);
    });
  });
  // Rows past the run hold leftovers; what they give goes to rows that begin later.
  softmaxRows(block, row, count);
  s.forTiles(plan.values, none, count, [&](Value column, Value i) {
    Value of = addI64(b, row, i), keys = keysSeen(block, of, plan.group.rows);
    ifThen(b, lessThan(b, none, keys), [&] {
      s.productTile(s.lhsRows(plan.p, i, plan.keyBlock), plan.values, none, column, s.wholeTile(plan.values),
                    s.stepsOf(keys), accAt(of, 0), true);
    });
  });
}

void ForwardEmitter::finishRow(Value row) {
  Value acc = accAt(row, 0), t = addI64(b, firstRow, row);
  // An empty range: acc is 0, and 1 stands for the sum and 0 for the maximum, so that out and lse are 0.
  Value empty = b.create<arith::CmpIOp>(arith::CmpIPredicate::eq, s.rangeBegin(row), s.rangeEnd(row));
  Value sum = b.create<arith::SelectOp>(empty, constantFloat(b, f32, 1),
                                        loadScalar(b, s.scratch(plan.sums, row, f32), f32));
  Value maximum = b.create<arith::SelectOp>(empty, constantFloat(b, f32, 0),
                                            loadScalar(b, s.scratch(plan.maxima, row, f32), f32));
  Value spread = splat(b, sum);
  s.storeRow(acc, rows(output, head, plan.valueWidth), t,
             [&](Value x) -> Value { return b.create<arith::DivFOp>(x, spread); });
  storeScalar(b, s.rowAddress(output + 1, batch, t, head), b.create<arith::AddFOp>(maximum, emitLog(b, sum)));
}

// The run's own rows from `key` on, or, where it has no more, those of the next item's first query.
RowsAhead ForwardEmitter::rowsAhead(const RowsOf &of, Value key, Value end) {
  Value own = lessThan(b, key, end);
  auto choose = [&](Value x, Value y) -> Value { return b.create<arith::SelectOp>(own, x, y); };
  RowsOf from{of.access, choose(of.batch, next.batch), choose(of.head, next.keyHead), of.width};
  return {from, choose(key, next.begin), subI64(b, choose(end, next.end), constantI64(b, 1))};
}

// Whether nothing is packed: one query would read a panel once.
bool ForwardEmitter::isInPlace(const RowsOf &keys, const RowsOf &values) {
  return plan.tile == 1 && plan.unit.kind != UnitKind::amx && !s.columnStride(keys) &&
         !s.columnStride(values) && plan.width % plan.unit.kMultiple == 0 &&
         plan.valueWidth % plan.values.tileColumns() == 0;
}

void ForwardEmitter::emitRun(Value first, Value end) {
  s.zeroRows(plan.acc, first, subI64(b, end, first), plan.valueWidth);
  Value lastKey = forLoop(b, first, end, 1, ValueRange{constantI64(b, 0)}, [&](Value row, ValueRange most) {
    storeScalar(b, s.scratch(plan.maxima, row, f32), reductionIdentity(b, kernel::RowReduceKind::max, f32));
    storeScalar(b, s.scratch(plan.sums, row, f32), constantFloat(b, f32, 0));
    return Values{maxI64(b, most[0], s.rangeEnd(row))};
  })[0];
  Value none = constantI64(b, 0);
  forLoop(b, s.rangeBegin(first), lastKey, plan.keyBlock, [&](Value key) {
    Block block{end, key, minI64(b, subI64(b, lastKey, key), constantI64(b, plan.keyBlock))};
    auto keys = rows(kK, keyHead, plan.width), values = rows(kV, keyHead, plan.valueWidth);
    auto aheadOf = [&](const RowsOf &of) -> std::optional<RowsAhead> {
      if (plan.tile > kFewRows || s.columnStride(of)) return std::nullopt;
      return rowsAhead(of, addI64(b, key, plan.keyBlock), lastKey);
    };
    auto keysAhead = aheadOf(keys), valuesAhead = aheadOf(values);
    if (isInPlace(keys, values)) {
      s.productOfColumns(s.lhsRows(plan.queries, first, plan.width), keys, key, block.count,
                         s.scratch(plan.scores), plan.keysT.columns, keysAhead ? &*keysAhead : nullptr);
      softmaxRows(block, first, constantI64(b, 1));
      s.productOfSteps(s.lhsRows(plan.p, none, plan.keyBlock), values, key, block.count, accAt(first, 0),
                       plan.values, valuesAhead ? &*valuesAhead : nullptr);
      return;
    }
    s.packTransposed(keys, key, block.count, plan.keysT, none, keysAhead ? &*keysAhead : nullptr);
    s.packSteps(values, key, block.count, plan.values, none, valuesAhead ? &*valuesAhead : nullptr);
    forLoop(b, first, end, plan.strip, [&](Value row) {
      ifThen(b, lessThan(b, none, keysSeen(block, row, plan.strip)), [&] { emitStrip(block, row); });
    });
  });
  forLoop(b, first, end, 1, [&](Value row) { finishRow(row); });
}

void ForwardEmitter::emitItem(Value item) {
  Value tiles = ceilDivI64(b, s.frame.size(1), plan.tile), heads = s.frame.size(3);
  auto headOf = [&](Value item) { return remI64(b, divI64(b, item, tiles), heads); };
  auto batchOf = [&](Value item) { return divI64(b, divI64(b, item, tiles), heads); };
  auto keyHeadOf = [&](Value head) { return divI64(b, head, divI64(b, heads, s.frame.size(4))); };
  batch = batchOf(item);
  head = headOf(item);
  keyHead = keyHeadOf(head);
  if (plan.tile <= kFewRows) {
    Value after = minI64(b, addI64(b, item, 1), subI64(b, s.frame.end, constantI64(b, 1)));
    Value query = mulI64(b, remI64(b, after, tiles), plan.tile);
    next = {batchOf(after), keyHeadOf(headOf(after)), {}, {}};
    next.begin = s.bound(kBegin, next.batch, query);
    next.end = s.bound(kEnd, next.batch, query);
  }
  firstRow = mulI64(b, remI64(b, item, tiles), plan.tile);
  Value count = minI64(b, subI64(b, s.frame.size(1), firstRow), constantI64(b, plan.tile));
  s.loadRanges(batch, firstRow, count);
  s.packRows(rows(kQ, head, plan.width), firstRow, count, plan.queries);
  // The run that begins at a row ends where begins change: found from the row where it begins.
  forLoop(b, constantI64(b, 0), count, 1, ValueRange{constantI64(b, 0)}, [&](Value row, ValueRange runStart) {
    Value next = addI64(b, row, 1);
    auto differs = [&]() -> Values {
      return {b.create<arith::CmpIOp>(arith::CmpIPredicate::ne, s.rangeBegin(row), s.rangeBegin(next))};
    };
    auto yes = [&]() -> Values { return {b.create<arith::ConstantIntOp>(1, 1)}; };
    Value ends = ifElse(b, {b.getI1Type()}, lessThan(b, next, count), differs, yes)[0];
    ifThen(b, ends, [&] { emitRun(runStart[0], next); });
    return Values{b.create<arith::SelectOp>(ends, next, runStart[0])};
  });
}

} // namespace

void emitAttentionForward(AttentionBlocks &blocks) {
  forLoop(blocks.b, blocks.frame.begin, blocks.frame.end, 1,
          [&](Value item) { ForwardEmitter(blocks).emitItem(item); });
}

} // namespace weft::cpu
