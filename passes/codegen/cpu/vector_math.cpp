// exp, log, tanh, pow. Coefficients: Chebyshev fits of the functions named beside them, rounded to the type
// they are used in.
#include "passes/codegen/cpu/vector_math.h"

#include "passes/codegen/cpu/vector_math_ops.h"

using namespace mlir;
namespace weft::cpu {

constexpr double kLn2High = 0.693147182, kLn2Low = -1.90465421e-09, kLog2E = 1.44269502;
constexpr double kInfinity = std::numeric_limits<double>::infinity(),
                 kNaN = std::numeric_limits<double>::quiet_NaN();

// e^x = 2^n e^r, n = round(x / ln 2), |r| <= ln 2 / 2.
Value emitExp(Builder &b, Value x, bool scalef) {
  MathOps m{b};
  x = m.clamp(x, -105, 90); // beyond these the result is 0 or inf anyway, and n would not fit
  auto [n, exponent] = m.nearest(x, m.num(x, kLog2E));
  Value r = m.fma(n, m.num(x, -kLn2High), x);
  r = m.fma(n, m.num(x, -kLn2Low), r);
  // (e^r - 1 - r) / r²
  Value q = m.polynomial(r, {0.5, 0.166665763, 0.0416665524, 0.00836323295, 0.00139262504});
  Value p = m.add(m.fma(q, m.mul(r, r), r), m.num(r, 1));
  return scalef ? m.scalef(p, n) : m.scale(p, exponent);
}

// log x = e ln 2 + log(1 + f), 1 + f = m in [sqrt(1/2), sqrt(2)).
Value emitLog(Builder &b, Value x) {
  MathOps m{b};
  auto [mantissa, exponent] = m.split(x);
  Value e = m.toF32FromInt(exponent), f = m.sub(mantissa, m.num(x, 1));
  // (log(1 + f) - f + f² / 2) / f³
  Value p = m.polynomial(f, {0.333333313, -0.24999997, 0.200007156, -0.166678026, 0.142490581, -0.124256872,
                             0.116854198, -0.114797339, 0.0697161183});
  Value square = m.mul(f, f);
  Value tail = m.fma(m.mul(p, f), square, m.mul(e, m.num(e, kLn2Low)));
  tail = m.fma(square, m.num(f, -0.5), tail);
  Value result = m.fma(e, m.num(e, kLn2High), m.add(f, tail));
  result = m.select(m.equal(x, kInfinity), x, result);
  result = m.select(m.equal(x, 0), m.num(x, -kInfinity), result);
  Value valid = m.compare(arith::CmpFPredicate::OGE, x, m.num(x, 0));
  return m.select(valid, result, m.num(x, kNaN));
}

// Small: x + x³ P(x²). Large: 1 - 2 / (e^2|x| + 1) with the sign of x.
Value emitTanh(Builder &b, Value x) {
  MathOps m{b};
  Value magnitude = m.abs(x), z = m.mul(x, x);
  // (tanh(√z) / √z - 1) / z
  Value p = m.polynomial(
      z, {-0.333333343, 0.133333027, -0.0539592281, 0.0217686668, -0.00834311917, 0.00229180953});
  Value small = m.fma(m.mul(p, z), x, x);
  Value e = emitExp(b, m.add(magnitude, magnitude));
  Value large = m.sub(m.num(x, 1), m.div(m.num(x, 2), m.add(e, m.num(x, 1))));
  return b.create<math::CopySignOp>(m.select(m.less(magnitude, 0.625), small, large), x);
}

// log |x| of positive finite f32 x, as f64, to about 1e-13.
static Value logF64(MathOps &m, Value x) {
  auto [mantissa, exponent] = m.split(x);
  Value w = m.toF64(mantissa);
  Value s = m.div(m.sub(w, m.num(w, 1)), m.add(w, m.num(w, 1))), z = m.mul(s, s);
  // (atanh(√z) / √z - 1) / z
  Value p = m.polynomial(z, {0.33333333333331033, 0.2000000000561559, 0.14285712065245487,
                             0.11111431566218855, 0.090700782750814141, 0.083111899427808195});
  Value twice = m.add(s, s);
  Value log = m.fma(m.mul(p, z), twice, twice);
  return m.fma(m.toF64FromInt(exponent), m.num(w, 0.693147180559945286), log);
}

// e^t of f64 t as f32.
static Value expF64(MathOps &m, Value t) {
  t = m.clamp(t, -110, 95);
  Value magic = m.num(t, 6755399441055744.0); // 1.5 * 2^52
  Value n = m.sub(m.fma(t, m.num(t, 1.4426950408889634), magic), magic);
  Value r = m.fma(n, m.num(t, -0.693147180559945286), t);
  // (e^r - 1 - r) / r²
  Value q = m.polynomial(r, {0.49999999999954747, 0.16666666666662555, 0.041666666786985558,
                             0.0083333333442683951, 0.0013888838910996056, 0.00019841224418291943,
                             2.4868002978056962e-05, 2.7617685465165067e-06});
  Value p = m.add(m.fma(q, m.mul(r, r), r), m.num(r, 1));
  // n is a small integer or NaN: exact in f32, where the nearest integer is itself.
  Value small = m.toF32(n);
  return m.scale(m.toF32(p), m.nearest(small, m.num(small, 1)).second);
}

// |x|^y = e^(y log |x|), then what C says of 0, inf, 1 and negative bases.
Value emitPow(Builder &b, Value x, Value y) {
  MathOps m{b};
  using Predicate = arith::CmpFPredicate;
  Value magnitude = m.abs(x);
  Value logarithm = logF64(m, magnitude), wide = m.toF64(magnitude);
  logarithm = m.select(m.equal(magnitude, 0), m.num(wide, -kInfinity), logarithm);
  logarithm = m.select(m.equal(magnitude, kInfinity), m.num(wide, kInfinity), logarithm);
  Value isNaN = m.compare(Predicate::UNO, wide, wide);
  logarithm = m.select(isNaN, wide, logarithm);
  Value result = expF64(m, m.mul(m.toF64(y), logarithm));

  Value half = m.mul(y, m.num(y, 0.5));
  Value whole = m.compare(Predicate::OEQ, b.create<math::FloorOp>(y), y);
  Value odd = b.create<arith::AndIOp>(whole, m.compare(Predicate::UNE, half, b.create<math::FloorOp>(half)));
  // An odd power keeps the base's sign bit, -0 and -inf included; a negative finite base to a power not whole
  // is NaN.
  result = m.select(odd, b.create<math::CopySignOp>(result, x), result);
  Value undefined = b.create<arith::AndIOp>(b.create<arith::AndIOp>(m.less(x, 0), m.greater(x, -kInfinity)),
                                            m.compare(Predicate::UNE, b.create<math::FloorOp>(y), y));
  result = m.select(undefined, m.num(x, kNaN), result);
  Value one = b.create<arith::OrIOp>(m.equal(x, 1), m.equal(y, 0));
  Value unit = b.create<arith::AndIOp>(m.equal(x, -1), m.equal(m.abs(y), kInfinity));
  return m.select(b.create<arith::OrIOp>(one, unit), m.num(x, 1), result);
}

FailureOr<Value> expandMath(Builder &b, Operation *op, ValueRange operands) {
  // Instructions, or short sequences LLVM has without a call.
  if (isa<math::SqrtOp, math::AbsFOp, math::AbsIOp, math::FmaOp, math::FloorOp, math::CeilOp, math::TruncOp,
          math::RoundEvenOp, math::CopySignOp, math::CountLeadingZerosOp, math::CtPopOp>(op))
    return Value();
  MathOps m{b};
  if (isa<math::RsqrtOp>(op)) return m.div(m.num(operands[0], 1), b.create<math::SqrtOp>(operands[0]));
  Type element = getElementTypeOrSelf(operands[0].getType());
  if (!element.isF32()) {
    op->emitOpError() << "of " << element << " has no CPU code when f32 has: cast to f32 around it";
    return failure();
  }
  if (isa<math::ExpOp>(op)) return emitExp(b, operands[0]);
  if (isa<math::LogOp>(op)) return emitLog(b, operands[0]);
  if (isa<math::SinOp>(op)) return emitSin(b, operands[0]);
  if (isa<math::CosOp>(op)) return emitCos(b, operands[0]);
  if (isa<math::TanhOp>(op)) return emitTanh(b, operands[0]);
  if (isa<math::PowFOp>(op)) return emitPow(b, operands[0], operands[1]);
  op->emitOpError("has no CPU code: see passes/codegen/cpu/vector_math.h for what has");
  return failure();
}

} // namespace weft::cpu
