// Elementwise operators. Shapes broadcast as NumPy's do (the graph dialect's do not: graph.broadcast is inserted); types must agree.
#pragma once
#include "frontends/dsl/tensor.h"

namespace weft {

// NumPy's rule: shapes are aligned at their last dimensions, and a dimension of 1 is repeated.
inline Tensor broadcast_to(Arg x, const Shape &shape) {
  detail::require_tensor(x, "broadcast_to", x.at);
  if (x.shape() == shape) return x;
  i64 offset = static_cast<i64>(shape.size()) - x.rank();
  bool fits = offset >= 0;
  std::vector<i64> dims;
  for (i64 i = 0; fits && i < x.rank(); ++i) {
    fits = x.shape()[i] == 1 || x.shape()[i] == shape[i + offset];
    dims.push_back(i + offset);
  }
  if (!fits)
    fail(x.at, "cannot broadcast " + shape_text(x.shape()) + " to " + shape_text(shape), {{x.line(), "operand made here"}});
  return detail::record("broadcast", {x}, {{"dims", dims}, {"shape", shape}}, x.at);
}

// A constant of one value everywhere.
inline Tensor full(const Shape &shape, double value, DType dtype = DType::f32, Caller at = {}) {
  return detail::constant(dtype, shape, {value}, at.line);
}

namespace detail {

// The common shape of two operands; an error that names both of them otherwise.
inline Shape broadcast_shape(const Tensor &a, const Tensor &b, const char *verb, const SourceLine &at) {
  const Shape &x = a.shape(), &y = b.shape();
  Shape result(x.size() > y.size() ? x.size() : y.size());
  for (size_t i = 1; i <= result.size(); ++i) {
    i64 dx = i <= x.size() ? x[x.size() - i] : 1, dy = i <= y.size() ? y[y.size() - i] : 1;
    if (dx != dy && dx != 1 && dy != 1)
      fail(at, std::string("cannot ") + verb + " " + shape_text(x) + " and " + shape_text(y),
           {{a.line(), "left operand made here"}, {b.line(), "right operand made here"}});
    result[result.size() - i] = dx == 1 ? dy : dx;
  }
  return result;
}

inline Tensor number_as(double number, const Tensor &other, const char *verb, const SourceLine &at) {
  if (!is_float(other.dtype()) && number != static_cast<double>(static_cast<i64>(number)))
    fail(at, std::string("cannot ") + verb + " " + dtype_name(other.dtype()) + " " + shape_text(other.shape()) + " and " +
                 std::to_string(number) + ": not a whole number",
         {{other.line(), "operand made here"}});
  return constant(other.dtype(), other.shape(), {number}, at);
}

// Both operands in their common shape.
struct Pair {
  Tensor left, right;
};
inline Pair unify(const Operand &a, const Operand &b, const char *verb, const SourceLine &at) {
  if (a.is_number && b.is_number) fail(at, std::string("cannot ") + verb + " two numbers into a tensor: make one with full()");
  if (!a.is_number) require_tensor(a.tensor, verb, at);
  if (!b.is_number) require_tensor(b.tensor, verb, at);
  if (a.is_number) return {number_as(a.number, b.tensor, verb, at), b.tensor};
  if (b.is_number) return {a.tensor, number_as(b.number, a.tensor, verb, at)};
  const Tensor &x = a.tensor, &y = b.tensor;
  if (x.dtype() != y.dtype())
    fail(at, std::string("cannot ") + verb + " " + dtype_name(x.dtype()) + " " + shape_text(x.shape()) + " and " + dtype_name(y.dtype()) +
                 " " + shape_text(y.shape()) + ": cast one of them",
         {{x.line(), "left operand made here"}, {y.line(), "right operand made here"}});
  LineGuard guard(at);
  Shape shape = broadcast_shape(x, y, verb, at);
  return {broadcast_to(x, shape), broadcast_to(y, shape)};
}

inline Tensor unary(const char *name, const Arg &x) {
  require_float(x, name, x.at);
  return record(name, {x}, {}, x.at);
}
inline Tensor binary(const char *name, const char *verb, const Operand &a, const Operand &b) {
  Pair p = unify(a, b, verb, a.at);
  if (p.left.dtype() == DType::boolean && name != std::string_view("and") && name != std::string_view("or"))
    fail(a.at, std::string("cannot ") + verb + " bool tensors: cast them first", {{p.left.line(), "left operand made here"}});
  return record(name, {p.left, p.right}, {}, a.at);
}
inline Tensor compare(i64 predicate, const Operand &a, const Operand &b) {
  Pair p = unify(a, b, "compare", a.at);
  return record("compare", {p.left, p.right}, {{"predicate", predicate}}, a.at);
}
inline Tensor logical(const char *name, const Arg &a, const Arg &b) {
  for (const Arg *x : {&a, &b})
    if (x->dtype() != DType::boolean)
      fail(a.at, std::string("logical ") + name + " needs bool, got " + dtype_name(x->dtype()), {{x->line(), "operand made here"}});
  return binary(name, name, a, b);
}

} // namespace detail

inline Tensor operator-(Arg x) { return detail::unary("neg", x); }
inline Tensor exp(Arg x) { return detail::unary("exp", x); }
inline Tensor log(Arg x) { return detail::unary("log", x); } // natural
inline Tensor sqrt(Arg x) { return detail::unary("sqrt", x); }
inline Tensor rsqrt(Arg x) { return detail::unary("rsqrt", x); }
inline Tensor tanh(Arg x) { return detail::unary("tanh", x); }
inline Tensor sigmoid(Arg x) { return detail::unary("sigmoid", x); }
inline Tensor sin(Arg x) { return detail::unary("sin", x); } // radians
inline Tensor cos(Arg x) { return detail::unary("cos", x); }
inline Tensor abs(Arg x) { return detail::unary("abs", x); }

inline Tensor operator+(Operand a, Operand b) { return detail::binary("add", "add", a, b); }
inline Tensor operator-(Operand a, Operand b) { return detail::binary("sub", "subtract", a, b); }
inline Tensor operator*(Operand a, Operand b) { return detail::binary("mul", "multiply", a, b); }
inline Tensor operator/(Operand a, Operand b) {
  if (!a.is_number) detail::require_float(a.tensor, "division", a.at);
  return detail::binary("div", "divide", a, b);
}
inline Tensor max(Operand a, Operand b) { return detail::binary("max", "take the maximum of", a, b); }
inline Tensor min(Operand a, Operand b) { return detail::binary("min", "take the minimum of", a, b); }
// a^b for a > 0
inline Tensor pow(Operand a, Operand b) { return detail::binary("pow", "raise to a power", a, b); }

// bool tensors
inline Tensor operator==(Operand a, Operand b) { return detail::compare(0, a, b); }
inline Tensor operator!=(Operand a, Operand b) { return detail::compare(1, a, b); }
inline Tensor operator<(Operand a, Operand b) { return detail::compare(2, a, b); }
inline Tensor operator<=(Operand a, Operand b) { return detail::compare(3, a, b); }
inline Tensor operator>(Operand a, Operand b) { return detail::compare(4, a, b); }
inline Tensor operator>=(Operand a, Operand b) { return detail::compare(5, a, b); }
inline Tensor operator&(Arg a, Arg b) { return detail::logical("and", a, b); }
inline Tensor operator|(Arg a, Arg b) { return detail::logical("or", a, b); }

// a where the condition (bool) holds, else b; all three broadcast.
inline Tensor where(Arg condition, Operand a, Operand b) {
  const SourceLine &at = condition.at;
  detail::require_tensor(condition, "where", at);
  if (condition.dtype() != DType::boolean)
    fail(at, std::string("where needs a bool condition, got ") + dtype_name(condition.dtype()), {{condition.line(), "condition made here"}});
  detail::Pair p = detail::unify(a, b, "choose between", at);
  LineGuard guard(at);
  Shape shape = detail::broadcast_shape(condition, p.left, "choose with", at);
  return detail::record("select", {broadcast_to(condition, shape), broadcast_to(p.left, shape), broadcast_to(p.right, shape)}, {}, at);
}

// Converts the element type; float to integer truncates towards zero.
inline Tensor cast(Arg x, DType element) {
  detail::require_tensor(x, "cast", x.at);
  if (x.dtype() == element) return x;
  return detail::record("cast", {x}, {{"element", element}}, x.at);
}

// The same value, through which no gradient flows.
inline Tensor stop_gradient(Arg x) {
  detail::require_tensor(x, "stop_gradient", x.at);
  return detail::record("stop_gradient", {x}, {}, x.at);
}

// x sigmoid(x)
inline Tensor silu(Arg x) {
  LineGuard guard(x.at);
  return x * sigmoid(x);
}

} // namespace weft
