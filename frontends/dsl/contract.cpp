#include "frontends/dsl/contract.h"

#include "frontends/dsl/record.h"

namespace weft {
namespace detail {
Tensor reduce(i64 kind, const char *what, const Arg &x, std::vector<i64> axes, bool keepdims) {
  require_tensor(x, what, x.at);
  refuse_bf16(x, what, x.at);
  if (axes.empty())
    for (i64 i = 0; i < x.rank(); ++i) axes.push_back(i);
  std::vector<bool> reduced(x.rank(), false);
  for (i64 axis : axes) reduced[normal_axis(axis, x.rank(), what, x, x.at)] = true;
  LineGuard guard(x.at);
  Shape kept;
  std::vector<i64> tail, other;
  i64 run = x.rank();
  while (run > 0 && reduced[run - 1]) --run;
  for (i64 i = 0; i < x.rank(); ++i) {
    if (reduced[i]) (i >= run ? tail : other).push_back(i);
    if (!reduced[i] || keepdims) kept.push_back(reduced[i] ? 1 : x.shape()[i]);
  }
  Tensor result = x;
  if (!tail.empty()) result = record("reduce", {result}, {{"kind", kind}, {"axes", tail}}, x.at);
  if (!other.empty()) result = record("reduce", {result}, {{"kind", kind}, {"axes", other}}, x.at);
  return reshape(result, kept);
}

} // namespace detail
Tensor sum(Arg x, const std::vector<i64> &axes, bool keepdims) {
  return detail::reduce(0, "sum", x, axes, keepdims);
}
Tensor max_along(Arg x, const std::vector<i64> &axes, bool keepdims) {
  return detail::reduce(1, "max_along", x, axes, keepdims);
}
Tensor mean(Arg x, const std::vector<i64> &axes, bool keepdims) {
  detail::require_float(x, "mean", x.at);
  LineGuard guard(x.at);
  Tensor total = sum(x, axes, keepdims);
  return total / (static_cast<double>(x.size()) / static_cast<double>(total.size() ? total.size() : 1));
}

Tensor matmul(Arg a, Arg b, MatmulOptions options) {
  const SourceLine &at = a.at;
  detail::require_float(a, "matmul", at);
  detail::require_float(b, "matmul", at);
  bool good = a.dtype() == b.dtype() && a.rank() >= 2 && b.rank() >= 2;
  bool rows = good && b.rank() == 2 && a.rank() > 2; // one matrix for all rows
  good = good && (rows ? !options.transpose_lhs : a.rank() == b.rank());
  for (i64 i = 0; good && !rows && i + 2 < a.rank(); ++i) good = a.shape()[i] == b.shape()[i];
  good = good && a.dim(options.transpose_lhs ? -2 : -1) == b.dim(options.transpose_rhs ? -1 : -2);
  if (!good)
    fail(at,
         std::string("cannot multiply matrices ") + dtype_name(a.dtype()) + " " + shape_text(a.shape()) +
             (options.transpose_lhs ? " transposed" : "") + " and " + dtype_name(b.dtype()) + " " +
             shape_text(b.shape()) + (options.transpose_rhs ? " transposed" : ""),
         {{a.line(), "left operand made here"}, {b.line(), "right operand made here"}});
  std::vector<Attribute> attributes;
  if (options.transpose_lhs) attributes.push_back({"transpose_lhs", true});
  if (options.transpose_rhs) attributes.push_back({"transpose_rhs", true});
  if (options.full_precision) attributes.push_back({"graph.full_precision", true});
  return detail::record("matmul", {a, b}, attributes, at);
}

Tensor gather(Arg table, Arg indices) {
  detail::require_tensor(table, "gather", table.at);
  detail::require_int(indices, "gather's index", table.at);
  if (table.rank() < 1) fail(table.at, "gather from a scalar", {{table.line(), "table made here"}});
  return detail::record("gather", {table, indices}, {}, table.at);
}

Tensor write_rows(Arg dest, Arg slots, Arg updates) {
  const SourceLine &at = dest.at;
  detail::require_tensor(dest, "write_rows", at);
  detail::require_int(slots, "write_rows' slot tensor", at);
  detail::require_tensor(updates, "write_rows", at);
  const Shape &d = dest.shape(), &u = updates.shape();
  bool good = d.size() >= 2 && u.size() == d.size() && dest.dtype() == updates.dtype() && u[0] == d[0] &&
              slots.shape() == Shape{u[0], u[1]};
  for (size_t i = 2; good && i < d.size(); ++i) good = d[i] == u[i];
  if (!good)
    fail(at,
         "cannot write rows " + shape_text(u) + " at slots " + shape_text(slots.shape()) + " of " +
             shape_text(d),
         {{dest.line(), "destination made here"}, {updates.line(), "rows made here"}});
  return detail::record("write_rows", {dest, slots, updates}, {}, at);
}

AttentionResult attend(Arg q, Arg k, Arg v, Arg begin, Arg end, double scale) {
  const SourceLine &at = q.at;
  for (const Arg *x : {&q, &k, &v}) detail::require_float(*x, "attention", at);
  for (const Arg *x : {&begin, &end}) detail::require_int(*x, "attention's key range", at);
  const Shape &a = q.shape(), &b = k.shape(), &c = v.shape();
  bool good = a.size() == 4 && b.size() == 4 && c.size() == 4 && a[0] == b[0] && a[3] == b[3] &&
              b[0] == c[0] && b[1] == c[1] && b[2] == c[2];
  good = good && b[2] > 0 && a[2] % b[2] == 0;
  if (!good)
    fail(at,
         "attention of queries " + shape_text(a) + ", keys " + shape_text(b) + " and values " +
             shape_text(c) + ": should be (B, T, H, D), (B, S, G, D) and (B, S, G, E) with H a multiple of G",
         {{q.line(), "queries made here"}, {k.line(), "keys made here"}, {v.line(), "values made here"}});
  for (const Arg *x : {&begin, &end})
    if (x->shape() != Shape{a[0], a[1]})
      fail(at,
           "attention's key range is " + shape_text(x->shape()) + " when it should be " +
               shape_text({a[0], a[1]}),
           {{x->line(), "range made here"}, {q.line(), "queries made here"}});
  std::vector<Tensor> results =
      detail::record_all("attention", {q, k, v, begin, end}, {{"scale", scale}}, at);
  return {results.at(0), results.at(1)};
}

} // namespace weft
