#include "frontends/optimisers/balance.h"

#include "frontends/dsl/record.h"

namespace weft {

void balance(const std::vector<Gradient> &gradients, const Tensor &apply) {
  for (const Gradient &g : gradients) {
    double rate = g.parameter.balance_rate;
    Tensor load = g.gradient, average = mean(load, {-1}, true);
    Tensor change = where(load < average, full(load.shape(), rate), 0.0) -
                    where(load > average, full(load.shape(), rate), 0.0);
    update_variable(g.parameter, read_variable(g.parameter) + change, apply);
  }
}

} // namespace weft
