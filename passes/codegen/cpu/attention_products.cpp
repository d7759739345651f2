// Products of small tiles: of panels, and of operands as they lie.
#include "passes/codegen/cpu/attention_blocks.h"

using namespace mlir;
namespace weft::cpu {

Value AttentionBlocks::stepsOf(Value elements) {
  int64_t multiple = plan.unit.kMultiple;
  if (multiple == 1) return elements;
  Value groups = ceilDivI64(b, elements, multiple);
  return mulI64(b, groups, multiple / plan.unit.pack);
}

LhsAddress AttentionBlocks::lhsRows(int64_t offset, Value row, int64_t elements) {
  int64_t steps = plan.padded(elements) / plan.unit.pack;
  Value pointer = scratch(offset, mulI64(b, row, steps), packed);
  // AMX counts bytes.
  return {pointer, plan.unit.kind == UnitKind::amx ? steps * 4 : steps, constantI64(b, 1)};
}

void AttentionBlocks::forTiles(const Panel &panel, Value first, Value end,
                               llvm::function_ref<void(Value column, Value row)> f) {
  forLoop(b, 0, constantI64(b, panel.columns), panel.tileColumns(),
          [&](Value column) { forLoop(b, first, end, plan.group.rows, [&](Value row) { f(column, row); }); });
}

void AttentionBlocks::productTile(const LhsAddress &lhs, const Panel &panel, Value at, Value column,
                                  MatmulTile shape, Value steps, Value out, bool accumulate) {
  auto unit = makeUnit(b, plan.unit, f32, shape);
  int64_t tileColumns = panel.tileColumns();
  Value tile = divI64(b, column, tileColumns), within = remI64(b, column, constantI64(b, tileColumns));
  Value first = addI64(b, addI64(b, at, mulI64(b, tile, panel.tileStride())), within);
  TileAddress place{elementAddress(b, out, column, f32), constantI64(b, panel.columns), {}};
  Values acc = accumulate ? unit->loadAcc(place) : unit->zero();
  acc = unit->chain(acc, lhs, {scratch(panel.offset, first, packed), constantI64(b, panel.stepStride())}, {},
                    steps);
  unit->storeAcc(place, acc);
}

void AttentionBlocks::productOfColumns(const LhsAddress &lhs, const RowsOf &rows, Value first, Value count,
                                       Value out, int64_t columns, const RowsAhead *ahead) {
  auto unit = makeUnit(b, plan.unit, f32, {plan.group.rows, 1});
  Value steps = constantI64(b, plan.padded(rows.width) / plan.unit.pack);
  forLoop(b, 0, count, kLanes, [&](Value j) {
    for (int64_t i = 0; ahead && i < kLanes; ++i) prefetch(*ahead, addI64(b, j, i), {}, ahead->rows.width);
    Values sums = unit->chainColumns(unit->zero(), lhs, pointersTo(rows, first, j, count), {}, steps);
    unit->storeAcc({elementAddress(b, out, j, f32), constantI64(b, columns), {}}, sums);
  });
}

void AttentionBlocks::productOfSteps(const LhsAddress &lhs, const RowsOf &rows, Value first, Value count,
                                     Value out, const Panel &panel, const RowsAhead *ahead) {
  auto unit = makeUnit(b, plan.unit, f32, {plan.group.rows, panel.vectors});
  const int64_t pack = plan.unit.pack;
  // Groups of steps whose rows are all there; in the last one they may not be.
  Value groups = divI64(b, count, plan.unit.kMultiple), steps = mulI64(b, groups, plan.unit.kMultiple / pack);
  LhsAddress rest = lhs;
  rest.pointer = elementAddress(b, lhs.pointer, mulI64(b, lhs.kStride, steps), packed);
  forLoop(b, 0, constantI64(b, panel.columns), panel.tileColumns(), [&](Value column) {
    auto rhsFrom = [&](Value from, bool all) {
      return [&, from, all](Value k, int64_t i) {
        Value row = mulI64(b, addI64(b, addI64(b, from, k), i), pack);
        for (int64_t next = 0; ahead && next < pack; ++next)
          prefetch(*ahead, addI64(b, row, next), column, panel.tileColumns());
        Values rhs;
        for (int64_t v = 0; v < panel.vectors; ++v)
          rhs.push_back(stepAt(rows, first, row, addI64(b, column, v * kLanes), {}, all ? Value() : count));
        return rhs;
      };
    };
    TileAddress place{elementAddress(b, out, column, f32), constantI64(b, panel.columns), {}};
    Values acc = unit->chainSteps(unit->loadAcc(place), lhs, rhsFrom(constantI64(b, 0), true), steps);
    if (plan.unit.kMultiple > 1)
      acc = unit->chainSteps(acc, rest, rhsFrom(steps, false), subI64(b, stepsOf(count), steps));
    unit->storeAcc(place, acc);
  });
}

} // namespace weft::cpu
