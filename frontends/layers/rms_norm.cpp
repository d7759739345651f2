#include "frontends/layers/rms_norm.h"

#include "frontends/dsl/record.h"

namespace weft {

Tensor rms_norm(Scope s, Arg x, double eps) {
  LayerGuard guard(s, x.at);
  detail::require_float(x, "rms_norm", x.at);
  Tensor scale = rsqrt(mean(x * x, {-1}, true) + eps); // (…, 1)
  return x * scale * parameter(s, "weight", {x.dim(-1)}, {InitKind::ones}, false);
}

} // namespace weft
