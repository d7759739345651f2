#include "passes/codegen/cpu/attention_blocks.h"
#include "passes/codegen/cpu/matmul_pack.h"
#include "passes/codegen/cpu/vector_math.h"

#include "llvm/Support/MathExtras.h"

#include <numeric>

using namespace mlir;
namespace weft::cpu {

// Rows that go through a product while a tile of rhs is in the first level.
constexpr int64_t kStripRows = 16;

// The rows and vectors of a group that ask for the fewest loads a product; powers of two, so that tiles and
// blocks are whole groups. Of `tileRows` query rows that there are, as in decode, no more than these.
static MatmulTile groupFor(UnitFacts unit, const CpuLevel &level, int64_t tileRows) {
  if (unit.kind == UnitKind::amx) return {2 * kAmxRows, 2};
  MatmulTile best{1, 1};
  auto loads = [](MatmulTile t) { return double(t.rows + t.vectors) / double(t.rows * t.vectors); };
  for (int64_t vectors : {4, 2, 1})
    for (int64_t rows : {8, 4, 2, 1}) {
      if (rows > 1 && rows / 2 >= tileRows) continue;
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

int64_t AttentionPlan::place(int64_t bytes) {
  int64_t offset = scratchBytes;
  scratchBytes += llvm::alignTo(bytes, 64);
  return offset;
}

Panel AttentionPlan::panel(int64_t columns, int64_t k, int64_t copies) {
  Panel p = panelOf(columns, k);
  p.offset = place(copies * p.size() * 4);
  return p;
}

Panel AttentionPlan::pairsOf(int64_t columns) const {
  Panel panel;
  panel.columns = llvm::alignTo(columns, kLanes);
  panel.vectors = panel.columns / kLanes;
  panel.steps = padded(tile) / 2;
  return panel;
}

int64_t AttentionPlan::sumRows(int64_t columns) const {
  return std::max(llvm::alignTo(columns, kLanes), llvm::alignTo(columns, group.rows));
}

AttentionPlan::AttentionPlan(kernel::AttentionOp op, const CpuLevel &level)
    : unit(unitFacts(op.getReduction()->getUnit(), level)),
      group(groupFor(unit, level, op.getSchedule()->getTileM())) {
  width = op.getSizes()[5];
  valueWidth = op.getSizes()[6];
  keyBlock = op.getReduction()->getKeyBlock();
  tile = op.getSchedule()->getTileM();
  chunkBlocks = keyBlock > 0 ? op.getSchedule()->getTileN() / keyBlock : 0;
  op.getKind() == kernel::AttentionKind::forward ? placeForward() : placeBackward();
  amxConfig = place(unit.kind == UnitKind::amx ? 64 : 0);
}

// kStripRows, or the tile's rows where these are fewer, filled up to whole units.
int64_t AttentionPlan::stripOf(int64_t unit) const { return llvm::alignTo(std::min(kStripRows, tile), unit); }

void AttentionPlan::placeForward() {
  strip = stripOf(group.rows);
  int64_t rows = llvm::alignTo(tile, 32) + group.rows - 1;
  begins = place(rows * 8);
  ends = place(rows * 8);
  maxima = place(rows * 4);
  sums = place(rows * 4);
  nextMaxima = place(strip * 4);
  factors = place(strip * 4);
  queries = place(rows * rowBytes(width));
  keysT = panel(keyBlock, width);
  scores = place(strip * keysT.columns * 4);
  p = place(strip * rowBytes(keyBlock));
  values = panel(valueWidth, keyBlock);
  acc = place(rows * accWidth(valueWidth) * 4);
}

void AttentionPlan::placeBackward() {
  // A tile begins with a group of k: those of dk and dv are counted from the run's first query.
  tile = llvm::alignTo(tile, unit.kMultiple);
  stripUnit = std::lcm(group.rows, unit.kMultiple);
  strip = stripOf(stripUnit);
  int64_t rows = tile + strip;
  ends = place(rows * 8);
  lses = place(rows * 4);
  deltas = place(rows * 4);
  queries = place(rows * rowBytes(width));
  douts = place(rows * rowBytes(valueWidth));
  scores = place(strip * panelOf(keyBlock, 0).columns * 4);
  grads = place(strip * panelOf(keyBlock, 0).columns * 4);
  factorPanel = panelOf(keyBlock, rows);
  factorPanel.byRows = true;
  p = place(factorPanel.size() * 4);
  ds = place(factorPanel.size() * 4);
  dsRows = unit.pack == 2 ? place(rows * rowBytes(keyBlock)) : ds;
  queriesT = queries;
  doutsT = douts;
  if (unit.pack == 2) {
    bool amx = unit.kind == UnitKind::amx;
    pairs = amx ? place(pairsOf(std::max(width, valueWidth)).size() * 4) : 0;
    auto lhs = [&](int64_t columns) {
      if (amx) return place(llvm::alignTo(columns, group.rows) * rowBytes(tile));
      // Rows come in groups, the last of which may read past the last step.
      return place((pairsOf(columns).size() + group.rows) * 4);
    };
    queriesT = lhs(width);
    doutsT = lhs(valueWidth);
  }
  acc = place(rows * accWidth(width) * 4);
  keysT = panel(keyBlock, width, chunkBlocks);
  valuesT = panel(keyBlock, valueWidth, chunkBlocks);
  keys = panel(width, keyBlock, chunkBlocks);
  keySums = place(chunkBlocks * sumRows(width) * keysT.columns * 4);
  valueSums = place(chunkBlocks * sumRows(valueWidth) * keysT.columns * 4);
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

Value AttentionBlocks::bound(int64_t access, Value batch, Value row) {
  Type type = elementOf(access);
  Value value = loadScalar(b, rowAddress(access, batch, row, {}), type);
  if (!type.isInteger(64)) value = b.create<arith::ExtSIOp>(b.getI64Type(), value);
  return minI64(b, maxI64(b, value, constantI64(b, 0)), frame.size(2));
}

void AttentionBlocks::loadRanges(Value batch, Value row, Value count) {
  forLoop(b, 0, count, 1, [&](Value i) {
    Value t = addI64(b, row, i), begin = bound(kBegin, batch, t);
    storeScalar(b, scratch(plan.begins, i, b.getI64Type()), begin);
    storeScalar(b, scratch(plan.ends, i, b.getI64Type()), maxI64(b, bound(kEnd, batch, t), begin));
  });
}

Value AttentionBlocks::columnsMask(int64_t width, int64_t v) {
  int64_t left = std::clamp<int64_t>(width - v * kLanes, 0, kLanes);
  return left == kLanes ? Value() : tailMask(b, constantI64(b, left));
}

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
                                  int64_t vectors, Value steps, Value out, bool accumulate) {
  auto unit = makeUnit(b, plan.unit, f32, {plan.group.rows, vectors});
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

void AttentionBlocks::loadRow(Value acc, const RowsOf &rows, Value row) {
  Value stride = columnStride(rows), from = address(rows, row, {});
  for (int64_t v = 0; v * kLanes < rows.width; ++v) {
    Value column = constantI64(b, v * kLanes);
    Value source = elementAddress(b, from, stride ? mulI64(b, stride, v * kLanes) : column, f32);
    storeLanes(b, elementAddress(b, acc, column, f32),
               loadLanes(b, source, f32, columnsMask(rows.width, v), stride));
  }
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
               columnsMask(rows.width, v), stride);
  }
}

void AttentionBlocks::zeroRows(int64_t scratchOffset, Value first, Value count, int64_t width) {
  Value zero = zeroOf(b, laneType(f32));
  int64_t row = plan.accWidth(width);
  Value from = mulI64(b, first, row), to = addI64(b, from, mulI64(b, count, row));
  forLoop(b, from, to, kLanes, [&](Value i) { storeLanes(b, scratch(scratchOffset, i, f32), zero); });
}

Value AttentionBlocks::exp(Value x) { return emitExp(b, x, frame.level.vectorBytes == 64); }

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
