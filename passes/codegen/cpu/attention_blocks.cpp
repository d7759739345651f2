#include "passes/codegen/cpu/attention_blocks.h"
#include "passes/codegen/cpu/matmul_pack.h"

#include "llvm/Support/MathExtras.h"

using namespace mlir;
namespace weft::cpu {

// The rows and vectors of a group that ask for the fewest loads a product.
static MatmulTile groupFor(UnitFacts unit, const CpuLevel &level) {
  if (unit.kind == UnitKind::amx) return {2 * kAmxRows, 2};
  MatmulTile best{1, 1};
  auto loads = [](MatmulTile t) { return double(t.rows + t.vectors) / double(t.rows * t.vectors); };
  for (int64_t vectors : {4, 2, 1})
    for (int64_t rows = 8; rows >= 1; --rows) {
      MatmulTile t{rows, vectors};
      if (level.registersPerLanes() * unit.vectorsFor(t) + 2 <= level.vectorRegisters &&
          loads(t) < loads(best))
        best = t;
    }
  return best;
}

int64_t AttentionPlan::padded(int64_t elements) const { return llvm::alignTo(elements, unit.kMultiple); }

Panel AttentionPlan::panelOf(int64_t columns, int64_t k) const {
  Panel panel;
  int64_t vectors = llvm::divideCeil(columns, kLanes);
  panel.vectors = std::min(group.vectors, vectors);
  if (unit.kind == UnitKind::amx) panel.vectors = group.vectors;
  panel.columns = llvm::alignTo(columns, panel.tileColumns());
  panel.steps = padded(k) / unit.pack;
  return panel;
}

AttentionPlan::AttentionPlan(kernel::AttentionOp op, const CpuLevel &level)
    : unit(unitFacts(op.getReduction()->getUnit(), level)), group(groupFor(unit, level)) {
  width = op.getSizes()[5];
  valueWidth = op.getSizes()[6];
  keyBlock = op.getReduction()->getKeyBlock();
  tile = op.getSchedule()->getTileM();
  // The groups of bf16 along queries are counted from the first one, whatever the schedule's tile.
  if (op.getKind() == kernel::AttentionKind::grad_key_value && unit.pack == 2) tile = llvm::alignTo(tile, 32);
  bool forward = op.getKind() == kernel::AttentionKind::forward,
       keyValue = op.getKind() == kernel::AttentionKind::grad_key_value, amx = unit.kind == UnitKind::amx;
  scratchBytes = 0;
  auto place = [&](int64_t bytes) {
    int64_t offset = scratchBytes;
    scratchBytes += llvm::alignTo(bytes, 64);
    return offset;
  };
  auto panel = [&](int64_t columns, int64_t k) {
    Panel p = panelOf(columns, k);
    p.offset = place(p.columns * p.steps * 4);
    return p;
  };
  int64_t factorBytes = unit.pack == 2 ? 2 : 4;
  int64_t rows = llvm::alignTo(tile, 32) + group.rows - 1, scoreWidth = panelOf(keyBlock, 0).columns;
  begins = place(rows * 8);
  ends = place(rows * 8);
  maxima = place(rows * 4);
  sums = place(rows * 4);
  nextMaxima = place(group.rows * 4);
  factors = place(group.rows * 4);
  queries = place(rows * rowBytes(width));
  douts = forward ? 0 : place(rows * rowBytes(valueWidth));
  keysT = panel(keyBlock, width);
  if (!forward) valuesT = panel(keyBlock, valueWidth);
  int64_t scoreRows = keyValue ? rows : group.rows;
  scores = place(scoreRows * scoreWidth * 4);
  grads = forward ? 0 : place(scoreRows * scoreWidth * 4);
  p = place(scoreRows * padded(keyBlock) * factorBytes);
  ds = keyValue ? place(scoreRows * padded(keyBlock) * factorBytes) : 0;
  acc2 = transposed = 0;
  if (keyValue) {
    auto stepsOf = [&](int64_t columns, int64_t rowsOffset) {
      Panel p = panelOf(columns, tile);
      bool same = unit.pack == 1 && p.columns == columns && p.columns == p.tileColumns();
      if (!same) return panel(columns, tile);
      p.offset = rowsOffset;
      return p;
    };
    queryRows = stepsOf(width, queries);
    doutRows = stepsOf(valueWidth, douts);
    if (amx) transposed = place(llvm::alignTo(keyBlock, group.rows) * rowBytes(tile));
    acc = place((keyBlock + group.rows) * accWidth(width) * 4);
    acc2 = place((keyBlock + group.rows) * accWidth(valueWidth) * 4);
  } else {
    (forward ? values : keys) = panel(forward ? valueWidth : width, keyBlock);
    acc = place(rows * accWidth(forward ? valueWidth : width) * 4);
  }
  amxConfig = place(amx ? 64 : 0);
}

Type AttentionBlocks::elementOf(int64_t access) {
  int64_t inputs = op.getInputs().size();
  Value operand = access < inputs ? op.getInputs()[access] : op.getResult(access - inputs);
  return cast<RankedTensorType>(operand.getType()).getElementType();
}

Value AttentionBlocks::address(const RowsOf &rows, Value row, Value column) {
  return elementAddress(b, frame.buffer(rows.access),
                        frame.offset(rows.access, {rows.batch, row, rows.head, column}),
                        elementOf(rows.access));
}

Value AttentionBlocks::rowAddress(int64_t access, Value batch, Value row, Value head) {
  Values dims{batch, row};
  if (head) dims.push_back(head);
  return elementAddress(b, frame.buffer(access), frame.offset(access, dims), elementOf(access));
}

Value AttentionBlocks::columnStride(const RowsOf &rows) {
  return rows.width == 1 || frame.strideIs(rows.access, 3, 1) ? Value() : frame.stride(rows.access, 3);
}

void AttentionBlocks::loadRanges(Value batch, Value row, Value count) {
  auto bound = [&](int64_t access, Value t) {
    Type type = elementOf(access);
    Value value = loadScalar(b, rowAddress(access, batch, t, {}), type);
    if (!type.isInteger(64)) value = b.create<arith::ExtSIOp>(b.getI64Type(), value);
    return minI64(b, maxI64(b, value, constantI64(b, 0)), frame.size(2));
  };
  forLoop(b, 0, count, 1, [&](Value i) {
    Value t = addI64(b, row, i), begin = bound(kBegin, t);
    storeScalar(b, scratch(plan.begins, i, b.getI64Type()), begin);
    storeScalar(b, scratch(plan.ends, i, b.getI64Type()), maxI64(b, bound(kEnd, t), begin));
  });
}

// The mask of vector `v` of `width` columns; null for a whole vector.
static Value columnsMask(Builder &b, int64_t width, int64_t v) {
  int64_t left = std::clamp<int64_t>(width - v * kLanes, 0, kLanes);
  return left == kLanes ? Value() : tailMask(b, constantI64(b, left));
}

void AttentionBlocks::packRows(const RowsOf &rows, Value first, Value count, int64_t to) {
  int64_t elements = llvm::alignTo(plan.padded(rows.width), kLanes), row = plan.padded(rows.width);
  Value stride = columnStride(rows);
  forLoop(b, 0, count, 1, [&](Value i) {
    Value from = address(rows, addI64(b, first, i), {}), line = scratch(to, mulI64(b, i, row), factor);
    for (int64_t v = 0; v * kLanes < elements; ++v) {
      Value column = constantI64(b, v * kLanes), mask = columnsMask(b, rows.width, v);
      Value source = elementAddress(b, from, stride ? mulI64(b, stride, v * kLanes) : column, factor);
      Value x = loadLanes(b, source, factor, mask, stride);
      storeLanes(b, elementAddress(b, line, column, factor), x, columnsMask(b, row, v));
    }
  });
}

void AttentionBlocks::packTransposed(const RowsOf &rows, Value first, Value count, const Panel &to) {
  Value last = subI64(b, count, constantI64(b, 1));
  int64_t tileColumns = to.tileColumns();
  forLoop(b, 0, count, kLanes, [&](Value j) {
    Values pointers;
    for (int64_t i = 0; i < kLanes; ++i)
      pointers.push_back(address(rows, addI64(b, first, minI64(b, addI64(b, j, i), last)), {}));
    Value within = addI64(b, mulI64(b, divI64(b, j, tileColumns), to.steps * tileColumns),
                          remI64(b, j, constantI64(b, tileColumns)));
    Value destination = scratch(to.offset, within, packed), width = constantI64(b, rows.width);
    Value stride = columnStride(rows);
    if (plan.unit.pack == 2)
      packRowsInPairs(b, pointers, stride ? stride : constantI64(b, 1), !stride, width,
                      constantI64(b, to.steps), destination, tileColumns);
    else if (stride)
      packScalars(b, f32, pointers, stride, constantI64(b, 0), width, destination, tileColumns);
    else
      packInterleaved(b, f32, pointers, width, destination, tileColumns);
  });
}

void AttentionBlocks::packSteps(const RowsOf &rows, Value first, Value count, const Panel &to) {
  Value stride = columnStride(rows), steps = stepsOf(count);
  int64_t tileColumns = to.tileColumns();
  Type memory = plan.unit.pack == 2 ? Type(b.getI16Type()) : f32;
  forLoop(b, 0, steps, 1, [&](Value step) {
    Value row = mulI64(b, step, plan.unit.pack);
    for (int64_t v = 0; v * kLanes < to.columns; ++v) {
      Value mask = columnsMask(b, rows.width, v);
      auto load = [&](Value i) -> Value {
        Value inside = splat(b, lessThan(b, i, count));
        if (mask) inside = b.create<arith::AndIOp>(inside, mask);
        Value source =
            elementAddress(b, address(rows, addI64(b, first, i), {}),
                           stride ? mulI64(b, stride, v * kLanes) : constantI64(b, v * kLanes), memory);
        return loadLanes(b, source, memory, inside, stride);
      };
      Value x = load(row);
      if (plan.unit.pack == 2) x = joinPairs(b, x, load(addI64(b, row, 1)));
      Value place = addI64(b, mulI64(b, step, tileColumns),
                           v / to.vectors * to.steps * tileColumns + v % to.vectors * kLanes);
      storeLanes(b, scratch(to.offset, place, packed), x);
    }
  });
}

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

void AttentionBlocks::product(const LhsAddress &lhs, const Panel &panel, Value firstStep, Value steps,
                              Value out, bool accumulate) {
  int64_t tileColumns = panel.tileColumns();
  forLoop(b, 0, constantI64(b, panel.columns / tileColumns), 1, [&](Value t) {
    auto unit = makeUnit(b, plan.unit.kind, f32, {plan.group.rows, panel.vectors});
    Value first = addI64(b, mulI64(b, t, panel.steps * tileColumns), mulI64(b, firstStep, tileColumns));
    TileAddress place{
        elementAddress(b, out, mulI64(b, t, tileColumns), f32), constantI64(b, panel.columns), {}};
    Values acc = accumulate ? unit->loadAcc(place) : unit->zero();
    acc = unit->chain(acc, lhs, {scratch(panel.offset, first, packed), tileColumns}, steps);
    unit->storeAcc(place, acc);
  });
}

void AttentionBlocks::storeRow(Value acc, const RowsOf &rows, Value row,
                               llvm::function_ref<Value(Value)> transform) {
  Type element = elementOf(rows.access);
  Value stride = columnStride(rows), to = address(rows, row, {});
  for (int64_t v = 0; v * kLanes < rows.width; ++v) {
    Value column = constantI64(b, v * kLanes);
    Value x = transform(loadLanes(b, elementAddress(b, acc, column, f32), f32));
    x = b.create<arith::AddFOp>(x, zeroOf(b, laneType(f32)));
    if (element.isBF16()) x = b.create<arith::TruncFOp>(laneType(element), x);
    storeLanes(b, elementAddress(b, to, stride ? mulI64(b, stride, v * kLanes) : column, element), x,
               columnsMask(b, rows.width, v), stride);
  }
}

void AttentionBlocks::zeroRows(int64_t scratchOffset, Value first, Value count, int64_t width) {
  Value zero = zeroOf(b, laneType(f32));
  int64_t row = plan.accWidth(width);
  Value from = mulI64(b, first, row), to = addI64(b, from, mulI64(b, count, row));
  forLoop(b, from, to, kLanes, [&](Value i) { storeLanes(b, scratch(scratchOffset, i, f32), zero); });
}

void AttentionBlocks::storeFactors(Value pointer, Value x) {
  if (factor != f32) x = b.create<arith::TruncFOp>(laneType(factor), x);
  storeLanes(b, pointer, x);
}

Value AttentionBlocks::pairsOf(Value low, Value high) {
  auto half = [&](Value x) -> Value {
    Value narrow = b.create<arith::TruncFOp>(laneType(factor), x);
    return b.create<arith::BitcastOp>(laneType(b.getI16Type()), narrow);
  };
  return joinPairs(b, half(low), half(high));
}

} // namespace weft::cpu
