#include "frontends/layers/swiglu.h"

#include "frontends/dsl/record.h"

namespace weft {

Tensor swiglu(Scope s, Arg x, i64 ffn, SwigluOptions o) {
  LayerGuard guard(s, x.at);
  Tensor gate = linear(s / "gate_proj", x, ffn, {.init = o.init}),
         up = linear(s / "up_proj", x, ffn, {.init = o.init});
  return linear(s / "down_proj", silu(gate) * up, x.dim(-1), {.init = o.output_init});
}

} // namespace weft
