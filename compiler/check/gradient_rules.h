// Which op's own rule makes a gradient wrong.
#pragma once
#include "compiler/check/gradient_difference.h"

namespace weft {

// The first op, as the function is interpreted at the site, whose gradient alone differs from finite
// differences of it: its name, its place in the model and both numbers. "" where each agrees. `gradients` is
// of the function's module.
std::string firstWrongRule(const GradientSite &site, uint64_t seed,
                           const GradientRunner::Differentiate &differentiate, GradientRunner &gradients);

} // namespace weft
