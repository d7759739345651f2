// Stochastic gradient descent with momentum and decoupled weight decay.
#pragma once
#include "frontends/optimisers/optimiser.h"

namespace weft {

struct SgdOptions {
  double momentum = 0.9; // 0: none, and no state
  double weight_decay = 0;
  DType moments = DType::f32; // what b is kept in between steps: f32 or bf16
};

// One step: b = momentum b + g, p = p (1 - lr wd) - lr b, with g the gradient times `scale`; lr and scale are
// scalars, f32. Written where `apply` holds (update_variable).
void sgd(const std::vector<Gradient> &gradients, Arg lr, Arg scale, const SgdOptions &options = {},
         const Tensor &apply = {});

} // namespace weft
