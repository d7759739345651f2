// The values of a model: handles to graph dialect values, with the line that made them; and the operand types
// of the DSL's functions.
#pragma once
#include "frontends/dsl/line.h"

namespace weft {

const char *dtype_name(DType dtype); // "f32"
bool is_float(DType dtype);
bool is_integer(DType dtype);

// "(16, 256, 384)"; "()" for a scalar.
std::string shape_text(const Shape &shape);
i64 num_elements(const Shape &shape);

// A value of the program being traced: its shape and element type are known, its numbers are not. Copying it
// copies a handle.
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
  i64 dim(i64 i, Caller at = {}) const;

private:
  Value value_;
  SourceLine line_;
};

// A tensor operand, with the line of the call it is an operand of. A function that takes Arg instead of
// Tensor can blame its caller.
struct Arg : Tensor {
  SourceLine at;
  Arg(const Tensor &x, std::source_location where = std::source_location::current());
};

// A tensor or a number, which becomes a constant of the other operand's shape and type.
struct Operand {
  Tensor tensor;
  double number = 0;
  bool is_number = false;
  SourceLine at;
  Operand(const Tensor &x, std::source_location where = std::source_location::current());
  Operand(double x, std::source_location where = std::source_location::current());
  Operand(const Arg &x);
};

} // namespace weft
