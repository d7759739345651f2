#include "frontends/optimisers/adamw.h"

#include <cmath>

namespace weft {
namespace {

// 1 - beta^t without cancellation: with h = tanh(t ln(beta) / 2), it is -2h / (1 - h).
Tensor bias_correction(const Tensor &step, double beta) {
  if (beta <= 0) return full({}, 1);
  Tensor h = tanh(step * (std::log(beta) / 2));
  return h * -2 / (1 - h);
}

} // namespace

void adamw(const std::vector<Gradient> &gradients, Arg lr, Arg step, Arg scale, const AdamwOptions &o,
           const Tensor &apply) {
  LineGuard guard(lr.at);
  Tensor rate = lr / bias_correction(step, o.beta1);             // scalars
  Tensor variance_scale = rsqrt(bias_correction(step, o.beta2)); // of sqrt(v)
  Tensor keep = 1 - lr * o.weight_decay;
  for (const Gradient &gradient : gradients) {
    const Variable &parameter = gradient.parameter;
    Variable m_state = state_of(parameter, "m", o.moments), v_state = state_of(parameter, "v", o.moments);
    Tensor g = gradient.gradient * scale;
    Tensor m = read_state(m_state, parameter) * o.beta1 + g * (1 - o.beta1);
    Tensor v = read_state(v_state, parameter) * o.beta2 + g * g * (1 - o.beta2);
    Tensor p = read_variable(parameter);
    if (parameter.decay && o.weight_decay != 0) p = p * keep;
    p = p - rate * (m / (sqrt(v) * variance_scale + o.eps));
    update_state(m_state, m, apply);
    update_state(v_state, v, apply);
    update_variable(parameter, p, apply);
  }
}

} // namespace weft
