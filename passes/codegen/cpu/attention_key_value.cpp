// The gradients of k and v: a thread owns blocks of keys, so that no sum is split.
//   for each item (batch, key head, key block):
//     pack keysᵀ, valuesᵀ; for each head of the group, each query tile that meets the block:
//       for each group of rows: scores, p, ds; then for each group of keys: dv += pᵀ dout, dk += dsᵀ q,
//       queries ascending
#include "passes/codegen/cpu/attention_blocks.h"

using namespace mlir;
namespace weft::cpu {
namespace {

class KeyValueEmitter {
public:
  explicit KeyValueEmitter(AttentionBlocks &s) : s(s), b(s.b), plan(s.plan), f32(s.f32) {}

  void emitItem(Value item);

private:
  void emitTile(Value head, Value firstRow);
  void gradRow(Value head, Value firstRow, Value row);
  RowsOf rows(int64_t access, Value headOf, int64_t width) { return {access, batch, headOf, width}; }

  AttentionBlocks &s;
  Builder &b;
  const AttentionPlan &plan;
  Type f32;
  Value batch, keyHead, key, count; // of the item: first key, keys
};

void KeyValueEmitter::gradRow(Value head, Value firstRow, Value row) {
  Value t = addI64(b, firstRow, row), begin = subI64(b, s.rangeBegin(row), key),
        end = subI64(b, s.rangeEnd(row), key);
  Value lse = splat(b, loadScalar(b, s.rowAddress(kLse, batch, t, head), f32));
  Value delta = splat(b, loadScalar(b, s.rowAddress(kDelta, batch, t, head), f32));
  Value never = b.create<arith::ConstantOp>(DenseElementsAttr::get(laneType(b.getI1Type()), true));
  for (int64_t v = 0; v < plan.keyBlock / kLanes; ++v) {
    Value offset = addI64(b, mulI64(b, row, plan.keyBlock), v * kLanes);
    Value p = s.scratch(plan.scores, offset, f32), ds = s.scratch(plan.grads, offset, f32);
    Value before = b.create<arith::XOrIOp>(tailMask(b, lanesLeft(b, begin, v)), never);
    Value mask = b.create<arith::AndIOp>(before, tailMask(b, lanesLeft(b, end, v)));
    auto both = gradOfScores(b, s.op, loadLanes(b, p, f32), loadLanes(b, ds, f32), lse, delta, mask);
    storeLanes(b, p, both.first);
    storeLanes(b, ds, both.second);
  }
}

void KeyValueEmitter::emitTile(Value head, Value firstRow) {
  Value tileRows = minI64(b, subI64(b, s.frame.size(1), firstRow), constantI64(b, plan.tile));
  s.loadRanges(batch, firstRow, tileRows);
  // Rows [low, high) hold all that meet the block.
  Value blockEnd = addI64(b, key, count);
  Values met = forLoop(b, constantI64(b, 0), tileRows, 1, ValueRange{tileRows, constantI64(b, 0)},
                       [&](Value row, ValueRange range) {
                         Value meets = lessThan(b, maxI64(b, s.rangeBegin(row), key),
                                                minI64(b, s.rangeEnd(row), blockEnd));
                         Value low = b.create<arith::SelectOp>(meets, minI64(b, range[0], row), range[0]);
                         Value high = b.create<arith::SelectOp>(meets, addI64(b, row, 1), range[1]);
                         return Values{low, high};
                       });
  Value low = met[0], high = met[1], last = subI64(b, high, constantI64(b, 1));
  ifThen(b, lessThan(b, low, high), [&] {
    RowsOf q = rows(kQ, head, plan.width), dout = rows(kDout, head, plan.valueWidth);
    forLoop(b, low, high, kGroup, [&](Value row) {
      Values indices;
      for (int64_t i = 0; i < kGroup; ++i)
        indices.push_back(addI64(b, firstRow, minI64(b, addI64(b, row, i), last)));
      Value offset = mulI64(b, row, plan.keyBlock);
      s.productTransposed(q, indices, plan.keysT, s.scratch(plan.scores, offset, f32));
      s.productTransposed(dout, indices, plan.valuesT, s.scratch(plan.grads, offset, f32));
    });
    forLoop(b, low, high, 1, [&](Value row) { gradRow(head, firstRow, row); });
    forLoop(b, 0, count, kGroup, [&](Value j) {
      auto factorOf = [&](int64_t base) {
        return [this, base, j](int64_t i, Value row) {
          return loadScalar(
              b, s.scratch(base, addI64(b, mulI64(b, row, plan.keyBlock), addI64(b, j, i)), f32), f32);
        };
      };
      Value dk = s.scratch(plan.acc, mulI64(b, j, plan.padded(plan.width)), f32);
      Value dv = s.scratch(plan.acc2, mulI64(b, j, plan.padded(plan.valueWidth)), f32);
      s.accumulate(dk, nullptr, factorOf(plan.grads), q, firstRow, low, high);
      s.accumulate(dv, nullptr, factorOf(plan.scores), dout, firstRow, low, high);
    });
  });
}

void KeyValueEmitter::emitItem(Value item) {
  Value blocks = ceilDivI64(b, s.frame.size(2), plan.keyBlock), keyHeads = s.frame.size(4);
  Value pair = divI64(b, item, blocks), group = divI64(b, s.frame.size(3), keyHeads);
  batch = divI64(b, pair, keyHeads);
  keyHead = remI64(b, pair, keyHeads);
  key = mulI64(b, remI64(b, item, blocks), plan.keyBlock);
  count = minI64(b, subI64(b, s.frame.size(2), key), constantI64(b, plan.keyBlock));
  s.packTransposed(rows(kK, keyHead, plan.width), key, count, plan.keysT);
  s.packTransposed(rows(kV, keyHead, plan.valueWidth), key, count, plan.valuesT);
  Value all = constantI64(b, plan.keyBlock), none = constantI64(b, 0);
  s.zeroRows(plan.acc, none, all, plan.width);
  s.zeroRows(plan.acc2, none, all, plan.valueWidth);
  Value firstHead = mulI64(b, keyHead, group);
  forLoop(b, firstHead, addI64(b, firstHead, group), 1, [&](Value head) {
    forLoop(b, 0, s.frame.size(1), plan.tile, [&](Value row) { emitTile(head, row); });
  });
  int64_t output = s.op.getInputs().size();
  Value scale = constantFloat(b, laneType(f32), s.op.getScale().convertToDouble());
  forLoop(b, 0, count, 1, [&](Value j) {
    Value row = addI64(b, key, j);
    s.storeRow(s.scratch(plan.acc, mulI64(b, j, plan.padded(plan.width)), f32),
               rows(output, keyHead, plan.width), row,
               [&](Value x) -> Value { return b.create<arith::MulFOp>(x, scale); });
    s.storeRow(s.scratch(plan.acc2, mulI64(b, j, plan.padded(plan.valueWidth)), f32),
               rows(output + 1, keyHead, plan.valueWidth), row, [&](Value x) { return x; });
  });
}

} // namespace

void emitAttentionKeyValue(AttentionBlocks &blocks) {
  forLoop(blocks.b, blocks.frame.begin, blocks.frame.end, 1,
          [&](Value item) { KeyValueEmitter(blocks).emitItem(item); });
}

} // namespace weft::cpu
