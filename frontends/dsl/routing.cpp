#include "frontends/dsl/routing.h"

#include "frontends/dsl/contract.h"
#include "frontends/dsl/record.h"

namespace weft {

TopK top_k(Arg x, i64 k) {
  detail::require_float(x, "top_k", x.at);
  if (x.rank() < 1 || k < 1 || k > x.dim(-1))
    fail(x.at,
         "the " + std::to_string(k) + " largest of " + shape_text(x.shape()) +
             ": should be 1 or more, and at most the last dimension",
         {{x.line(), "operand made here"}});
  std::vector<Tensor> results = detail::record_all("top_k", {x}, {{"k", k}}, x.at);
  return {results.at(0), results.at(1)};
}

Tensor take_along(Arg x, Arg indices) {
  detail::require_float(x, "take_along", x.at);
  detail::require_int(indices, "take_along's index", x.at);
  Shape outer(x.shape().begin(), x.shape().end() - (x.rank() ? 1 : 0)), of = indices.shape();
  if (!of.empty()) of.pop_back();
  if (x.rank() < 1 || indices.rank() != x.rank() || of != outer)
    fail(x.at,
         "cannot take along the last dimension of " + shape_text(x.shape()) + " at " +
             shape_text(indices.shape()),
         {{x.line(), "operand made here"}, {indices.line(), "indices made here"}});
  LineGuard guard(x.at);
  Shape wide = indices.shape(); // (…, k, n)
  wide.push_back(x.dim(-1));
  Shape rows = outer, column = indices.shape();
  rows.insert(rows.end(), {1, x.dim(-1)});
  column.push_back(1);
  Tensor here = iota(wide, x.rank(), indices.dtype()) == reshape(indices, column);
  return sum(where(here, broadcast_to(reshape(x, rows), wide), 0.0), {x.rank()});
}

ExpertOrder sort_by_expert(Arg indices, i64 experts) {
  detail::require_int(indices, "sort_by_expert", indices.at);
  if (indices.rank() != 2 || experts < 1)
    fail(indices.at,
         "cannot sort choices " + shape_text(indices.shape()) + " of " + std::to_string(experts) +
             " experts: should be (tokens, choices) and 1 or more",
         {{indices.line(), "choices made here"}});
  std::vector<Tensor> results = detail::record_all("sort_by_expert", {indices},
                                                   {{"experts", experts}, {"segments", i64(1)}}, indices.at);
  return {results.at(0), results.at(1), results.at(2), results.at(3), experts};
}

Tensor dispatch(Arg x, const ExpertOrder &order) {
  detail::require_tensor(x, "dispatch", x.at);
  if (x.rank() < 1 || x.dim(0) != order.place.dim(0))
    fail(x.at,
         "cannot dispatch rows of " + shape_text(x.shape()) + " when choices are " +
             shape_text(order.place.shape()),
         {{x.line(), "rows made here"}, {order.place.line(), "choices sorted here"}});
  return detail::record("dispatch", {x, order.token, order.place}, {}, x.at);
}

Tensor dispatch_choices(Arg gates, const ExpertOrder &order) {
  detail::require_float(gates, "dispatch_choices", gates.at);
  if (gates.shape() != order.place.shape())
    fail(gates.at,
         "cannot dispatch numbers of choices " + shape_text(gates.shape()) + " when choices are " +
             shape_text(order.place.shape()),
         {{gates.line(), "numbers made here"}, {order.place.line(), "choices sorted here"}});
  LineGuard guard(gates.at);
  i64 places = gates.size();
  return detail::record(
      "dispatch", {reshape(gates, {places}), order.order, reshape(order.place, {places, 1})}, {}, gates.at);
}

Tensor collect(Arg y, const ExpertOrder &order) {
  detail::require_float(y, "collect", y.at);
  if (y.rank() < 1 || y.dim(0) != order.token.dim(0))
    fail(y.at,
         "cannot collect rows of " + shape_text(y.shape()) + " when there are " +
             std::to_string(order.token.dim(0)) + " places",
         {{y.line(), "rows made here"}, {order.token.line(), "choices sorted here"}});
  return detail::record("collect", {y, order.place, order.token}, {}, y.at);
}

Tensor grouped_linear(Arg x, Arg weights, const ExpertOrder &order) {
  detail::require_float(x, "grouped_linear", x.at);
  detail::require_float(weights, "grouped_linear", x.at);
  if (x.rank() != 2 || weights.rank() != 3 || x.dim(0) != order.token.dim(0) ||
      weights.dim(0) != order.experts || weights.dim(2) != x.dim(1) || x.dtype() != weights.dtype())
    fail(x.at,
         "cannot multiply rows " + shape_text(x.shape()) + " by the experts' matrices " +
             shape_text(weights.shape()) + ": should be (" + std::to_string(order.token.dim(0)) +
             ", in) and (" + std::to_string(order.experts) + ", out, in)",
         {{x.line(), "rows made here"}, {weights.line(), "matrices made here"}});
  return detail::record("grouped_matmul", {x, weights, order.offsets}, {{"transpose_rhs", true}}, x.at);
}

} // namespace weft
