// Operands of attention's products, packed into scratch.
#include "passes/codegen/cpu/attention_blocks.h"
#include "passes/codegen/cpu/matmul_pack.h"

using namespace mlir;
namespace weft::cpu {

void AttentionBlocks::packRows(const RowsOf &rows, Value first, Value count, int64_t to) {
  int64_t elements = llvm::alignTo(plan.padded(rows.width), kLanes), row = plan.padded(rows.width);
  Value stride = columnStride(rows);
  forLoop(b, 0, count, 1, [&](Value i) {
    Value from = address(rows, addI64(b, first, i), {}), line = scratch(to, mulI64(b, i, row), factor);
    for (int64_t v = 0; v * kLanes < elements; ++v) {
      Value column = constantI64(b, v * kLanes), mask = columnsMask(rows.width, v);
      Value source = elementAddress(b, from, stride ? mulI64(b, stride, v * kLanes) : column, factor);
      Value x = loadLanes(b, source, factor, mask, stride);
      storeLanes(b, elementAddress(b, line, column, factor), x, columnsMask(row, v));
    }
  });
}

ColumnPointers AttentionBlocks::pointersTo(const RowsOf &rows, Value first, Value j, Value count) {
  Value last = subI64(b, count, constantI64(b, 1));
  ColumnPointers pointers;
  for (int64_t i = 0; i < kLanes; ++i)
    pointers.push_back(address(rows, addI64(b, first, minI64(b, addI64(b, j, i), last)), {}));
  return pointers;
}

void AttentionBlocks::packTransposed(const RowsOf &rows, Value first, Value count, const Panel &to, Value at,
                                     const RowsAhead *ahead) {
  int64_t tileColumns = to.tileColumns();
  forLoop(b, 0, count, kLanes, [&](Value j) {
    ColumnPointers pointers = pointersTo(rows, first, j, count);
    for (int64_t i = 0; ahead && i < kLanes; ++i) prefetch(*ahead, addI64(b, j, i), {}, ahead->rows.width);
    Value within = addI64(b, mulI64(b, divI64(b, j, tileColumns), to.steps * tileColumns),
                          addI64(b, at, remI64(b, j, constantI64(b, tileColumns))));
    Value destination = scratch(to.offset, within, packed), width = constantI64(b, rows.width);
    Value stride = columnStride(rows);
    Packing how = ahead ? Packing::here : Packing::byCall; // few rows wait for it
    if (plan.unit.pack == 2)
      packRowsInPairs(b, frame.level, pointers, stride ? stride : constantI64(b, 1), !stride, width,
                      constantI64(b, to.steps), destination, tileColumns, how);
    else if (stride)
      packScalars(b, f32, pointers, stride, constantI64(b, 0), width, destination, tileColumns);
    else
      packInterleaved(b, frame.level, f32, pointers, width, destination, tileColumns, how);
  });
}

void AttentionBlocks::prefetch(const RowsAhead &ahead, Value i, Value column, int64_t columns) {
  Type element = elementOf(ahead.rows.access);
  const int64_t line = kLineBytes / memoryBytes(element);
  Value from = address(ahead.rows, minI64(b, addI64(b, ahead.first, i), ahead.last), column);
  for (int64_t at = 0; at < columns; at += line)
    b.create<LLVM::Prefetch>(elementAddress(b, from, constantI64(b, at), element),
                             /*rw=*/0, /*hint=*/2, /*cache=*/1);
}

Value AttentionBlocks::stepAt(const RowsOf &rows, Value first, Value row, Value column, Value mask,
                              Value count) {
  Type memory = plan.unit.pack == 2 ? Type(b.getI16Type()) : f32;
  Value stride = columnStride(rows);
  auto load = [&](Value i) -> Value {
    Value inside = count ? lessThan(b, i, count) : Value();
    if (inside) i = minI64(b, i, subI64(b, count, constantI64(b, 1)));
    Value from = address(rows, addI64(b, first, i), {});
    from = elementAddress(b, from, stride ? mulI64(b, stride, column) : column, memory);
    Value x = loadLanes(b, from, memory, mask, stride);
    // Not by a mask: AVX2 has none for 16 bits.
    return inside ? b.create<arith::SelectOp>(splat(b, inside), x, zeroOf(b, x.getType())) : x;
  };
  Value x = load(row);
  return plan.unit.pack == 2 ? joinPairs(b, x, load(addI64(b, row, 1))) : x;
}

void AttentionBlocks::packSteps(const RowsOf &rows, Value first, Value count, const Panel &to, Value at,
                                const RowsAhead *ahead) {
  int64_t tileColumns = to.tileColumns();
  auto pack = [&](Value step, Value some) {
    Value row = mulI64(b, step, plan.unit.pack);
    for (int64_t i = 0; ahead && i < plan.unit.pack; ++i)
      prefetch(*ahead, addI64(b, row, i), {}, ahead->rows.width);
    for (int64_t v = 0; v * kLanes < to.columns; ++v) {
      Value x = stepAt(rows, first, row, constantI64(b, v * kLanes), columnsMask(rows.width, v), some);
      Value place = addI64(b, addI64(b, at, mulI64(b, step, tileColumns)),
                           v / to.vectors * to.steps * tileColumns + v % to.vectors * kLanes);
      storeLanes(b, scratch(to.offset, place, packed), x);
    }
  };
  Value whole = divI64(b, count, plan.unit.pack); // steps whose rows are all there
  forLoop(b, 0, whole, 1, [&](Value step) { pack(step, {}); });
  if (plan.unit.kMultiple > 1) forLoop(b, whole, stepsOf(count), 1, [&](Value step) { pack(step, count); });
}

Value AttentionBlocks::pairsOf(Value low, Value high) {
  auto half = [&](Value x) -> Value {
    Value narrow = b.create<arith::TruncFOp>(laneType(factor), x);
    return b.create<arith::BitcastOp>(laneType(b.getI16Type()), narrow);
  };
  return joinPairs(b, half(low), half(high));
}

} // namespace weft::cpu
