#include "passes/codegen/cpu/lanes.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;
namespace weft::cpu {

VectorType laneType(Type element) { return VectorType::get({kLanes}, element); }

Type memoryType(Type element) {
  if (element.isInteger(1)) return IntegerType::get(element.getContext(), 8);
  return element.isBF16() ? IntegerType::get(element.getContext(), 16) : element;
}

int64_t memoryBytes(Type element) { return memoryType(element).getIntOrFloatBitWidth() / 8; }

Value constantI64(Builder &b, int64_t value) { return b.create<arith::ConstantIntOp>(value, 64); }
Value constantI32(Builder &b, int32_t value) { return b.create<arith::ConstantIntOp>(value, 32); }

// A constant attribute of a scalar, or of a vector by splatting.
static Value constant(Builder &b, Type type, TypedAttr scalar) {
  if (auto vector = dyn_cast<VectorType>(type))
    return b.create<arith::ConstantOp>(DenseElementsAttr::get(vector, Attribute(scalar)));
  return b.create<arith::ConstantOp>(scalar);
}

Value zeroOf(Builder &b, Type type) { return constant(b, type, b.getZeroAttr(getElementTypeOrSelf(type))); }
Value constantFloat(Builder &b, Type type, double value) {
  return constant(b, type, b.getFloatAttr(getElementTypeOrSelf(type), value));
}
Value constantInt(Builder &b, Type type, int64_t value) {
  return constant(b, type, b.getIntegerAttr(getElementTypeOrSelf(type), value));
}

Value splat(Builder &b, Value value) {
  if (isa<VectorType>(value.getType())) return value;
  if (auto literal = value.getDefiningOp<arith::ConstantOp>())
    return constant(b, laneType(value.getType()), literal.getValue());
  return b.create<vector::SplatOp>(laneType(value.getType()), value);
}

Value iota(Builder &b) {
  SmallVector<int32_t> lanes(kLanes);
  for (int32_t i = 0; i < kLanes; ++i) lanes[i] = i;
  return b.create<arith::ConstantOp>(
      DenseElementsAttr::get(laneType(b.getI32Type()), ArrayRef<int32_t>(lanes)));
}

Value tailMask(Builder &b, Value count) {
  Value narrow = b.create<arith::TruncIOp>(b.getI32Type(), count);
  return b.create<arith::CmpIOp>(arith::CmpIPredicate::slt, iota(b), splat(b, narrow));
}

Value elementAddress(Builder &b, Value pointer, Value index, Type element) {
  return b.create<LLVM::GEPOp>(pointer.getType(), memoryType(element), pointer,
                               ArrayRef<LLVM::GEPArg>{index});
}

// i1 is a byte in memory and a bit in registers; bf16 has its bits.
static Value fromMemory(Builder &b, Value value, Type element) {
  if (element.isBF16()) {
    auto vector = dyn_cast<VectorType>(value.getType());
    return b.create<arith::BitcastOp>(vector ? Type(vector.clone(element)) : element, value);
  }
  if (!element.isInteger(1)) return value;
  return b.create<arith::CmpIOp>(arith::CmpIPredicate::ne, value, zeroOf(b, value.getType()));
}

static Value toMemory(Builder &b, Value value) {
  Type element = getElementTypeOrSelf(value.getType()), bytes = memoryType(element);
  if (bytes == element) return value;
  if (auto vector = dyn_cast<VectorType>(value.getType())) bytes = vector.clone(bytes);
  if (element.isBF16()) return b.create<arith::BitcastOp>(bytes, value);
  return b.create<arith::ExtUIOp>(bytes, value);
}

Value loadScalar(Builder &b, Value pointer, Type element) {
  Value loaded = b.create<LLVM::LoadOp>(memoryType(element), pointer, memoryBytes(element));
  return fromMemory(b, loaded, element);
}

void storeScalar(Builder &b, Value pointer, Value value) {
  b.create<LLVM::StoreOp>(toMemory(b, value), pointer, memoryBytes(value.getType()));
}

// vector<16x!llvm.ptr>: pointer + lane * stride.
static Value lanePointers(Builder &b, Value pointer, Value stride, Type element) {
  Type wide = laneType(b.getI64Type());
  Value lanes = b.create<arith::ExtSIOp>(wide, iota(b));
  Value offsets = b.create<arith::MulIOp>(lanes, splat(b, stride));
  Type pointers = LLVM::getFixedVectorType(pointer.getType(), kLanes);
  return b.create<LLVM::GEPOp>(pointers, memoryType(element), pointer, ArrayRef<LLVM::GEPArg>{offsets});
}

static Value allLanes(Builder &b) { return constantInt(b, laneType(b.getI1Type()), 1); }

Value loadLanes(Builder &b, Value pointer, Type element, Value mask, Value stride) {
  VectorType type = laneType(memoryType(element));
  Value loaded;
  unsigned bytes = memoryBytes(element);
  if (stride)
    loaded = b.create<LLVM::masked_gather>(type, lanePointers(b, pointer, stride, element),
                                           mask ? mask : allLanes(b), ValueRange{zeroOf(b, type)},
                                           b.getI32IntegerAttr(bytes));
  else if (mask)
    loaded = b.create<LLVM::MaskedLoadOp>(type, pointer, mask, ValueRange{zeroOf(b, type)},
                                          b.getI32IntegerAttr(bytes));
  else
    loaded = b.create<LLVM::LoadOp>(type, pointer, bytes);
  return fromMemory(b, loaded, element);
}

void storeLanes(Builder &b, Value pointer, Value vector, Value mask, Value stride) {
  Type element = getElementTypeOrSelf(vector.getType());
  Value stored = toMemory(b, vector);
  unsigned bytes = memoryBytes(element);
  if (stride)
    b.create<LLVM::masked_scatter>(stored, lanePointers(b, pointer, stride, element),
                                   mask ? mask : allLanes(b), b.getI32IntegerAttr(bytes));
  else if (mask)
    b.create<LLVM::MaskedStoreOp>(stored, pointer, mask, b.getI32IntegerAttr(bytes));
  else
    b.create<LLVM::StoreOp>(stored, pointer, bytes);
}

Value reductionIdentity(Builder &b, kernel::RowReduceKind kind, Type type) {
  if (kind == kernel::RowReduceKind::sum) return zeroOf(b, type);
  Type element = getElementTypeOrSelf(type);
  if (auto floating = dyn_cast<FloatType>(element))
    return constant(
        b, type, b.getFloatAttr(element, APFloat::getInf(floating.getFloatSemantics(), /*Negative=*/true)));
  return constant(b, type,
                  b.getIntegerAttr(element, APInt::getSignedMinValue(element.getIntOrFloatBitWidth())));
}

Value combine(Builder &b, kernel::RowReduceKind kind, Value x, Value y) {
  bool floating = isa<FloatType>(getElementTypeOrSelf(x.getType()));
  if (kind == kernel::RowReduceKind::sum)
    return floating ? Value(b.create<arith::AddFOp>(x, y)) : Value(b.create<arith::AddIOp>(x, y));
  if (!floating) return b.create<arith::MaxSIOp>(x, y);
  // As x86's max, which gives its second operand where one is NaN: x stays NaN then, and a NaN in y is put
  // back off the chain through x. arith.maximumf would order zeros too, at twice the latency.
  Value larger = b.create<arith::SelectOp>(b.create<arith::CmpFOp>(arith::CmpFPredicate::OGT, y, x), y, x);
  return b.create<arith::SelectOp>(b.create<arith::CmpFOp>(arith::CmpFPredicate::UNO, y, y), y, larger);
}

Value combineHalves(Builder &b, kernel::RowReduceKind kind, Value lanes) {
  for (int64_t half = kLanes / 2; half >= 1; half /= 2) {
    SmallVector<int64_t> low, high;
    for (int64_t i = 0; i < half; ++i) {
      low.push_back(i);
      high.push_back(i + half);
    }
    Value x = b.create<vector::ShuffleOp>(lanes, lanes, low);
    Value y = b.create<vector::ShuffleOp>(lanes, lanes, high);
    lanes = combine(b, kind, x, y);
  }
  return b.create<vector::ExtractOp>(lanes, ArrayRef<int64_t>{0});
}

static std::optional<int64_t> known(Value value) {
  if (auto op = value.getDefiningOp<arith::ConstantOp>())
    if (auto attr = dyn_cast<IntegerAttr>(op.getValue())) return attr.getInt();
  return std::nullopt;
}

Value addI64(Builder &b, Value x, Value y) {
  auto kx = known(x), ky = known(y);
  if (kx && *kx == 0) return y;
  if (ky && *ky == 0) return x;
  if (kx && ky) return constantI64(b, *kx + *ky);
  return b.create<arith::AddIOp>(x, y);
}

Value mulI64(Builder &b, Value x, Value y) {
  auto kx = known(x), ky = known(y);
  if (kx && ky) return constantI64(b, *kx * *ky);
  if ((kx && *kx == 0) || (ky && *ky == 1)) return x;
  if ((ky && *ky == 0) || (kx && *kx == 1)) return y;
  return b.create<arith::MulIOp>(x, y);
}

Value minI64(Builder &b, Value x, Value y) { return b.create<arith::MinSIOp>(x, y); }

} // namespace weft::cpu
