#include "frontends/dsl/record.h"

namespace weft {

const char *dtype_name(DType dtype) {
  static const char *const names[] = {"f32", "f64", "i32", "i64", "bool", "bf16"};
  return names[static_cast<int>(dtype)];
}
bool is_float(DType dtype) { return dtype == DType::f32 || dtype == DType::f64; }
bool is_integer(DType dtype) { return dtype == DType::i32 || dtype == DType::i64; }

std::string shape_text(const Shape &shape) {
  std::string text = "(";
  for (size_t i = 0; i < shape.size(); ++i) text += (i ? ", " : "") + std::to_string(shape[i]);
  return text + ")";
}
i64 num_elements(const Shape &shape) {
  i64 product = 1;
  for (i64 dim : shape) product *= dim;
  return product;
}

i64 Tensor::dim(i64 i, Caller at) const {
  if (i < -rank() || i >= rank())
    fail(at.line, "a tensor of shape " + shape_text(shape()) + " has no dimension " + std::to_string(i),
         {{line_, "made here"}});
  return value_.shape[i < 0 ? i + rank() : i];
}

Arg::Arg(const Tensor &x, std::source_location where) : Tensor(x), at(source_line(where)) {}
Operand::Operand(const Tensor &x, std::source_location where) : tensor(x), at(source_line(where)) {}
Operand::Operand(double x, std::source_location where) : number(x), is_number(true), at(source_line(where)) {}
Operand::Operand(const Arg &x) : tensor(x), at(x.at) {}

namespace detail {
void require_tensor(const Tensor &x, const char *what, const SourceLine &at) {
  if (x.empty()) fail(at, std::string(what) + " of a tensor that was never set");
}
void refuse_bf16(const Tensor &x, const char *what, const SourceLine &at) {
  if (x.dtype() == DType::bf16)
    fail(at, std::string(what) + " of bf16 " + shape_text(x.shape()) + ": cast it to f32 first",
         {{x.line(), "operand made here"}});
}
void require_float(const Tensor &x, const char *what, const SourceLine &at) {
  require_tensor(x, what, at);
  if (!is_float(x.dtype()))
    fail(at,
         std::string(what) + " needs f32 or f64, got " + dtype_name(x.dtype()) + " " + shape_text(x.shape()) +
             "; cast it first",
         {{x.line(), "operand made here"}});
}
void require_int(const Tensor &x, const char *what, const SourceLine &at) {
  require_tensor(x, what, at);
  if (!is_integer(x.dtype()))
    fail(at,
         std::string(what) + " needs i32 or i64, got " + dtype_name(x.dtype()) + " " + shape_text(x.shape()) +
             "; cast it first",
         {{x.line(), "operand made here"}});
}

std::vector<Tensor> record_all(std::string_view name, const std::vector<Tensor> &operands,
                               const std::vector<Attribute> &attributes, const SourceLine &at) {
  LineGuard guard(at);
  std::vector<Value> values;
  for (const Tensor &x : operands) values.push_back(x.value());
  std::vector<Tensor> results;
  for (Value &value : builder().op(name, values, attributes))
    results.emplace_back(std::move(value), blamed_line(at));
  return results;
}
Tensor record(std::string_view name, const std::vector<Tensor> &operands,
              const std::vector<Attribute> &attributes, const SourceLine &at) {
  return record_all(name, operands, attributes, at).at(0);
}

Tensor constant(DType dtype, const Shape &shape, const std::vector<double> &values, const SourceLine &at) {
  LineGuard guard(at);
  return {builder().constant(dtype, shape, values), blamed_line(at)};
}

i64 normal_axis(i64 axis, i64 rank, const char *what, const Tensor &x, const SourceLine &at) {
  if (axis < -rank || axis >= rank)
    fail(at, std::string(what) + ": axis " + std::to_string(axis) + " of shape " + shape_text(x.shape()),
         {{x.line(), "operand made here"}});
  return axis < 0 ? axis + rank : axis;
}

} // namespace detail
} // namespace weft
