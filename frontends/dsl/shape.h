// Operators that make tensors from nothing, or move elements without arithmetic.
#pragma once
#include "frontends/dsl/elementwise.h"

namespace weft {

// A constant with the given values, row-major: a small table.
Tensor table(const Shape &shape, const std::vector<double> &values, DType dtype = DType::f32, Caller at = {});

// 0, 1, 2, … along `axis` of a tensor of the given shape.
Tensor iota(const Shape &shape, i64 axis, DType dtype = DType::i32, Caller at = {});

// The same elements, row-major, in another shape; one dimension may be -1.
Tensor reshape(Arg x, Shape shape);

// Output dimension i is input dimension permutation[i].
Tensor transpose(Arg x, const std::vector<i64> &permutation);

// The box [offsets, offsets + sizes).
Tensor slice(Arg x, const Shape &offsets, const Shape &sizes);

// Elements [begin, end) of one axis.
Tensor slice(Arg x, i64 axis, i64 begin, i64 end);

// Zeros around: low[i] before and high[i] after dimension i.
Tensor pad(Arg x, const Shape &low, const Shape &high);

// Joins tensors along an axis; their other dimensions and their types agree.
Tensor concat(const std::vector<Tensor> &inputs, i64 axis, Caller at = {});

} // namespace weft
