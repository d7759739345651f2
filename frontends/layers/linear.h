// y = x Wᵀ + b
#pragma once
#include "frontends/dsl/scope.h"

namespace weft {

struct LinearOptions {
  bool bias = false;
  Init init = normal(0.02); // of the weight; the bias starts at zero
};

// x: (…, in)  ->  (…, features). Parameters: weight (features, in) as Hugging Face keeps it, with weight
// decay; bias (features), without.
Tensor linear(Scope s, Arg x, i64 features, LinearOptions options = {});

} // namespace weft
