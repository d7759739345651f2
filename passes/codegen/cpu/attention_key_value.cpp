// The gradients of k and v: a thread owns blocks of keys, so that no sum is split.
//   for each item (batch, key head, key block):
//     pack keysᵀ, valuesᵀ; for each head of the group, each query tile that meets the block:
//       for each group of rows: scores, p, ds; then for each group of keys: dv += pᵀ dout, dk += dsᵀ q,
//       queries ascending, in groups (of bf16) that are counted from the first query
#include "passes/codegen/cpu/attention_blocks.h"
#include "passes/codegen/cpu/matmul_pack.h"

using namespace mlir;
namespace weft::cpu {
namespace {

class KeyValueEmitter {
public:
  explicit KeyValueEmitter(AttentionBlocks &s) : s(s), b(s.b), plan(s.plan), f32(s.f32) {}

  void emitItem(Value item);

private:
  struct Tile { // of query rows
    Value head, first;
    Value low, high;           // rows that meet the block of keys lie in between
    Value firstStep, lastStep; // the steps of k that hold them, whole groups
  };

  void emitTile(Value head, Value firstRow);
  Values gradsOf(const Tile &tile, Value row);
  void emitFactors(const Tile &tile);
  void accumulate(const Tile &tile, int64_t factors, const Panel &panel, int64_t acc);
  void transpose(const Tile &tile, int64_t factors);
  RowsOf rows(int64_t access, Value headOf, int64_t width) { return {access, batch, headOf, width}; }

  AttentionBlocks &s;
  Builder &b;
  const AttentionPlan &plan;
  Type f32;
  Value batch, keyHead, key, count; // of the item: first key, keys
};

// p, then ds, of the block's keys for a row of the tile: zero where the row does not see the key, and all
// zero for rows outside [low, high).
Values KeyValueEmitter::gradsOf(const Tile &tile, Value row) {
  int64_t vectors = plan.keyBlock / kLanes;
  auto values = [&](const Values &masks) {
    Value t = addI64(b, tile.first, row);
    Value lse = splat(b, loadScalar(b, s.rowAddress(kLse, batch, t, tile.head), f32));
    Value delta = splat(b, loadScalar(b, s.rowAddress(kDelta, batch, t, tile.head), f32));
    Value first = mulI64(b, row, plan.keysT.columns);
    Values p, ds;
    for (int64_t v = 0; v < vectors; ++v) {
      Value place = addI64(b, first, v * kLanes);
      auto both = gradOfScores(b, s.op, loadLanes(b, s.scratch(plan.scores, place, f32), f32),
                               loadLanes(b, s.scratch(plan.grads, place, f32), f32), lse, delta, masks[v]);
      p.push_back(both.first);
      ds.push_back(both.second);
    }
    p.append(ds);
    return p;
  };
  SmallVector<Type> types(2 * vectors, laneType(f32));
  // Most rows that meet the block see all of it, and need no masks.
  auto seen = [&]() -> Values {
    Value begin = subI64(b, s.rangeBegin(row), key), end = subI64(b, s.rangeEnd(row), key);
    Value all = b.create<arith::AndIOp>(atLeast(b, constantI64(b, 0), begin),
                                        atLeast(b, end, constantI64(b, plan.keyBlock)));
    auto some = [&] {
      Value never = b.create<arith::ConstantOp>(DenseElementsAttr::get(laneType(b.getI1Type()), true));
      Values masks;
      for (int64_t v = 0; v < vectors; ++v) {
        Value before = b.create<arith::XOrIOp>(tailMask(b, lanesLeft(b, begin, v)), never);
        masks.push_back(b.create<arith::AndIOp>(before, tailMask(b, lanesLeft(b, end, v))));
      }
      return values(masks);
    };
    return ifElse(
        b, types, all, [&] { return values(Values(vectors)); }, some);
  };
  auto none = [&]() -> Values { return Values(2 * vectors, zeroOf(b, laneType(f32))); };
  Value there = b.create<arith::AndIOp>(atLeast(b, row, tile.low), lessThan(b, row, tile.high));
  return ifElse(b, types, there, seen, none);
}

// p and ds of rows [low, high) as lhs, a step after the other: (steps, key block).
void KeyValueEmitter::emitFactors(const Tile &tile) {
  int64_t width = plan.padded(plan.keyBlock), vectors = plan.keyBlock / kLanes;
  forLoop(b, tile.firstStep, tile.lastStep, 1, [&](Value step) {
    Value row = mulI64(b, step, plan.unit.pack), first = mulI64(b, step, width);
    Values grads = gradsOf(tile, row), next;
    if (plan.unit.pack == 2) next = gradsOf(tile, addI64(b, row, 1));
    for (int64_t i = 0; i < 2 * vectors; ++i) {
      Value x = plan.unit.pack == 2 ? s.pairsOf(grads[i], next[i]) : grads[i];
      storeLanes(
          b, s.scratch(i < vectors ? plan.p : plan.ds, addI64(b, first, i % vectors * kLanes), s.packed), x);
    }
  });
}

// The groups of keys that acc += factorsᵀ panel goes through.
void KeyValueEmitter::accumulate(const Tile &tile, int64_t factors, const Panel &panel, int64_t acc) {
  int64_t width = plan.padded(plan.keyBlock), group = plan.group.rows;
  bool amx = plan.unit.kind == UnitKind::amx;
  if (amx) transpose(tile, factors);
  Value steps = subI64(b, tile.lastStep, tile.firstStep);
  forLoop(b, 0, count, group, [&](Value j) {
    LhsAddress lhs{s.scratch(factors, addI64(b, mulI64(b, tile.firstStep, width), j), s.packed), 1,
                   constantI64(b, width)};
    if (amx) {
      lhs = s.lhsRows(plan.transposed, j, plan.tile);
      lhs.pointer = elementAddress(b, lhs.pointer, tile.firstStep, s.packed);
    }
    s.product(lhs, panel, tile.firstStep, steps, s.scratch(acc, mulI64(b, j, panel.columns), f32), true);
  });
}

// AMX's lhs: a key's pairs of queries side by side.
void KeyValueEmitter::transpose(const Tile &tile, int64_t factors) {
  int64_t width = plan.padded(plan.keyBlock), row = plan.padded(plan.tile) / 2;
  forLoop(b, tile.firstStep, tile.lastStep, kLanes, [&](Value step) {
    forLoop(b, 0, constantI64(b, plan.keyBlock), kLanes, [&](Value j) {
      Values now;
      for (int64_t i = 0; i < kLanes; ++i)
        now.push_back(loadLanes(
            b, s.scratch(factors, addI64(b, mulI64(b, addI64(b, step, i), width), j), s.packed), s.packed));
      for (auto [i, vector] : llvm::enumerate(interleave(b, now)))
        storeLanes(
            b,
            s.scratch(plan.transposed, addI64(b, mulI64(b, addI64(b, j, int64_t(i)), row), step), s.packed),
            vector);
    });
  });
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
  Tile tile{head, firstRow, met[0], met[1], {}, {}};
  int64_t multiple = plan.unit.kMultiple, pack = plan.unit.pack;
  tile.firstStep = mulI64(b, divI64(b, tile.low, multiple), multiple / pack);
  tile.lastStep = s.stepsOf(tile.high);
  ifThen(b, lessThan(b, tile.low, tile.high), [&] {
    RowsOf q = rows(kQ, head, plan.width), dout = rows(kDout, head, plan.valueWidth);
    // f32 of one column tile: rows as they are read are steps too.
    if (plan.queries != plan.queryRows.offset) s.packRows(q, firstRow, tileRows, plan.queries);
    if (plan.douts != plan.doutRows.offset) s.packRows(dout, firstRow, tileRows, plan.douts);
    s.packSteps(q, firstRow, tileRows, plan.queryRows);
    s.packSteps(dout, firstRow, tileRows, plan.doutRows);
    Value none = constantI64(b, 0);
    forLoop(b, tile.low, tile.high, plan.group.rows, [&](Value row) {
      Value scores = mulI64(b, row, plan.keysT.columns);
      s.product(s.lhsRows(plan.queries, row, plan.width), plan.keysT, none, constantI64(b, plan.keysT.steps),
                s.scratch(plan.scores, scores, f32), false);
      s.product(s.lhsRows(plan.douts, row, plan.valueWidth), plan.valuesT, none,
                constantI64(b, plan.valuesT.steps), s.scratch(plan.grads, scores, f32), false);
    });
    emitFactors(tile);
    accumulate(tile, plan.ds, plan.queryRows, plan.acc);
    accumulate(tile, plan.p, plan.doutRows, plan.acc2);
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
    s.storeRow(s.scratch(plan.acc, mulI64(b, j, plan.accWidth(plan.width)), f32),
               rows(output, keyHead, plan.width), row,
               [&](Value x) -> Value { return b.create<arith::MulFOp>(x, scale); });
    s.storeRow(s.scratch(plan.acc2, mulI64(b, j, plan.accWidth(plan.valueWidth)), f32),
               rows(output + 1, keyHead, plan.valueWidth), row, [&](Value x) { return x; });
  });
}

} // namespace

void emitAttentionKeyValue(AttentionBlocks &blocks) {
  forLoop(blocks.b, blocks.frame.begin, blocks.frame.end, 1,
          [&](Value item) { KeyValueEmitter(blocks).emitItem(item); });
}

} // namespace weft::cpu
