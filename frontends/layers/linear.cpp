#include "frontends/layers/linear.h"

#include "frontends/dsl/record.h"

namespace weft {

Tensor linear(Scope s, Arg x, i64 features, LinearOptions options) {
  LayerGuard guard(s, x.at);
  detail::require_float(x, "linear", x.at);
  if (x.rank() < 1) fail(x.at, "linear of a scalar", {{x.line(), "operand made here"}});
  Tensor weight = parameter(s, "weight", {features, x.dim(-1)}, options.init, true);
  Shape shape = x.shape();
  shape.back() = features;
  Tensor rows = x.rank() == 1 ? reshape(x, {1, -1}) : Tensor(x);
  Tensor y = reshape(matmul(rows, weight, {.transpose_rhs = true}), shape);
  return options.bias ? y + parameter(s, "bias", {features}, {InitKind::zeros}, false) : y;
}

} // namespace weft
