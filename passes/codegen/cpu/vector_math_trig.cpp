// sin and cos.
#include "passes/codegen/cpu/vector_math.h"

#include "passes/codegen/cpu/vector_math_ops.h"

using namespace mlir;
namespace weft::cpu {

// x = n π/2 + r, |r| <= π/4, with π/2 in three f32 parts (Cody and Waite). n has 16 bits up to |x| = 1e5, and
// fma rounds once. `quadrant` is added to n: sin(x + quadrant π/2).
static Value sinOfQuadrant(Builder &b, Value x, int64_t quadrant) {
  MathOps m{b};
  auto [n, integer] = m.nearest(x, m.num(x, 0.636619747));
  Value r = m.fma(n, m.num(x, -1.57079637), x);
  r = m.fma(n, m.num(x, 4.37113883e-08), r);
  r = m.fma(n, m.num(x, 1.71512451e-15), r);
  r = m.clamp(r, -0.8, 0.8); // does nothing while the reduction is exact
  Value z = m.mul(r, r);
  // (sin(√z) / √z - 1) / z and (cos(√z) - 1 + z / 2) / z²
  Value s = m.polynomial(z, {-0.166666672, 0.00833333191, -0.000198400841, 2.72496209e-06});
  Value sine = m.fma(m.mul(s, z), r, r);
  Value c = m.polynomial(z, {0.0416666642, -0.00138883013, 2.45476895e-05});
  // 1 - z / 2 loses up to half a place: what it lost goes into the tail.
  Value half = m.mul(z, m.num(z, 0.5)), head = m.sub(m.num(z, 1), half);
  Value lost = m.sub(m.sub(m.num(z, 1), head), half);
  Value cosine = m.add(head, m.fma(c, m.mul(z, z), lost));
  if (quadrant) integer = m.addI(integer, m.integer(integer, quadrant));
  Value swap = b.create<arith::CmpIOp>(arith::CmpIPredicate::ne, m.andI(integer, m.integer(integer, 1)),
                                       m.integer(integer, 0));
  Value value = m.select(swap, cosine, sine);
  Value sign = m.shl(m.andI(integer, m.integer(integer, 2)), 30);
  return m.fromBits(m.xorI(m.bits(value), sign));
}

Value emitSin(Builder &b, Value x) { return sinOfQuadrant(b, x, 0); }
Value emitCos(Builder &b, Value x) { return sinOfQuadrant(b, x, 1); }

} // namespace weft::cpu
