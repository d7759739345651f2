// Root mean square normalisation (Zhang and Sennrich, 2019; arXiv:1910.07467).
#pragma once
#include "frontends/dsl/scope.h"

namespace weft {

// x / sqrt(mean(x²) + eps) * w over the last dimension.   x: (…, dim). Parameter: weight (dim), ones, no
// weight decay.
Tensor rms_norm(Scope s, Arg x, double eps = 1e-6);

} // namespace weft
