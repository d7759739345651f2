// Adam with decoupled weight decay (Loshchilov and Hutter, 2019; arXiv:1711.05101), as PyTorch's AdamW
// computes it.
#pragma once
#include "frontends/optimisers/optimiser.h"

namespace weft {

struct AdamwOptions {
  double beta1 = 0.9, beta2 = 0.95, eps = 1e-8;
  double weight_decay = 0.1; // of parameters with `decay`
  DType moments =
      DType::f32; // what m and v are kept in between steps (DeepSeek-V3: bf16; arXiv:2412.19437, 3.3)
};

// One step: m = β1 m + (1 - β1) g, v = β2 v + (1 - β2) g², p = p (1 - lr wd) - lr / (1 - β1^t) m / (sqrt(v /
// (1 - β2^t)) + eps), with g the gradient times `scale`. lr, step (t, from 1) and scale are scalars, f32.
// Writes the parameters and their states m and v, where `apply` holds (update_variable). p is made of m and v
// before they are rounded to what they are kept in.
void adamw(const std::vector<Gradient> &gradients, Arg lr, Arg step, Arg scale,
           const AdamwOptions &options = {}, const Tensor &apply = {});

} // namespace weft
