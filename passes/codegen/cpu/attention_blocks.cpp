// Addresses, ranges and rows of the operands in memory, and what is computed of vectors.
#include "passes/codegen/cpu/attention_blocks.h"
#include "passes/codegen/cpu/vector_math.h"

using namespace mlir;
namespace weft::cpu {

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

} // namespace weft::cpu
