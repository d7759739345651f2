// Attention's kernels that own query rows: forward, and the gradient of q.
//   for each item (batch, head, query tile):
//     for each run of rows with the same begin          documents packed into one row begin new runs inside a
//     tile
//       for each key block from begin to the run's last end
//         pack keysᵀ and values (or keysᵀ, valuesᵀ and keys); for each group of rows: scores; p (or ds); acc
//         += p v (or ds k)
#include "passes/codegen/cpu/attention_blocks.h"
#include "passes/codegen/cpu/vector_math.h"

using namespace mlir;
namespace weft::cpu {
namespace {

class QueryEmitter {
public:
  explicit QueryEmitter(AttentionBlocks &s)
      : s(s), b(s.b), plan(s.plan), f32(s.f32), forward(s.op.getKind() == kernel::AttentionKind::forward),
        output(s.op.getInputs().size()) {}

  void emitItem(Value item);

private:
  struct Block {      // one key block of one run of rows, by number within the tile
    Value runEnd;     // row
    Value key, count; // first key, keys up to the run's last end
  };

  void emitRun(Value first, Value end);
  void emitGroup(const Block &block, Value row);
  void softmaxRow(const Block &block, Value row, Value i);
  void scaleRow(Value row, Value factor);
  void gradRow(const Block &block, Value row, Value i);
  void finishRow(Value row);
  // i1 vector v of the block's keys that lie in the row's range.
  Value keyMask(const Block &block, Value end, int64_t v) {
    return tailMask(b, lanesLeft(b, subI64(b, end, block.key), v));
  }
  // Vector v of row i of a group.
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
  int64_t width() const { return forward ? plan.valueWidth : plan.width; } // of acc
  Value accAt(Value row, int64_t column) {
    return s.scratch(plan.acc, addI64(b, mulI64(b, row, plan.accWidth(width())), column), f32);
  }
  RowsOf rows(int64_t access, Value headOf, int64_t width) { return {access, batch, headOf, width}; }

  AttentionBlocks &s;
  Builder &b;
  const AttentionPlan &plan;
  Type f32;
  bool forward;
  int64_t output;
  Value batch, head, keyHead, firstRow; // of the item
};

void QueryEmitter::softmaxRow(const Block &block, Value row, Value i) {
  Value end = s.rangeEnd(row);
  auto update = [&] {
    using kernel::RowReduceKind;
    Value scale = constantFloat(b, laneType(f32), s.op.getScale().convertToDouble());
    Value nothing = reductionIdentity(b, RowReduceKind::max, laneType(f32)), zero = zeroOf(b, laneType(f32)),
          lanes;
    Values x, masks;
    for (int64_t v = 0; v < vectors(); ++v) {
      masks.push_back(keyMask(block, end, v));
      Value scaled = b.create<arith::MulFOp>(loadLanes(b, scoreAt(plan.scores, i, v), f32), scale);
      x.push_back(b.create<arith::SelectOp>(masks[v], scaled, nothing));
      lanes = v ? combine(b, RowReduceKind::max, lanes, x[v]) : x[v];
    }
    Value maximum = s.scratch(plan.maxima, row, f32), sum = s.scratch(plan.sums, row, f32);
    Value before = loadScalar(b, maximum, f32);
    Value now = combine(b, RowReduceKind::max, before, combineHalves(b, RowReduceKind::max, lanes));
    Value spread = splat(b, now);
    for (int64_t v = 0; v < vectors(); ++v) {
      Value p = emitExp(b, b.create<arith::SubFOp>(x[v], spread));
      p = b.create<arith::SelectOp>(masks[v], p, zero);
      s.storeFactors(factorAt(i, v), p);
      lanes = v ? combine(b, RowReduceKind::sum, lanes, p) : p;
    }
    fillFactors(i);
    Value factor = emitExp(b, b.create<arith::SubFOp>(before, now));
    Value kept = b.create<arith::MulFOp>(loadScalar(b, sum, f32), factor);
    storeScalar(b, sum, b.create<arith::AddFOp>(kept, combineHalves(b, RowReduceKind::sum, lanes)));
    storeScalar(b, maximum, now);
    scaleRow(row, factor);
    return Values();
  };
  auto skip = [&] { // none of the row's keys: nothing changes
    for (int64_t v = 0; v < vectors(); ++v) s.storeFactors(factorAt(i, v), zeroOf(b, laneType(f32)));
    fillFactors(i);
    return Values();
  };
  ifElse(b, TypeRange(), lessThan(b, block.key, end), update, skip);
}

// acc[row] *= factor, as its maximum has risen.
void QueryEmitter::scaleRow(Value row, Value factor) {
  Value one = constantFloat(b, f32, 1), spread = splat(b, factor);
  ifThen(b, b.create<arith::CmpFOp>(arith::CmpFPredicate::UNE, factor, one), [&] {
    for (int64_t v = 0; v * kLanes < plan.accWidth(width()); ++v) {
      Value place = accAt(row, v * kLanes);
      storeLanes(b, place, b.create<arith::MulFOp>(loadLanes(b, place, f32), spread));
    }
  });
}

void QueryEmitter::gradRow(const Block &block, Value row, Value i) {
  Value end = s.rangeEnd(row), t = addI64(b, firstRow, row);
  Value lse = splat(b, loadScalar(b, s.rowAddress(kLse, batch, t, head), f32));
  Value delta = splat(b, loadScalar(b, s.rowAddress(kDelta, batch, t, head), f32));
  for (int64_t v = 0; v < vectors(); ++v) {
    Value ds = gradOfScores(b, s.op, loadLanes(b, scoreAt(plan.scores, i, v), f32),
                            loadLanes(b, scoreAt(plan.grads, i, v), f32), lse, delta, keyMask(block, end, v))
                   .second;
    s.storeFactors(factorAt(i, v), ds);
  }
  fillFactors(i);
}

void QueryEmitter::emitGroup(const Block &block, Value row) {
  int64_t rows = plan.group.rows;
  Value rowsLeft = minI64(b, subI64(b, block.runEnd, row), constantI64(b, rows));
  Value end = forLoop(
      b, constantI64(b, 0), rowsLeft, 1, ValueRange{constantI64(b, 0)},
      [&](Value i, ValueRange most) { return Values{maxI64(b, most[0], s.rangeEnd(addI64(b, row, i)))}; })[0];
  Value keys = minI64(b, subI64(b, end, block.key), block.count); // those that some row of the group sees
  Value none = constantI64(b, 0);
  ifThen(b, lessThan(b, none, keys), [&] {
    s.product(s.lhsRows(plan.queries, row, plan.width), plan.keysT, none, constantI64(b, plan.keysT.steps),
              s.scratch(plan.scores), false);
    if (!forward)
      s.product(s.lhsRows(plan.douts, row, plan.valueWidth), plan.valuesT, none,
                constantI64(b, plan.valuesT.steps), s.scratch(plan.grads), false);
    // Rows past the run hold leftovers; what they give goes to rows that begin later.
    forLoop(b, 0, rowsLeft, 1, [&](Value i) {
      forward ? softmaxRow(block, addI64(b, row, i), i) : gradRow(block, addI64(b, row, i), i);
    });
    s.product(s.lhsRows(plan.p, none, plan.keyBlock), forward ? plan.values : plan.keys, none,
              s.stepsOf(keys), accAt(row, 0), true);
  });
}

void QueryEmitter::finishRow(Value row) {
  Value acc = accAt(row, 0), t = addI64(b, firstRow, row);
  if (!forward) {
    Value scale = constantFloat(b, laneType(f32), s.op.getScale().convertToDouble());
    s.storeRow(acc, rows(output, head, width()), t,
               [&](Value x) -> Value { return b.create<arith::MulFOp>(x, scale); });
    return;
  }
  // An empty range: acc is 0, and 1 stands for the sum and 0 for the maximum, so that out and lse are 0.
  Value empty = b.create<arith::CmpIOp>(arith::CmpIPredicate::eq, s.rangeBegin(row), s.rangeEnd(row));
  Value sum = b.create<arith::SelectOp>(empty, constantFloat(b, f32, 1),
                                        loadScalar(b, s.scratch(plan.sums, row, f32), f32));
  Value maximum = b.create<arith::SelectOp>(empty, constantFloat(b, f32, 0),
                                            loadScalar(b, s.scratch(plan.maxima, row, f32), f32));
  Value spread = splat(b, sum);
  s.storeRow(acc, rows(output, head, width()), t,
             [&](Value x) -> Value { return b.create<arith::DivFOp>(x, spread); });
  storeScalar(b, s.rowAddress(output + 1, batch, t, head), b.create<arith::AddFOp>(maximum, emitLog(b, sum)));
}

void QueryEmitter::emitRun(Value first, Value end) {
  s.zeroRows(plan.acc, first, subI64(b, end, first), width());
  Value lastKey = forLoop(b, first, end, 1, ValueRange{constantI64(b, 0)}, [&](Value row, ValueRange most) {
    if (forward) {
      storeScalar(b, s.scratch(plan.maxima, row, f32), reductionIdentity(b, kernel::RowReduceKind::max, f32));
      storeScalar(b, s.scratch(plan.sums, row, f32), constantFloat(b, f32, 0));
    }
    return Values{maxI64(b, most[0], s.rangeEnd(row))};
  })[0];
  forLoop(b, s.rangeBegin(first), lastKey, plan.keyBlock, [&](Value key) {
    Block block{end, key, minI64(b, subI64(b, lastKey, key), constantI64(b, plan.keyBlock))};
    RowsOf k = rows(kK, keyHead, plan.width), v = rows(kV, keyHead, plan.valueWidth);
    s.packTransposed(k, key, block.count, plan.keysT);
    if (!forward) s.packTransposed(v, key, block.count, plan.valuesT);
    s.packSteps(forward ? v : k, key, block.count, forward ? plan.values : plan.keys);
    forLoop(b, first, end, plan.group.rows, [&](Value row) { emitGroup(block, row); });
  });
  forLoop(b, first, end, 1, [&](Value row) { finishRow(row); });
}

void QueryEmitter::emitItem(Value item) {
  Value tiles = ceilDivI64(b, s.frame.size(1), plan.tile), heads = s.frame.size(3);
  Value pair = divI64(b, item, tiles);
  batch = divI64(b, pair, heads);
  head = remI64(b, pair, heads);
  keyHead = divI64(b, head, divI64(b, heads, s.frame.size(4)));
  firstRow = mulI64(b, remI64(b, item, tiles), plan.tile);
  Value count = minI64(b, subI64(b, s.frame.size(1), firstRow), constantI64(b, plan.tile));
  s.loadRanges(batch, firstRow, count);
  s.packRows(rows(kQ, head, plan.width), firstRow, count, plan.queries);
  if (!forward) s.packRows(rows(kDout, head, plan.valueWidth), firstRow, count, plan.douts);
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

std::pair<Value, Value> gradOfScores(Builder &b, kernel::AttentionOp op, Value scores, Value dp, Value lse,
                                     Value delta, Value mask) {
  Type type = scores.getType();
  Value zero = zeroOf(b, type);
  Value x = b.create<arith::MulFOp>(scores, constantFloat(b, type, op.getScale().convertToDouble()));
  Value p = b.create<arith::SelectOp>(mask, emitExp(b, b.create<arith::SubFOp>(x, lse)), zero);
  Value ds = b.create<arith::MulFOp>(p, b.create<arith::SubFOp>(dp, delta));
  return {p, b.create<arith::SelectOp>(mask, ds, zero)};
}

void emitAttentionQuery(AttentionBlocks &blocks) {
  forLoop(blocks.b, blocks.frame.begin, blocks.frame.end, 1,
          [&](Value item) { QueryEmitter(blocks).emitItem(item); });
}

} // namespace weft::cpu
