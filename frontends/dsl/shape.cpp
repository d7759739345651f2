#include "frontends/dsl/shape.h"

#include "frontends/dsl/record.h"

namespace weft {

Tensor table(const Shape &shape, const std::vector<double> &values, DType dtype, Caller at) {
  if (static_cast<i64>(values.size()) != num_elements(shape))
    fail(at.line, "a table of shape " + shape_text(shape) + " needs " + std::to_string(num_elements(shape)) +
                      " values, got " + std::to_string(values.size()));
  return detail::constant(dtype, shape, values, at.line);
}

Tensor iota(const Shape &shape, i64 axis, DType dtype, Caller at) {
  i64 rank = static_cast<i64>(shape.size());
  if (axis < -rank || axis >= rank)
    fail(at.line, "iota: axis " + std::to_string(axis) + " of shape " + shape_text(shape));
  return detail::record(
      "iota", {}, {{"shape", shape}, {"element", dtype}, {"axis", axis < 0 ? axis + rank : axis}}, at.line);
}

Tensor reshape(Arg x, Shape shape) {
  detail::require_tensor(x, "reshape", x.at);
  Shape asked = shape;
  i64 known = 1, *open = nullptr;
  bool good = true;
  for (i64 &dim : shape) {
    if (dim == -1) {
      good = good && !open;
      open = &dim;
    } else {
      good = good && dim >= 0;
      known *= dim;
    }
  }
  if (open && known > 0 && x.size() % known == 0) *open = x.size() / known;
  if (!good || num_elements(shape) != x.size() || (open && *open < 0))
    fail(x.at,
         "cannot reshape " + shape_text(x.shape()) + " to " + shape_text(asked) + ": " +
             std::to_string(x.size()) + " elements",
         {{x.line(), "operand made here"}});
  if (shape == x.shape()) return x;
  return detail::record("reshape", {x}, {{"shape", shape}}, x.at);
}

Tensor transpose(Arg x, const std::vector<i64> &permutation) {
  detail::require_tensor(x, "transpose", x.at);
  std::vector<i64> normal;
  uint64_t seen = 0;
  for (i64 axis : permutation) {
    normal.push_back(detail::normal_axis(axis, x.rank(), "transpose", x, x.at));
    seen |= uint64_t{1} << normal.back();
  }
  if (static_cast<i64>(normal.size()) != x.rank() || seen != (uint64_t{1} << x.rank()) - 1)
    fail(x.at,
         "transpose of " + shape_text(x.shape()) + ": " + shape_text(permutation) +
             " is not a permutation of its dimensions",
         {{x.line(), "operand made here"}});
  return detail::record("transpose", {x}, {{"permutation", normal}}, x.at);
}

Tensor slice(Arg x, const Shape &offsets, const Shape &sizes) {
  detail::require_tensor(x, "slice", x.at);
  bool good = offsets.size() == x.shape().size() && sizes.size() == x.shape().size();
  for (size_t i = 0; good && i < sizes.size(); ++i)
    good = offsets[i] >= 0 && sizes[i] >= 0 && offsets[i] + sizes[i] <= x.shape()[i];
  if (!good)
    fail(x.at,
         "slice at " + shape_text(offsets) + " of size " + shape_text(sizes) + " is not inside " +
             shape_text(x.shape()),
         {{x.line(), "operand made here"}});
  if (sizes == x.shape()) return x;
  return detail::record("slice", {x}, {{"offsets", offsets}, {"sizes", sizes}}, x.at);
}

Tensor slice(Arg x, i64 axis, i64 begin, i64 end) {
  detail::require_tensor(x, "slice", x.at);
  axis = detail::normal_axis(axis, x.rank(), "slice", x, x.at);
  Shape offsets(x.shape().size(), 0), sizes = x.shape();
  offsets[axis] = begin;
  sizes[axis] = end - begin;
  return slice(x, offsets, sizes);
}

Tensor pad(Arg x, const Shape &low, const Shape &high) {
  detail::require_tensor(x, "pad", x.at);
  if (low.size() != x.shape().size() || high.size() != x.shape().size())
    fail(x.at,
         "pad of " + shape_text(x.shape()) + " by " + shape_text(low) + " and " + shape_text(high) +
             ": one number a dimension",
         {{x.line(), "operand made here"}});
  return detail::record("pad", {x}, {{"low", low}, {"high", high}}, x.at);
}

Tensor concat(const std::vector<Tensor> &inputs, i64 axis, Caller at) {
  if (inputs.empty()) fail(at.line, "concat of no tensors");
  const Tensor &first = inputs[0];
  detail::require_tensor(first, "concat", at.line);
  axis = detail::normal_axis(axis, first.rank(), "concat", first, at.line);
  for (const Tensor &x : inputs) {
    detail::require_tensor(x, "concat", at.line);
    bool good = x.rank() == first.rank() && x.dtype() == first.dtype();
    for (i64 i = 0; good && i < x.rank(); ++i) good = i == axis || x.shape()[i] == first.shape()[i];
    if (!good)
      fail(at.line,
           std::string("cannot concat ") + dtype_name(first.dtype()) + " " + shape_text(first.shape()) +
               " and " + dtype_name(x.dtype()) + " " + shape_text(x.shape()) + " along axis " +
               std::to_string(axis),
           {{first.line(), "first operand made here"}, {x.line(), "other operand made here"}});
  }
  if (inputs.size() == 1) return first;
  return detail::record("concat", inputs, {{"axis", axis}}, at.line);
}

} // namespace weft
