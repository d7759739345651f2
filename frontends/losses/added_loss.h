// Losses beside the one of the model's logits.
#pragma once
#include "frontends/dsl/scope.h"

namespace weft {

// Training minimises the mean negative log-probability of the targets plus weight * sum(values) / (number of
// valid targets of the global batch).   values: (batch, …) f32, whose rows each depend on one sequence alone,
// so that how the batch is cut shows in no bit (docs/numerics.md). What training does not ask for is ignored:
// so is the whole call in evaluation and generation.
//
// `name`, of a-z, 0-9 and _, is the metric under which sum(values) / (number of valid targets) is reported,
// without the weight. Not inside the body of a repeat, whose tensors end with it.
void add_loss(const Scope &s, const std::string &name, Arg values, double weight);

} // namespace weft
