#include "passes/codegen/cpu/attention_blocks.h"
#include "passes/codegen/cpu/matmul_pack.h"

using namespace mlir;
namespace weft::cpu {

AttentionPlan::AttentionPlan(kernel::AttentionOp op) {
  width = op.getSizes()[5];
  valueWidth = op.getSizes()[6];
  keyBlock = op.getReduction()->getKeyBlock();
  tile = op.getSchedule()->getTileM();
  bool forward = op.getKind() == kernel::AttentionKind::forward,
       keyValue = op.getKind() == kernel::AttentionKind::grad_key_value;
  scratchBytes = 0;
  auto place = [&](int64_t bytes) {
    int64_t offset = scratchBytes;
    scratchBytes += (bytes + 63) / 64 * 64;
    return offset;
  };
  int64_t rows = tile + kGroup - 1;
  begins = place(rows * 8);
  ends = place(rows * 8);
  maxima = place(rows * 4);
  sums = place(rows * 4);
  corrections = place(kGroup * 4);
  keysT = place(width * keyBlock * 4);
  valuesT = forward ? 0 : place(valueWidth * keyBlock * 4);
  scores = place((keyValue ? rows : kGroup) * keyBlock * 4);
  grads = forward ? 0 : place((keyValue ? rows : kGroup) * keyBlock * 4);
  if (keyValue) {
    acc = place(keyBlock * padded(width) * 4);
    acc2 = place(keyBlock * padded(valueWidth) * 4);
  } else {
    acc = place(rows * padded(forward ? valueWidth : width) * 4);
    acc2 = 0;
  }
}

Value AttentionBlocks::address(const RowsOf &rows, Value row, Value column) {
  return elementAddress(b, frame.buffer(rows.access),
                        frame.offset(rows.access, {rows.batch, row, rows.head, column}), f32);
}

Value AttentionBlocks::rowAddress(int64_t access, Value batch, Value row, Value head) {
  Value operand = access < int64_t(op.getInputs().size()) ? op.getInputs()[access]
                                                          : op.getResult(access - op.getInputs().size());
  Values dims{batch, row};
  if (head) dims.push_back(head);
  return elementAddress(b, frame.buffer(access), frame.offset(access, dims),
                        cast<RankedTensorType>(operand.getType()).getElementType());
}

Value AttentionBlocks::columnStride(const RowsOf &rows) {
  return rows.width == 1 || frame.strideIs(rows.access, 3, 1) ? Value() : frame.stride(rows.access, 3);
}

void AttentionBlocks::loadRanges(Value batch, Value row, Value count) {
  auto bound = [&](int64_t access, Value t) {
    Type type = cast<RankedTensorType>(op.getInputs()[access].getType()).getElementType();
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

void AttentionBlocks::packTransposed(const RowsOf &rows, Value first, Value count, int64_t to) {
  Value last = subI64(b, count, constantI64(b, 1));
  forLoop(b, 0, count, kLanes, [&](Value j) {
    Values pointers;
    for (int64_t i = 0; i < kLanes; ++i)
      pointers.push_back(address(rows, addI64(b, first, minI64(b, addI64(b, j, i), last)), {}));
    Value destination = scratch(to, j, f32), width = constantI64(b, rows.width);
    if (Value stride = columnStride(rows))
      packScalars(b, f32, pointers, stride, constantI64(b, 0), width, destination, plan.keyBlock);
    else
      packInterleaved(b, f32, pointers, width, destination, plan.keyBlock);
  });
}

void AttentionBlocks::productTransposed(const RowsOf &rows, ArrayRef<Value> indices, int64_t transposed,
                                        Value to) {
  int64_t total = plan.keyBlock / kLanes, vectors = vectorsAtOnce();
  while (total % vectors) --vectors;
  Values pointers;
  for (Value i : indices) pointers.push_back(address(rows, i, {}));
  Value stride = columnStride(rows);
  forLoop(b, 0, constantI64(b, plan.keyBlock), vectors * kLanes, [&](Value j) {
    Value block = scratch(transposed, j, f32);
    Values acc(kGroup * vectors, zeroOf(b, laneType(f32)));
    acc = forLoop(b, constantI64(b, 0), constantI64(b, rows.width), 1, acc, [&](Value c, ValueRange carried) {
      Values next, keys;
      Value line = elementAddress(b, block, mulI64(b, c, plan.keyBlock), f32),
            offset = stride ? mulI64(b, c, stride) : c;
      for (int64_t v = 0; v < vectors; ++v)
        keys.push_back(loadLanes(b, elementAddress(b, line, constantI64(b, v * kLanes), f32), f32));
      for (int64_t i = 0; i < kGroup; ++i) {
        Value x = splat(b, loadScalar(b, elementAddress(b, pointers[i], offset, f32), f32));
        for (int64_t v = 0; v < vectors; ++v)
          next.push_back(b.create<LLVM::FMAOp>(x, keys[v], carried[i * vectors + v]));
      }
      return next;
    });
    for (int64_t i = 0; i < kGroup; ++i)
      for (int64_t v = 0; v < vectors; ++v)
        storeLanes(b, elementAddress(b, to, addI64(b, j, i * plan.keyBlock + v * kLanes), f32),
                   acc[i * vectors + v]);
  });
}

void AttentionBlocks::forColumns(int64_t width, int64_t most,
                                 llvm::function_ref<void(Value, int64_t, Value)> body) {
  int64_t whole = width / kLanes, tail = width % kLanes;
  int64_t looped = whole / most * most, rest = whole - looped + (tail != 0);
  if (looped) forLoop(b, 0, constantI64(b, looped), most, [&](Value first) { body(first, most, {}); });
  if (!rest) return;
  if (rest > most) { // the rest and the tail do not fit together
    body(constantI64(b, looped), rest - 1, {});
    looped += rest - 1, rest = 1;
  }
  body(constantI64(b, looped), rest, tail ? tailMask(b, constantI64(b, tail)) : Value());
}

void AttentionBlocks::accumulate(Value acc, llvm::function_ref<Value(int64_t)> scale,
                                 llvm::function_ref<Value(int64_t, Value)> factor, const RowsOf &rows,
                                 Value firstRow, Value from, Value to) {
  int64_t width = plan.padded(rows.width);
  Value stride = columnStride(rows);
  Values scales;
  for (int64_t i = 0; i < kGroup && scale; ++i) scales.push_back(splat(b, scale(i)));
  forColumns(rows.width, vectorsAtOnce(), [&](Value first, int64_t vectors, Value mask) {
    Value column = mulI64(b, first, kLanes);
    auto place = [&](int64_t i, int64_t v) {
      return elementAddress(b, acc, addI64(b, column, i * width + v * kLanes), f32);
    };
    Values now;
    for (int64_t i = 0; i < kGroup; ++i)
      for (int64_t v = 0; v < vectors; ++v) {
        Value x = loadLanes(b, place(i, v), f32);
        now.push_back(scale ? b.create<arith::MulFOp>(x, scales[i]) : x);
      }
    now = forLoop(b, from, to, 1, now, [&](Value j, ValueRange carried) {
      Values next, line;
      for (int64_t v = 0; v < vectors; ++v) {
        Value at = address(rows, addI64(b, firstRow, j), addI64(b, column, v * kLanes));
        line.push_back(loadLanes(b, at, f32, v + 1 == vectors ? mask : Value(), stride));
      }
      for (int64_t i = 0; i < kGroup; ++i) {
        Value x = splat(b, factor(i, j));
        for (int64_t v = 0; v < vectors; ++v)
          next.push_back(b.create<LLVM::FMAOp>(x, line[v], carried[i * vectors + v]));
      }
      return next;
    });
    for (int64_t i = 0; i < kGroup; ++i)
      for (int64_t v = 0; v < vectors; ++v) storeLanes(b, place(i, v), now[i * vectors + v]);
  });
}

void AttentionBlocks::storeRow(Value acc, const RowsOf &rows, Value row,
                               llvm::function_ref<Value(Value)> transform) {
  forColumns(rows.width, 1, [&](Value vector, int64_t, Value mask) {
    Value column = mulI64(b, vector, kLanes);
    Value x = transform(loadLanes(b, elementAddress(b, acc, column, f32), f32));
    x = b.create<arith::AddFOp>(x, zeroOf(b, laneType(f32)));
    storeLanes(b, address(rows, row, column), x, mask, columnStride(rows));
  });
}

void AttentionBlocks::zeroRows(int64_t scratchOffset, Value first, Value count, int64_t width) {
  Value zero = zeroOf(b, laneType(f32));
  Value from = mulI64(b, first, plan.padded(width)),
        to = addI64(b, from, mulI64(b, count, plan.padded(width)));
  forLoop(b, from, to, kLanes, [&](Value i) { storeLanes(b, scratch(scratchOffset, i, f32), zero); });
}

} // namespace weft::cpu
