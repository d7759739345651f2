// Backward, one tile of queries against one block of keys: p and ds once, and the five products.
#include "passes/codegen/cpu/attention_backward.h"

using namespace mlir;
namespace weft::cpu {

// p and ds of `count` rows from `row` of the tile on: as steps of rhs, and ds as lhs too.
void BackwardEmitter::emitFactors(Value key, Value row, Value count, bool masked) {
  int64_t vectors = plan.keyBlock / kLanes, pack = plan.unit.pack;
  Value factorScale = splat(b, scale()), zero = zeroOf(b, laneType(f32));
  forLoop(b, 0, count, pack, [&](Value i) {
    struct Row {
      Value row, scores, lse, delta, left;
    };
    SmallVector<Row> now;
    for (int64_t r = 0; r < pack; ++r) {
      Value within = addI64(b, i, r), of = addI64(b, row, within);
      now.push_back({of, mulI64(b, within, scoreWidth()),
                     splat(b, loadScalar(b, s.scratch(plan.lses, of, f32), f32)),
                     splat(b, loadScalar(b, s.scratch(plan.deltas, of, f32), f32)),
                     masked ? subI64(b, endOf(of), key) : Value()});
    }
    Value step = divI64(b, now[0].row, pack), to = mulI64(b, step, scoreWidth());
    for (int64_t v = 0; v < vectors; ++v) {
      Values p, ds;
      for (const Row &r : now) {
        Value place = addI64(b, r.scores, v * kLanes);
        Value mask = masked ? tailMask(b, lanesLeft(b, r.left, v)) : Value();
        auto seen = [&](Value x) -> Value { return mask ? b.create<arith::SelectOp>(mask, x, zero) : x; };
        Value x = b.create<arith::MulFOp>(loadLanes(b, s.scratch(plan.scores, place, f32), f32), factorScale);
        p.push_back(seen(s.exp(b.create<arith::SubFOp>(x, r.lse))));
        Value dp = b.create<arith::SubFOp>(loadLanes(b, s.scratch(plan.grads, place, f32), f32), r.delta);
        ds.push_back(seen(b.create<arith::MulFOp>(p.back(), dp)));
        if (query && pack == 2)
          s.storeFactors(s.scratch(plan.dsRows,
                                   addI64(b, mulI64(b, r.row, plan.padded(plan.keyBlock)), v * kLanes),
                                   s.factor),
                         ds.back());
      }
      Value at = addI64(b, to, v * kLanes);
      auto store = [&](int64_t panel, const Values &x) {
        storeLanes(b, s.scratch(panel, at, s.packed), pack == 2 ? s.pairsOf(x[0], x[1]) : x[0]);
      };
      if (keyValue) store(plan.p, p);
      if (keyValue || pack == 1) store(plan.ds, ds);
    }
    // Zeros behind the block's keys, where the unit's groups are longer than the block.
    for (int64_t v = vectors; query && pack == 2 && v * kLanes < plan.padded(plan.keyBlock); ++v)
      for (const Row &r : now)
        s.storeFactors(s.scratch(plan.dsRows,
                                 addI64(b, mulI64(b, r.row, plan.padded(plan.keyBlock)), v * kLanes),
                                 s.factor),
                       zero);
  });
}

// How many of the block's keys, from its first to the last that one of `count` rows from `row` on sees.
Value BackwardEmitter::keysSeen(Value key, Value row, int64_t count) {
  Value end = forLoop(b, none, constantI64(b, count), 1, ValueRange{none}, [&](Value i, ValueRange most) {
    return Values{maxI64(b, most[0], endOf(addI64(b, row, i)))};
  })[0];
  return maxI64(b, minI64(b, subI64(b, end, key), constantI64(b, plan.keyBlock)), none);
}

// The tile's rows from `row` to `end`, a strip at the most, against a block of keys. `full`: it is a whole
// strip, whose rows see all of the block. Rows behind `end` that fill up a group see nothing.
void BackwardEmitter::emitStrip(Value key, Value block, Value row, Value end, bool full) {
  Value count = constantI64(b, plan.strip);
  if (!full)
    count = minI64(b, count, mulI64(b, ceilDivI64(b, subI64(b, end, row), plan.stripUnit), plan.stripUnit));
  auto multiply = [&](int64_t lhs, int64_t width, const Panel &panel, int64_t to) {
    Value at = mulI64(b, block, panel.size()), steps = constantI64(b, panel.steps);
    auto tile = [&](Value column, Value i, MatmulTile shape) {
      s.productTile(s.lhsRows(lhs, addI64(b, row, i), width), panel, at, column, shape, steps,
                    s.scratch(to, mulI64(b, i, scoreWidth()), f32), false);
    };
    if (full)
      return s.forTiles(panel, none, count,
                        [&](Value column, Value i) { tile(column, i, s.wholeTile(panel)); });
    const MatmulTile piece = plan.piece();
    forLoop(b, none, count, piece.rows, [&](Value i) {
      forLoop(b, none, keysSeen(key, addI64(b, row, i), piece.rows), piece.columns(),
              [&](Value column) { tile(column, i, piece); });
    });
  };
  multiply(plan.queries, plan.width, plan.keysT, plan.scores);
  multiply(plan.douts, plan.valueWidth, plan.valuesT, plan.grads);
  emitFactors(key, row, count, !full);
}

// dq += ds k.
void BackwardEmitter::queryProducts(Value key, Value block, Value low, Value high, bool full) {
  s.forTiles(plan.keys, low, high, [&](Value column, Value row) {
    Value seen = full ? constantI64(b, plan.keyBlock) : keysSeen(key, row, plan.group.rows);
    LhsAddress lhs = plan.unit.pack == 2 ? s.lhsRows(plan.dsRows, row, plan.keyBlock)
                                         : LhsAddress{s.scratch(plan.ds, mulI64(b, row, scoreWidth()), f32),
                                                      scoreWidth(), constantI64(b, 1)};
    s.productTile(lhs, plan.keys, mulI64(b, block, plan.keys.size()), column, s.wholeTile(plan.keys),
                  s.stepsOf(seen), s.scratch(plan.acc, mulI64(b, row, plan.keys.columns), f32), true);
  });
}

LhsAddress BackwardEmitter::lhsOf(int64_t queriesT, int64_t width, Value element, Value firstStep) {
  if (plan.unit.kind == UnitKind::amx) {
    LhsAddress lhs = s.lhsRows(queriesT, element, plan.tile);
    lhs.pointer = elementAddress(b, lhs.pointer, firstStep, s.packed);
    return lhs;
  }
  int64_t stride = plan.unit.pack == 2 ? plan.pairsOf(width).columns : plan.padded(width);
  return {s.scratch(queriesT, addI64(b, mulI64(b, firstStep, stride), element), s.packed), 1,
          constantI64(b, stride)};
}

// dkᵀ += qᵀ ds and dvᵀ += doutᵀ p, over rows [low, high), for a piece of the keys from `column` on; null: for
// all.
void BackwardEmitter::keyValueProducts(Value block, Value low, Value high, Value column) {
  Value firstStep = divI64(b, low, plan.unit.pack), steps = subI64(b, s.stepsOf(high), firstStep);
  auto add = [&](int64_t queriesT, int64_t width, int64_t factors, int64_t sums) {
    Panel panel = plan.factorPanel;
    panel.offset = factors;
    Value at = mulI64(b, firstStep, panel.stepStride());
    Value to = mulI64(b, block, plan.sumRows(width) * scoreWidth());
    Value end = constantI64(b, width);
    auto tile = [&](Value column, Value element, MatmulTile shape) {
      s.productTile(lhsOf(queriesT, width, element, firstStep), panel, at, column, shape, steps,
                    s.scratch(sums, addI64(b, to, mulI64(b, element, scoreWidth())), f32), true);
    };
    if (column)
      forLoop(b, none, end, plan.piece().rows, [&](Value element) { tile(column, element, plan.piece()); });
    else
      s.forTiles(panel, none, end,
                 [&](Value column, Value element) { tile(column, element, s.wholeTile(panel)); });
  };
  add(plan.queriesT, plan.width, plan.ds, plan.keySums);
  add(plan.doutsT, plan.valueWidth, plan.p, plan.valueSums);
}

// Rows [low, high) of the tile: all that see a key at or behind `key`; `low` begins a group of k.
std::pair<Value, Value> BackwardEmitter::rowsThatSee(const Tile &tile, Value key) {
  Values range =
      forLoop(b, none, tile.rows, 1, ValueRange{tile.rows, none}, [&](Value row, ValueRange range) {
        Value sees = lessThan(b, key, endOf(row));
        return Values{b.create<arith::SelectOp>(sees, minI64(b, range[0], row), range[0]),
                      b.create<arith::SelectOp>(sees, addI64(b, row, 1), range[1])};
      });
  int64_t multiple = plan.unit.kMultiple;
  return {mulI64(b, divI64(b, range[0], multiple), multiple), range[1]};
}

void BackwardEmitter::emitBlock(const Chunk &chunk, const Tile &tile, Value block) {
  Value key = addI64(b, chunk.key, mulI64(b, block, plan.keyBlock));
  auto full = [&] {
    Value whole = mulI64(b, divI64(b, tile.rows, plan.strip), plan.strip);
    forLoop(b, none, whole, plan.strip, [&](Value row) { emitStrip(key, block, row, tile.rows, true); });
    ifThen(b, lessThan(b, whole, tile.rows), [&] { emitStrip(key, block, whole, tile.rows, false); });
    if (query) queryProducts(key, block, none, tile.rows, true);
    if (keyValue) keyValueProducts(block, none, tile.rows, {});
    return Values();
  };
  auto partial = [&] {
    auto [low, high] = rowsThatSee(tile, key);
    forLoop(b, low, high, plan.strip, [&](Value row) { emitStrip(key, block, row, high, false); });
    if (query) queryProducts(key, block, low, high, false);
    if (!keyValue) return Values();
    forLoop(b, none, constantI64(b, scoreWidth()), plan.piece().columns(), [&](Value column) {
      auto [low, high] = rowsThatSee(tile, addI64(b, key, column));
      ifThen(b, lessThan(b, low, high),
             [&, low = low, high = high] { keyValueProducts(block, low, high, column); });
    });
    return Values();
  };
  Value seen = atLeast(b, tile.leastEnd, addI64(b, key, plan.keyBlock));
  ifElse(b, TypeRange(), seen, full, partial);
}

} // namespace weft::cpu
