// The gated feed-forward of Llama (Shazeer, 2020; arXiv:2002.05202).
#pragma once
#include "frontends/layers/linear.h"

namespace weft {

struct SwigluOptions {
  Init init = normal(0.02);
  Init output_init = normal(0.02); // of down_proj
};

// down(silu(gate(x)) * up(x)).   x: (…, dim), inside (…, ffn)
Tensor swiglu(Scope s, Arg x, i64 ffn, SwigluOptions o = {});

} // namespace weft
