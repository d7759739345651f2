#include "frontends/dsl/elementwise.h"

#include "frontends/dsl/record.h"

namespace weft {

Tensor broadcast_to(Arg x, const Shape &shape) {
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
    fail(x.at, "cannot broadcast " + shape_text(x.shape()) + " to " + shape_text(shape),
         {{x.line(), "operand made here"}});
  return detail::record("broadcast", {x}, {{"dims", dims}, {"shape", shape}}, x.at);
}

Tensor full(const Shape &shape, double value, DType dtype, Caller at) {
  return detail::constant(dtype, shape, {value}, at.line);
}

namespace detail {

Shape broadcast_shape(const Tensor &a, const Tensor &b, const char *verb, const SourceLine &at) {
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

Tensor number_as(double number, const Tensor &other, const char *verb, const SourceLine &at) {
  if (!is_float(other.dtype()) && number != static_cast<double>(static_cast<i64>(number)))
    fail(at,
         std::string("cannot ") + verb + " " + dtype_name(other.dtype()) + " " + shape_text(other.shape()) +
             " and " + std::to_string(number) + ": not a whole number",
         {{other.line(), "operand made here"}});
  return constant(other.dtype(), other.shape(), {number}, at);
}

Pair unify(const Operand &a, const Operand &b, const char *verb, const SourceLine &at) {
  if (a.is_number && b.is_number)
    fail(at, std::string("cannot ") + verb + " two numbers into a tensor: make one with full()");
  if (!a.is_number) require_tensor(a.tensor, verb, at);
  if (!b.is_number) require_tensor(b.tensor, verb, at);
  for (const Operand *x : {&a, &b})
    if (!x->is_number) refuse_bf16(x->tensor, verb, at);
  if (a.is_number) return {number_as(a.number, b.tensor, verb, at), b.tensor};
  if (b.is_number) return {a.tensor, number_as(b.number, a.tensor, verb, at)};
  const Tensor &x = a.tensor, &y = b.tensor;
  if (x.dtype() != y.dtype())
    fail(at,
         std::string("cannot ") + verb + " " + dtype_name(x.dtype()) + " " + shape_text(x.shape()) + " and " +
             dtype_name(y.dtype()) + " " + shape_text(y.shape()) + ": cast one of them",
         {{x.line(), "left operand made here"}, {y.line(), "right operand made here"}});
  LineGuard guard(at);
  Shape shape = broadcast_shape(x, y, verb, at);
  return {broadcast_to(x, shape), broadcast_to(y, shape)};
}

} // namespace detail

namespace {
Tensor unary(const char *name, const Arg &x) {
  detail::require_float(x, name, x.at);
  return detail::record(name, {x}, {}, x.at);
}
Tensor binary(const char *name, const char *verb, const Operand &a, const Operand &b) {
  detail::Pair p = detail::unify(a, b, verb, a.at);
  bool logical = name == std::string_view("and") || name == std::string_view("or");
  if (p.left.dtype() == DType::boolean && !logical)
    fail(a.at, std::string("cannot ") + verb + " bool tensors: cast them first",
         {{p.left.line(), "left operand made here"}});
  return detail::record(name, {p.left, p.right}, {}, a.at);
}
Tensor compare(i64 predicate, const Operand &a, const Operand &b) {
  detail::Pair p = detail::unify(a, b, "compare", a.at);
  return detail::record("compare", {p.left, p.right}, {{"predicate", predicate}}, a.at);
}
Tensor logical(const char *name, const Arg &a, const Arg &b) {
  for (const Arg *x : {&a, &b})
    if (x->dtype() != DType::boolean)
      fail(a.at, std::string("logical ") + name + " needs bool, got " + dtype_name(x->dtype()),
           {{x->line(), "operand made here"}});
  return binary(name, name, a, b);
}
} // namespace

Tensor operator-(Arg x) { return unary("neg", x); }
Tensor exp(Arg x) { return unary("exp", x); }
Tensor log(Arg x) { return unary("log", x); }
Tensor sqrt(Arg x) { return unary("sqrt", x); }
Tensor rsqrt(Arg x) { return unary("rsqrt", x); }
Tensor tanh(Arg x) { return unary("tanh", x); }
Tensor sigmoid(Arg x) { return unary("sigmoid", x); }
Tensor sin(Arg x) { return unary("sin", x); }
Tensor cos(Arg x) { return unary("cos", x); }
Tensor abs(Arg x) { return unary("abs", x); }

Tensor operator+(Operand a, Operand b) { return binary("add", "add", a, b); }
Tensor operator-(Operand a, Operand b) { return binary("sub", "subtract", a, b); }
Tensor operator*(Operand a, Operand b) { return binary("mul", "multiply", a, b); }
Tensor operator/(Operand a, Operand b) {
  if (!a.is_number) detail::require_float(a.tensor, "division", a.at);
  return binary("div", "divide", a, b);
}
Tensor max(Operand a, Operand b) { return binary("max", "take the maximum of", a, b); }
Tensor min(Operand a, Operand b) { return binary("min", "take the minimum of", a, b); }
Tensor pow(Operand a, Operand b) { return binary("pow", "raise to a power", a, b); }

Tensor operator==(Operand a, Operand b) { return compare(0, a, b); }
Tensor operator!=(Operand a, Operand b) { return compare(1, a, b); }
Tensor operator<(Operand a, Operand b) { return compare(2, a, b); }
Tensor operator<=(Operand a, Operand b) { return compare(3, a, b); }
Tensor operator>(Operand a, Operand b) { return compare(4, a, b); }
Tensor operator>=(Operand a, Operand b) { return compare(5, a, b); }
Tensor operator&(Arg a, Arg b) { return logical("and", a, b); }
Tensor operator|(Arg a, Arg b) { return logical("or", a, b); }

Tensor where(Arg condition, Operand a, Operand b) {
  const SourceLine &at = condition.at;
  detail::require_tensor(condition, "where", at);
  if (condition.dtype() != DType::boolean)
    fail(at, std::string("where needs a bool condition, got ") + dtype_name(condition.dtype()),
         {{condition.line(), "condition made here"}});
  detail::Pair p = detail::unify(a, b, "choose between", at);
  LineGuard guard(at);
  Shape shape = detail::broadcast_shape(condition, p.left, "choose with", at);
  return detail::record(
      "select", {broadcast_to(condition, shape), broadcast_to(p.left, shape), broadcast_to(p.right, shape)},
      {}, at);
}

Tensor cast(Arg x, DType element) {
  detail::require_tensor(x, "cast", x.at);
  if (x.dtype() == element) return x;
  return detail::record("cast", {x}, {{"element", element}}, x.at);
}

Tensor stop_gradient(Arg x) {
  detail::require_tensor(x, "stop_gradient", x.at);
  return detail::record("stop_gradient", {x}, {}, x.at);
}

Tensor silu(Arg x) {
  LineGuard guard(x.at);
  return x * sigmoid(x);
}

} // namespace weft
