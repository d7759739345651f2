#include "frontends/optimisers/sgd.h"

namespace weft {

void sgd(const std::vector<Gradient> &gradients, Arg lr, Arg scale, const SgdOptions &o,
         const Tensor &apply) {
  LineGuard guard(lr.at);
  for (const Gradient &gradient : gradients) {
    const Variable &parameter = gradient.parameter;
    Tensor direction = gradient.gradient * scale;
    if (o.momentum != 0) {
      Variable state = state_of(parameter, "momentum", o.moments);
      direction = read_state(state, parameter) * o.momentum + direction;
      update_state(state, direction, apply);
    }
    Tensor p = read_variable(parameter);
    if (parameter.decay && o.weight_decay != 0) p = p * (1 - lr * o.weight_decay);
    update_variable(parameter, p - direction * lr, apply);
  }
}

} // namespace weft
