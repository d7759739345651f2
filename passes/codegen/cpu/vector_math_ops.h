// Arithmetic on scalars and vectors alike, written as formulas: what vector_math*.cpp are made of. Internal
// to them.
#pragma once
#include "passes/codegen/cpu/lanes.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"

namespace weft::cpu {

// Each result has the shape of its operands.
struct MathOps {
  Builder &b;
  using Value = mlir::Value;
  using Type = mlir::Type;

  // The type of `like` with another element type.
  Type with(Value like, Type element) const {
    auto vector = mlir::dyn_cast<mlir::VectorType>(like.getType());
    return vector ? Type(vector.clone(element)) : element;
  }
  Value num(Value like, double v) { return constantFloat(b, like.getType(), v); }
  Value integer(Value like, int64_t v) { return constantInt(b, like.getType(), v); }
  Value add(Value x, Value y) { return b.create<mlir::arith::AddFOp>(x, y); }
  Value sub(Value x, Value y) { return b.create<mlir::arith::SubFOp>(x, y); }
  Value mul(Value x, Value y) { return b.create<mlir::arith::MulFOp>(x, y); }
  Value div(Value x, Value y) { return b.create<mlir::arith::DivFOp>(x, y); }
  Value fma(Value x, Value y, Value z) { return b.create<mlir::math::FmaOp>(x, y, z); }
  Value abs(Value x) { return b.create<mlir::math::AbsFOp>(x); }
  Value select(Value c, Value x, Value y) { return b.create<mlir::arith::SelectOp>(c, x, y); }
  Value compare(mlir::arith::CmpFPredicate p, Value x, Value y) {
    return b.create<mlir::arith::CmpFOp>(p, x, y);
  }
  Value less(Value x, double y) { return compare(mlir::arith::CmpFPredicate::OLT, x, num(x, y)); }
  Value greater(Value x, double y) { return compare(mlir::arith::CmpFPredicate::OGT, x, num(x, y)); }
  Value equal(Value x, double y) { return compare(mlir::arith::CmpFPredicate::OEQ, x, num(x, y)); }
  // x within [low, high]; NaN stays.
  Value clamp(Value x, double low, double high) {
    x = select(less(x, low), num(x, low), x);
    return select(greater(x, high), num(x, high), x);
  }
  Value addI(Value x, Value y) { return b.create<mlir::arith::AddIOp>(x, y); }
  Value subI(Value x, Value y) { return b.create<mlir::arith::SubIOp>(x, y); }
  Value andI(Value x, Value y) { return b.create<mlir::arith::AndIOp>(x, y); }
  Value xorI(Value x, Value y) { return b.create<mlir::arith::XOrIOp>(x, y); }
  Value shl(Value x, int64_t n) { return b.create<mlir::arith::ShLIOp>(x, integer(x, n)); }
  Value sar(Value x, int64_t n) { return b.create<mlir::arith::ShRSIOp>(x, integer(x, n)); }
  Value bits(Value x) { return b.create<mlir::arith::BitcastOp>(with(x, b.getI32Type()), x); } // f32 as i32
  Value fromBits(Value i) { return b.create<mlir::arith::BitcastOp>(with(i, b.getF32Type()), i); } // and back
  Value toF32FromInt(Value i) { return b.create<mlir::arith::SIToFPOp>(with(i, b.getF32Type()), i); }
  Value toF64FromInt(Value i) { return b.create<mlir::arith::SIToFPOp>(with(i, b.getF64Type()), i); }
  Value toF64(Value x) { return b.create<mlir::arith::ExtFOp>(with(x, b.getF64Type()), x); }
  Value toF32(Value x) { return b.create<mlir::arith::TruncFOp>(with(x, b.getF32Type()), x); }

  // c[0] + c[1] x + … by Horner with fused multiply-adds.
  Value polynomial(Value x, llvm::ArrayRef<double> c) {
    Value sum = num(x, c.back());
    for (double coefficient : llvm::reverse(c.drop_back())) sum = fma(sum, x, num(x, coefficient));
    return sum;
  }
  // 2^n for i32 n in [-126, 127].
  Value powerOfTwo(Value n) { return fromBits(shl(addI(n, integer(n, 127)), 23)); }
  // p * 2^n for n in [-252, 254], rounded once: the first product is exact.
  Value scale(Value p, Value n) {
    Value half = sar(n, 1);
    return mul(mul(p, powerOfTwo(half)), powerOfTwo(subI(n, half)));
  }
  // The same by AVX-512's instruction; p is vector<16xf32>, n f32 and a whole number.
  Value scalef(Value p, Value n) {
    Value all = b.create<mlir::arith::ConstantIntOp>(-1, 16),
          current = b.create<mlir::arith::ConstantIntOp>(4, 32);
    return b
        .create<mlir::LLVM::CallIntrinsicOp>(p.getType(),
                                             llvm::StringRef("llvm.x86.avx512.mask.scalef.ps.512"),
                                             mlir::ValueRange{p, n, p, all, current})
        .getResult(0);
  }
  // The nearest integer of x f32, |x| < 2^22, ties to even, without a conversion that NaN would make
  // undefined: as f32 and as i32. (NaN: f32 NaN, any integer.)
  std::pair<Value, Value> nearest(Value x, Value factor) {
    Value magic = num(x, 12582912.0); // 1.5 * 2^23: integers lie in the low bits of the sum
    Value sum = fma(x, factor, magic);
    return {sub(sum, magic), subI(bits(sum), integer(bits(sum), 0x4b400000))};
  }
  // x = m 2^e with m in [sqrt(1/2), sqrt(2)), for positive finite x f32, subnormals too: m as f32, e as i32.
  std::pair<Value, Value> split(Value x) {
    Value tiny = less(x, 1.17549435e-38);
    x = select(tiny, mul(x, num(x, 8388608.0)), x); // 2^23
    Value raw = bits(x);
    Value e = sar(subI(raw, integer(raw, 0x3f3504f3)), 23);
    Value m = fromBits(subI(raw, shl(e, 23)));
    return {m, subI(e, select(tiny, integer(e, 23), integer(e, 0)))};
  }
};

} // namespace weft::cpu
