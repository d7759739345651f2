#include "frontends/optimisers/optimiser.h"

#include <algorithm>

#include "frontends/dsl/record.h"
#include "frontends/dsl/scope.h"

namespace weft {

Variable state_of(const Variable &parameter, const std::string &name, DType moments) {
  Variable v = parameter;
  v.path = "optimizer." + name + "." + parameter.path;
  // A layer's state has one name, whichever range of layers holds it.
  v.file_name = "optimizer." + name + "." + path_without_range(parameter.path) + (v.layers ? "#{}" : "");
  v.kind = VariableKind::optimizer;
  v.init = InitKind::zeros;
  v.init_scale = 0;
  v.decay = false;
  if (moments == DType::bf16) v.dtype = moments;
  return v;
}

Tensor read_state(const Variable &state, const Variable &parameter) {
  return cast(read_variable(state), parameter.dtype);
}

void update_state(const Variable &state, const Tensor &value, const Tensor &apply) {
  // Chosen before it is rounded: what was kept is the same again.
  Tensor now = apply.empty() ? value : where(apply, value, cast(read_variable(state), value.dtype()));
  write_variable(state, cast(now, state.dtype));
}

Tensor read_variable(const Variable &v, Caller at) {
  LineGuard guard(at.line);
  return {builder().variable(v), blamed_line(at.line)};
}

void write_variable(const Variable &v, Arg value) {
  LineGuard guard(value.at);
  builder().assign(v.path, value.value());
}

void update_variable(const Variable &v, Arg value, const Tensor &apply) {
  LineGuard guard(value.at);
  write_variable(v, apply.empty() ? value : Arg(where(apply, value, read_variable(v))));
}

Tensor within_limits(Arg loss, Arg loss_limit, Arg norm, Arg norm_limit) {
  LineGuard guard(loss.at);
  // Summed, so that it is one value in memory: the update's kernel then reads one scalar and not all four,
  // with which it would be too wide to be one kernel.
  auto kept = [](const Tensor &x) { return reshape(cast(x, DType::f32), {1}); };
  return sum(concat({kept(loss <= loss_limit), kept(norm <= norm_limit)}, 0), {0}) == 2;
}

namespace {

// Σ g² of `rows` (layers, n) over n, in f64: (layers).
Tensor sum_squares(const Tensor &rows, i64 axis) {
  Tensor x = cast(rows, DType::f64);
  return sum(x * x, {axis});
}

// The chunk sums of one gradient, (layers * chunks): layer by layer, the short chunk last.
Tensor chunk_sums(const Gradient &g) {
  i64 layers = g.parameter.layers > 0 ? g.gradient.dim(0) : 1, n = g.gradient.size() / layers;
  i64 chunks = n / norm_chunk, whole = chunks * norm_chunk;
  Tensor flat = reshape(g.gradient, {layers, n});
  std::vector<Tensor> sums;
  if (chunks)
    sums.push_back(
        sum_squares(reshape(slice(flat, 1, 0, whole), {layers, chunks, norm_chunk}), 2)); // (layers, chunks)
  if (n > whole) sums.push_back(reshape(sum_squares(slice(flat, 1, whole, n), 1), {layers, 1}));
  return reshape(concat(sums, 1), {-1});
}

} // namespace

Tensor global_norm(std::vector<Gradient> gradients, Caller at) {
  LineGuard guard(at.line);
  if (gradients.empty()) fail(at.line, "the global norm of no gradients: the model has no parameters");
  std::sort(gradients.begin(), gradients.end(),
            [](const Gradient &a, const Gradient &b) { return a.parameter.path < b.parameter.path; });
  std::vector<std::pair<Variable, Value>> sums;
  for (const Gradient &g : gradients) sums.push_back({g.parameter, chunk_sums(g).value()});
  Tensor total(builder().sum_over_parameters(sums), blamed_line(at.line));
  return cast(sqrt(total), DType::f32);
}

Tensor clip_scale(Arg norm, double clip) {
  LineGuard guard(norm.at);
  if (clip <= 0) return full({}, 1);
  return min(clip / norm, 1);
}

} // namespace weft
