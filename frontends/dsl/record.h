// For the functions of the DSL and its layers: checks of operands, and the recording of graph ops.
#pragma once
#include "frontends/dsl/tensor.h"

namespace weft::detail {

void require_tensor(const Tensor &x, const char *what, const SourceLine &at);
// bf16 is for keeping.
void refuse_bf16(const Tensor &x, const char *what, const SourceLine &at);
void require_float(const Tensor &x, const char *what, const SourceLine &at);
void require_int(const Tensor &x, const char *what, const SourceLine &at);

// Records graph.<name>, blamed on `at` or on the outermost guard; all its results.
std::vector<Tensor> record_all(std::string_view name, const std::vector<Tensor> &operands,
                               const std::vector<Attribute> &attributes, const SourceLine &at);
Tensor record(std::string_view name, const std::vector<Tensor> &operands,
              const std::vector<Attribute> &attributes, const SourceLine &at);

Tensor constant(DType dtype, const Shape &shape, const std::vector<double> &values, const SourceLine &at);

// Axis `axis` of a tensor of `rank` dimensions, counted from 0.
i64 normal_axis(i64 axis, i64 rank, const char *what, const Tensor &x, const SourceLine &at);

// The common shape of two operands; an error that names both of them otherwise.
Shape broadcast_shape(const Tensor &a, const Tensor &b, const char *verb, const SourceLine &at);

Tensor number_as(double number, const Tensor &other, const char *verb, const SourceLine &at);

// Both operands in their common shape.
struct Pair {
  Tensor left, right;
};
Pair unify(const Operand &a, const Operand &b, const char *verb, const SourceLine &at);

} // namespace weft::detail
