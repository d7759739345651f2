#include "passes/codegen/cpu/matmul_pack.h"

using namespace mlir;
namespace weft::cpu {

// a0 b0 a1 b1 … of two vectors, as two vectors.
static std::pair<Value, Value> zip(Builder &b, Value x, Value y) {
  SmallVector<int64_t> low, high;
  for (int64_t i = 0; i < kLanes / 2; ++i) {
    low.append({i, i + kLanes});
    high.append({i + kLanes / 2, i + kLanes / 2 + kLanes});
  }
  return {b.create<vector::ShuffleOp>(x, y, low), b.create<vector::ShuffleOp>(x, y, high)};
}

Values interleave(Builder &b, Values rows) {
  for (size_t width = 1; width < rows.size(); width *= 2) {
    Values next;
    for (size_t i = 0; i < rows.size() / 2; ++i) {
      auto [low, high] = zip(b, rows[i], rows[i + rows.size() / 2]);
      next.append({low, high});
    }
    rows = next;
  }
  return rows;
}

static Values transposeEight(Builder &b, ArrayRef<Value> rows) {
  auto pair = [&](Value x, Value y, ArrayRef<int64_t> low, ArrayRef<int64_t> high) {
    return Values{b.create<vector::ShuffleOp>(x, y, low), b.create<vector::ShuffleOp>(x, y, high)};
  };
  // Within halves of 4 lanes, which is what AVX2 interleaves: a0 b0 a1 b1, then a2 b2 a3 b3.
  auto zipHalves = [&](Value x, Value y) {
    return pair(x, y, {0, 8, 1, 9, 4, 12, 5, 13}, {2, 10, 3, 11, 6, 14, 7, 15});
  };
  // Four rows: elements k and k + 4 of all of them, for k = 0 to 3.
  auto four = [&](ArrayRef<Value> of) {
    Values even = zipHalves(of[0], of[2]), odd = zipHalves(of[1], of[3]), out;
    for (int64_t i = 0; i < 2; ++i) out.append(zipHalves(even[i], odd[i]));
    return out;
  };
  Values first = four(rows.take_front(4)), second = four(rows.drop_front(4)), out(8);
  for (int64_t k = 0; k < 4; ++k) {
    Values halves = pair(first[k], second[k], {0, 1, 2, 3, 8, 9, 10, 11}, {4, 5, 6, 7, 12, 13, 14, 15});
    out[k] = halves[0];
    out[k + 4] = halves[1];
  }
  return out;
}

Values transpose(Builder &b, ArrayRef<Value> rows) {
  return rows.size() == kLanes ? interleave(b, Values(rows)) : transposeEight(b, rows);
}

int64_t transposedLanes(const CpuLevel &level) { return level.vectorBytes < 64 ? kLanes / 2 : kLanes; }

void packScalars(Builder &b, Type element, ArrayRef<Value> rows, Value stride, Value from, Value count,
                 Value destination, int64_t step) {
  forLoop(b, from, count, 1, [&](Value k) {
    Value at = elementAddress(b, destination, mulI64(b, k, step), element);
    Value offset = mulI64(b, k, stride);
    for (auto [i, row] : llvm::enumerate(rows))
      storeScalar(b, elementAddress(b, at, constantI64(b, i), element),
                  loadScalar(b, elementAddress(b, row, offset, element), element));
  });
}

// 16 elements of k from `k` on of all rows.
static void packLanes(Builder &b, const CpuLevel &level, Type element, ArrayRef<Value> rows, Value k,
                      Value destination, Value step) {
  Value at = elementAddress(b, destination, mulI64(b, k, step), element);
  const int64_t numRows = int64_t(rows.size()), half = transposedLanes(level);
  if (half < kLanes && numRows >= half && memoryBytes(element) == 4) {
    const VectorType lanes = VectorType::get({half}, element);
    for (int64_t from = 0; from < kLanes; from += half)
      for (int64_t row = 0; row < numRows; row += half) {
        Values now;
        for (Value pointer : rows.slice(row, half))
          now.push_back(
              b.create<LLVM::LoadOp>(lanes, elementAddress(b, pointer, addI64(b, k, from), element), 4));
        for (auto [i, vector] : llvm::enumerate(transpose(b, now))) {
          Value to = addI64(b, mulI64(b, step, from + int64_t(i)), row);
          b.create<LLVM::StoreOp>(vector, elementAddress(b, at, to, element), 4);
        }
      }
    return;
  }
  Values now;
  for (Value row : rows) now.push_back(loadLanes(b, elementAddress(b, row, k, element), element));
  const int64_t perVector = kLanes / numRows; // values of k in a zipped vector
  for (auto [i, vector] : llvm::enumerate(interleave(b, now)))
    storeLanes(b, elementAddress(b, at, mulI64(b, step, int64_t(i) * perVector), element), vector);
}

static void packHere(Builder &b, const CpuLevel &level, Type element, ArrayRef<Value> rows, Value count,
                     Value destination, Value step, Value ahead) {
  Value whole = subI64(b, count, remI64(b, count, constantI64(b, kLanes)));
  forLoop(b, constantI64(b, 0), whole, kLanes, [&](Value k) {
    for (Value row : rows) {
      if (!ahead) break;
      Value line = elementAddress(b, elementAddress(b, row, k, element), ahead, b.getI8Type());
      // Into the second level: the first does not hold two deep tiles.
      b.create<LLVM::Prefetch>(line, /*rw=*/0, /*hint=*/2, /*cache=*/1);
    }
    packLanes(b, level, element, rows, k, destination, step);
  });
  forLoop(b, whole, count, 1, [&](Value k) {
    Value at = elementAddress(b, destination, mulI64(b, k, step), element);
    for (auto [i, row] : llvm::enumerate(rows))
      storeScalar(b, elementAddress(b, at, constantI64(b, i), element),
                  loadScalar(b, elementAddress(b, row, k, element), element));
  });
}

static LLVM::LLVMFuncOp packFunction(Builder &b, const CpuLevel &level, Type element, int64_t numRows,
                                     bool asksAhead) {
  auto module = b.getInsertionBlock()->getParentOp()->getParentOfType<ModuleOp>();
  std::string name = "weft.pack" + std::to_string(numRows) + "x" +
                     std::to_string(element.getIntOrFloatBitWidth()) + (asksAhead ? ".ahead" : "");
  if (auto known = module.lookupSymbol<LLVM::LLVMFuncOp>(name)) return known;
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToEnd(module.getBody());
  Type pointer = LLVM::LLVMPointerType::get(b.getContext()), i64 = b.getI64Type();
  auto type =
      LLVM::LLVMFunctionType::get(LLVM::LLVMVoidType::get(b.getContext()), {pointer, i64, pointer, i64, i64});
  auto function = b.create<LLVM::LLVMFuncOp>(name, type);
  function.setPassthroughAttr(b.getArrayAttr({b.getStringAttr("nounwind")}));
  function.setVisibility_(LLVM::Visibility::Hidden); // a helper (share_code.h)
  function.setDsoLocal(true);
  Block *entry = function.addEntryBlock(b);
  b.setInsertionPointToEnd(entry);
  Value addresses = entry->getArgument(0);
  Values rows;
  for (int64_t i = 0; i < numRows; ++i)
    rows.push_back(b.create<LLVM::LoadOp>(pointer, elementAddress(b, addresses, constantI64(b, i), pointer)));
  packHere(b, level, element, rows, entry->getArgument(1), entry->getArgument(2), entry->getArgument(3),
           asksAhead ? entry->getArgument(4) : Value());
  b.create<LLVM::ReturnOp>(ValueRange());
  return function;
}

void packInterleaved(Builder &b, const CpuLevel &level, Type element, ArrayRef<Value> rows, Value count,
                     Value destination, int64_t step, Packing how, Value ahead) {
  if (how == Packing::here)
    return packHere(b, level, element, rows, count, destination, constantI64(b, step), ahead);
  Type pointer = LLVM::LLVMPointerType::get(b.getContext());
  auto function = packFunction(b, level, b.getIntegerType(element.getIntOrFloatBitWidth()),
                               int64_t(rows.size()), bool(ahead));
  Operation *kernel = b.getInsertionBlock()->getParentOp();
  if (!isa<LLVM::LLVMFuncOp>(kernel)) kernel = kernel->getParentOfType<LLVM::LLVMFuncOp>();
  Value addresses;
  {
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(&cast<LLVM::LLVMFuncOp>(kernel).getBody().front());
    addresses = b.create<LLVM::AllocaOp>(pointer, pointer, constantI64(b, int64_t(rows.size())));
  }
  for (auto [i, row] : llvm::enumerate(rows))
    b.create<LLVM::StoreOp>(row, elementAddress(b, addresses, constantI64(b, i), pointer));
  b.create<LLVM::CallOp>(function, ValueRange{addresses, count, destination, constantI64(b, step),
                                              ahead ? ahead : constantI64(b, 0)});
}

Value joinPairs(Builder &b, Value low, Value high) {
  auto shape = dyn_cast<VectorType>(low.getType());
  Type wide = shape ? Type(shape.clone(b.getI32Type())) : b.getI32Type();
  Value bits = b.create<arith::ExtUIOp>(wide, low);
  if (!high) return bits;
  Value upper = b.create<arith::ShLIOp>(b.create<arith::ExtUIOp>(wide, high), constantInt(b, wide, 16));
  return b.create<arith::OrIOp>(bits, upper);
}

// Steps [from, to) of zeros: `width` elements of i32 each.
void zeroSteps(Builder &b, Value destination, Value from, Value to, int64_t width, int64_t step) {
  VectorType type = VectorType::get({width}, b.getI32Type());
  forLoop(b, from, to, 1, [&](Value k) {
    b.create<LLVM::StoreOp>(zeroOf(b, type),
                            elementAddress(b, destination, mulI64(b, k, step), b.getI32Type()), 4);
  });
}

// `rows` (pointers to bf16, elements of k `stride` apart) side by side, a step a pair of k: `count` elements
// of k.
void packRowsInPairs(Builder &b, const CpuLevel &level, ArrayRef<Value> rows, Value stride, bool contiguous,
                     Value count, Value steps, Value destination, int64_t step, Packing how, Value ahead) {
  Type half = b.getI16Type(), packed = b.getI32Type();
  Value whole = divI64(b, count, 2), used = divI64(b, addI64(b, count, 1), 2);
  auto scalar = [&](Value k, bool high) {
    Value to = elementAddress(b, destination, mulI64(b, k, step), packed),
          first = mulI64(b, mulI64(b, k, 2), stride);
    for (auto [i, row] : llvm::enumerate(rows)) {
      Value from = elementAddress(b, row, first, half);
      Value upper = high ? loadScalar(b, elementAddress(b, from, stride, half), half) : Value();
      storeScalar(b, elementAddress(b, to, constantI64(b, i), packed),
                  joinPairs(b, loadScalar(b, from, half), upper));
    }
  };
  if (contiguous)
    packInterleaved(b, level, packed, rows, whole, destination, step, how, ahead);
  else
    forLoop(b, 0, whole, 1, [&](Value k) { scalar(k, true); });
  ifThen(b, lessThan(b, whole, used), [&] { scalar(whole, false); });
  zeroSteps(b, destination, used, steps, rows.size(), step);
}

} // namespace weft::cpu
