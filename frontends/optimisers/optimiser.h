// What the optimisers share: parameters with their gradients, as accumulate_gradients gives them, and
// clipping by the global norm.
#pragma once
#include "frontends/dsl/contract.h"

namespace weft {

// Stacked when it lives in a repeat: parameter.shape and the gradient's are then (layers, …).
struct Gradient {
  Variable parameter;
  Tensor gradient;
};

// The optimiser's state `name` of a parameter: a variable "optimizer.<name>.<path>" laid out as the parameter
// is, zero at first. `moments`: what it is kept in, f32 (then a parameter of f64 has one of f64) or bf16, to
// which it is rounded at the end of each step.
Variable state_of(const Variable &parameter, const std::string &name, DType moments = DType::f32);
// As the parameter's type, whatever it is kept in; and what update_variable writes of it.
Tensor read_state(const Variable &state, const Variable &parameter);
void update_state(const Variable &state, const Tensor &value, const Tensor &apply);
Tensor read_variable(const Variable &v, Caller at = {});
void write_variable(const Variable &v, Arg value);

// Writes `value` where the scalar `apply` (bool) holds, else what is there, bit for bit, whatever `value` is.
// An empty `apply` always writes.
void update_variable(const Variable &v, Arg value, const Tensor &apply);

// Whether a step's update is to be made: loss <= loss_limit and norm <= norm_limit, all scalars f32. A NaN is
// within no limit.
Tensor within_limits(Arg loss, Arg loss_limit, Arg norm, Arg norm_limit);

// Elements summed together, in f64, before chunks are combined (docs/numerics.md: the global norm).
inline constexpr i64 norm_chunk = 65536;

// sqrt Σ g² over all gradients, f32. Each layer's gradient is flattened and cut into chunks of 65,536
// elements; their f64 sums are combined in the order of parameter path (without the ranges of repeats), layer
// and chunk, so that neither pipeline stages, nor ranges, nor sharded optimisers change a bit.
Tensor global_norm(std::vector<Gradient> gradients, Caller at = {});

// min(1, clip / norm), which the gradients are multiplied with; a clip of 0 or less gives 1. norm: scalar
// f32.
Tensor clip_scale(Arg norm, double clip);

} // namespace weft
