// The values of a model: handles to graph dialect values, with the line that made them; and the operand types of the DSL's functions.
#pragma once
#include "frontends/dsl/line.h"

namespace weft {

inline const char *dtype_name(DType dtype) {
  static const char *const names[] = {"f32", "f64", "i32", "i64", "bool"};
  return names[static_cast<int>(dtype)];
}
inline bool is_float(DType dtype) { return dtype == DType::f32 || dtype == DType::f64; }
inline bool is_integer(DType dtype) { return dtype == DType::i32 || dtype == DType::i64; }

// "(16, 256, 384)"; "()" for a scalar.
inline std::string shape_text(const Shape &shape) {
  std::string text = "(";
  for (size_t i = 0; i < shape.size(); ++i) text += (i ? ", " : "") + std::to_string(shape[i]);
  return text + ")";
}
inline i64 num_elements(const Shape &shape) {
  i64 product = 1;
  for (i64 dim : shape) product *= dim;
  return product;
}

// A value of the program being traced: its shape and element type are known, its numbers are not. Copying it copies a handle.
class Tensor {
public:
  Tensor() = default; // none: an operation on it is an error
  Tensor(Value value, const SourceLine &line) : value_(std::move(value)), line_(line) {}

  const Shape &shape() const { return value_.shape; }
  i64 rank() const { return static_cast<i64>(value_.shape.size()); }
  i64 size() const { return num_elements(value_.shape); }
  DType dtype() const { return value_.dtype; }
  bool empty() const { return value_.id == UINT32_MAX; }
  const Value &value() const { return value_; }
  const SourceLine &line() const { return line_; } // the model's line that made it

  // Dimension i; negative ones count from the last: dim(-1).
  i64 dim(i64 i, Caller at = {}) const {
    if (i < -rank() || i >= rank())
      fail(at.line, "a tensor of shape " + shape_text(shape()) + " has no dimension " + std::to_string(i), {{line_, "made here"}});
    return value_.shape[i < 0 ? i + rank() : i];
  }

private:
  Value value_;
  SourceLine line_;
};

// A tensor operand, with the line of the call it is an operand of. A function that takes Arg instead of Tensor can blame its caller.
struct Arg : Tensor {
  SourceLine at;
  Arg(const Tensor &x, std::source_location where = std::source_location::current()) : Tensor(x), at(source_line(where)) {}
};

// A tensor or a number, which becomes a constant of the other operand's shape and type.
struct Operand {
  Tensor tensor;
  double number = 0;
  bool is_number = false;
  SourceLine at;
  Operand(const Tensor &x, std::source_location where = std::source_location::current()) : tensor(x), at(source_line(where)) {}
  Operand(double x, std::source_location where = std::source_location::current()) : number(x), is_number(true), at(source_line(where)) {}
  Operand(const Arg &x) : tensor(x), at(x.at) {}
};

namespace detail {

inline void require_tensor(const Tensor &x, const char *what, const SourceLine &at) {
  if (x.empty()) fail(at, std::string(what) + " of a tensor that was never set");
}
inline void require_float(const Tensor &x, const char *what, const SourceLine &at) {
  require_tensor(x, what, at);
  if (!is_float(x.dtype()))
    fail(at, std::string(what) + " needs f32 or f64, got " + dtype_name(x.dtype()) + " " + shape_text(x.shape()) + "; cast it first",
         {{x.line(), "operand made here"}});
}
inline void require_int(const Tensor &x, const char *what, const SourceLine &at) {
  require_tensor(x, what, at);
  if (!is_integer(x.dtype()))
    fail(at, std::string(what) + " needs i32 or i64, got " + dtype_name(x.dtype()) + " " + shape_text(x.shape()) + "; cast it first",
         {{x.line(), "operand made here"}});
}

// Records graph.<name>, blamed on `at` or on the outermost guard; all its results.
inline std::vector<Tensor> record_all(std::string_view name, const std::vector<Tensor> &operands, const std::vector<Attribute> &attributes,
                                      const SourceLine &at) {
  LineGuard guard(at);
  std::vector<Value> values;
  for (const Tensor &x : operands) values.push_back(x.value());
  std::vector<Tensor> results;
  for (Value &value : builder().op(name, values, attributes)) results.emplace_back(std::move(value), blamed_line(at));
  return results;
}
inline Tensor record(std::string_view name, const std::vector<Tensor> &operands, const std::vector<Attribute> &attributes,
                     const SourceLine &at) {
  return record_all(name, operands, attributes, at).at(0);
}

inline Tensor constant(DType dtype, const Shape &shape, const std::vector<double> &values, const SourceLine &at) {
  LineGuard guard(at);
  return {builder().constant(dtype, shape, values), blamed_line(at)};
}

// Axis `axis` of a tensor of `rank` dimensions, counted from 0.
inline i64 normal_axis(i64 axis, i64 rank, const char *what, const Tensor &x, const SourceLine &at) {
  if (axis < -rank || axis >= rank)
    fail(at, std::string(what) + ": axis " + std::to_string(axis) + " of shape " + shape_text(x.shape()), {{x.line(), "operand made here"}});
  return axis < 0 ? axis + rank : axis;
}

} // namespace detail
} // namespace weft
