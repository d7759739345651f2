// Reference evaluation of elementwise operators: the C library's functions on doubles.
#include "dialects/graph/graph.h"
#include <algorithm>
#include <cmath>

using namespace mlir;
namespace weft::graph {

using Operands = ArrayRef<const HostTensor *>;
using Results = MutableArrayRef<HostTensor>;

template <class F> static LogicalResult unary(Operands x, Results y, F f) {
  for (size_t i = 0; i < y[0].values.size(); ++i) y[0].values[i] = f(x[0]->values[i]);
  return success();
}

// Integers are computed in 64 bits and wrapped to their type.
template <class F, class I> static LogicalResult binary(Operands x, Results y, F floats, I integers) {
  const auto &a = x[0]->values, &b = x[1]->values;
  for (size_t i = 0; i < a.size(); ++i)
    y[0].values[i] =
        x[0]->isFloat() ? floats(a[i], b[i]) : wrap(integers(int64_t(a[i]), int64_t(b[i])), x[0]->element);
  return success();
}

LogicalResult NegOp::evaluate(Operands x, Results y) {
  return unary(x, y, [](double v) { return -v; });
}
LogicalResult ExpOp::evaluate(Operands x, Results y) {
  return unary(x, y, [](double v) { return std::exp(v); });
}
LogicalResult LogOp::evaluate(Operands x, Results y) {
  return unary(x, y, [](double v) { return std::log(v); });
}
LogicalResult SqrtOp::evaluate(Operands x, Results y) {
  return unary(x, y, [](double v) { return std::sqrt(v); });
}
LogicalResult RsqrtOp::evaluate(Operands x, Results y) {
  return unary(x, y, [](double v) { return 1.0 / std::sqrt(v); });
}
LogicalResult TanhOp::evaluate(Operands x, Results y) {
  return unary(x, y, [](double v) { return std::tanh(v); });
}
LogicalResult SigmoidOp::evaluate(Operands x, Results y) {
  return unary(x, y, [](double v) { return 1.0 / (1.0 + std::exp(-v)); });
}
LogicalResult SinOp::evaluate(Operands x, Results y) {
  return unary(x, y, [](double v) { return std::sin(v); });
}
LogicalResult CosOp::evaluate(Operands x, Results y) {
  return unary(x, y, [](double v) { return std::cos(v); });
}
LogicalResult AbsOp::evaluate(Operands x, Results y) {
  return unary(x, y, [](double v) { return std::fabs(v); });
}

// Unsigned arithmetic, since signed overflow is undefined in C++.
static int64_t addWrapping(int64_t a, int64_t b) { return int64_t(uint64_t(a) + uint64_t(b)); }
static int64_t subWrapping(int64_t a, int64_t b) { return int64_t(uint64_t(a) - uint64_t(b)); }
static int64_t mulWrapping(int64_t a, int64_t b) { return int64_t(uint64_t(a) * uint64_t(b)); }

LogicalResult AddOp::evaluate(Operands x, Results y) {
  return binary(
      x, y, [](double a, double b) { return a + b; }, addWrapping);
}
LogicalResult SubOp::evaluate(Operands x, Results y) {
  return binary(
      x, y, [](double a, double b) { return a - b; }, subWrapping);
}
LogicalResult MulOp::evaluate(Operands x, Results y) {
  return binary(
      x, y, [](double a, double b) { return a * b; }, mulWrapping);
}
LogicalResult DivOp::evaluate(Operands x, Results y) {
  if (!x[0]->isFloat())
    return emitOpError() << "divides " << getLhs().getType() << " when it is defined for f32 and f64";
  return binary(
      x, y, [](double a, double b) { return a / b; }, [](int64_t, int64_t) { return int64_t(0); });
}
// NaN wins, as in arith.maximumf and arith.minimumf.
LogicalResult MaxOp::evaluate(Operands x, Results y) {
  return binary(
      x, y, [](double a, double b) { return std::isnan(a) || a > b ? a : b; },
      [](int64_t a, int64_t b) { return std::max(a, b); });
}
LogicalResult MinOp::evaluate(Operands x, Results y) {
  return binary(
      x, y, [](double a, double b) { return std::isnan(a) || a < b ? a : b; },
      [](int64_t a, int64_t b) { return std::min(a, b); });
}
LogicalResult PowOp::evaluate(Operands x, Results y) {
  if (!x[0]->isFloat())
    return emitOpError() << "takes a power of " << getLhs().getType()
                         << " when it is defined for f32 and f64";
  return binary(
      x, y, [](double a, double b) { return std::pow(a, b); }, [](int64_t, int64_t) { return int64_t(0); });
}
LogicalResult AndOp::evaluate(Operands x, Results y) {
  return binary(
      x, y, [](double, double) { return std::nan(""); }, [](int64_t a, int64_t b) { return a & b; });
}
LogicalResult OrOp::evaluate(Operands x, Results y) {
  return binary(
      x, y, [](double, double) { return std::nan(""); }, [](int64_t a, int64_t b) { return a | b; });
}

LogicalResult CompareOp::evaluate(Operands x, Results y) {
  for (size_t i = 0; i < y[0].values.size(); ++i) {
    double a = x[0]->values[i], b = x[1]->values[i];
    bool holds = false;
    switch (getPredicate()) {
    case Predicate::eq:
      holds = a == b;
      break;
    case Predicate::ne:
      holds = a != b;
      break;
    case Predicate::lt:
      holds = a < b;
      break;
    case Predicate::le:
      holds = a <= b;
      break;
    case Predicate::gt:
      holds = a > b;
      break;
    case Predicate::ge:
      holds = a >= b;
      break;
    }
    y[0].values[i] = holds;
  }
  return success();
}

LogicalResult SelectOp::evaluate(Operands x, Results y) {
  for (size_t i = 0; i < y[0].values.size(); ++i)
    y[0].values[i] = x[0]->values[i] != 0 ? x[1]->values[i] : x[2]->values[i];
  return success();
}

// Between f32 and f64 nothing is rounded: the reference is exact there; bf16 is meant to round. To i1:
// whether it is not zero. NaN to an integer: 0; out of range: the nearest.
LogicalResult CastOp::evaluate(Operands x, Results y) {
  Element to = y[0].element;
  return unary(x, y, [&](double v) -> double {
    if (to == Element::f32 || to == Element::f64) return v;
    if (to == Element::bf16) return roundToBf16(v);
    if (to == Element::i1) return v != 0;
    if (!x[0]->isFloat()) return wrap(int64_t(v), to);
    double limit = std::ldexp(1.0, to == Element::i32 ? 31 : 63);
    if (std::isnan(v)) return 0;
    if (v >= limit) return to == Element::i32 ? limit - 1 : limit;
    return v <= -limit ? -limit : std::trunc(v);
  });
}

LogicalResult StopGradientOp::evaluate(Operands x, Results y) {
  y[0].values = x[0]->values;
  return success();
}

} // namespace weft::graph
