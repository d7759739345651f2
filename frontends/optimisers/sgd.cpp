#include "frontends/optimisers/sgd.h"

namespace weft {

void sgd(const std::vector<Gradient> &gradients, Arg lr, Arg scale, const SgdOptions &o) {
  LineGuard guard(lr.at);
  for (const Gradient &gradient : gradients) {
    const Variable &parameter = gradient.parameter;
    Tensor direction = gradient.gradient * scale;
    if (o.momentum != 0) {
      Variable state = state_of(parameter, "momentum");
      direction = read_variable(state) * o.momentum + direction;
      write_variable(state, direction);
    }
    Tensor p = read_variable(parameter);
    if (parameter.decay && o.weight_decay != 0) p = p * (1 - lr * o.weight_decay);
    write_variable(parameter, p - direction * lr);
  }
}

} // namespace weft
