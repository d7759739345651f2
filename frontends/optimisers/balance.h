// Load balancing of experts without an auxiliary loss (Wang et al., 2024, arXiv:2408.15664; DeepSeek-V3,
// arXiv:2412.19437, section 2.1.2).
#pragma once
#include "frontends/optimisers/optimiser.h"

namespace weft {

// One step of the parameters that balance_bias made, whose `gradients` are loads of the global batch, (…,
// experts): b = b + rate where an expert's load is below the mean of its layer's, - rate where it is above.
void balance(const std::vector<Gradient> &gradients, const Tensor &apply);

} // namespace weft
