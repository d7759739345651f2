// The training step: loss and gradients summed over micro-batches, then clipping by the global norm and the
// optimiser.
#include "frontends/losses/cross_entropy.h"
#include "frontends/optimisers/adamw.h"
#include "frontends/optimisers/balance.h"
#include "frontends/optimisers/sgd.h"
#include "frontends/programs/entry.h"

#include <algorithm>

namespace weft {
namespace {

// Sums over micro-batches of loss(sequence, targets) and of its gradients. The graph: a function of one
// micro-batch, differentiated and repeated.
Tensor accumulate(const ModelInfo &model, const ProgramOptions &options, const std::vector<Tensor> &micro,
                  const Tensor &inverse_targets, std::vector<Gradient> &gradients) {
  std::vector<Value> like;
  for (const Tensor &input : micro) {
    like.push_back(input.value());
    like.back().shape = {options.micro_batch, options.seq}; // of one micro-batch
  }
  SourceLine here = source_line(std::source_location::current());
  std::vector<Tensor> x;
  for (Value &value : builder().begin_function("micro_batch", like)) x.emplace_back(std::move(value), here);

  Tensor logits = call_model(model, options, make_sequence(x[0], x[1], x[2]));
  // Scaled before it is summed: a sum of shards is then the same however many of them a micro-batch holds.
  // Summed over each sequence, then over sequences as a column: one chain that the next micro-batch
  // continues.
  Tensor sequences =
      sum(cross_entropy(logits, x[3]).logprobs * -inverse_targets, {1}, true); // (micro_batch, 1)
  Tensor loss = reshape(sum(sequences, {0}), {});
  int function = builder().end_function({loss.value()});

  std::vector<Value> inputs;
  for (const Tensor &input : micro) inputs.push_back(input.value());
  std::vector<std::pair<Variable, Value>> pairs;
  LineGuard guard(here);
  std::vector<Value> sums = builder().accumulate_gradients(function, inputs, pairs);
  for (auto &[variable, value] : pairs) {
    gradients.push_back({variable, Tensor(value, here)});
    gradients.back().parameter.shape = value.shape;
  }
  return {sums.at(0), here};
}

} // namespace

void build_train_step(const ModelInfo &model, const ProgramOptions &options) {
  const OptimizerOptions &o = options.optimizer;
  if (o.name != "adamw" && o.name != "sgd")
    throw ModelError("unknown optimizer '" + o.name + "': should be adamw or sgd");
  builder().begin_entry("train_step");
  std::vector<Tensor> micro;
  for (const InputSpec &spec : sequence_inputs(model, options)) micro.push_back(declare_input(spec, true));
  Tensor lr = declare_input({"lr", DType::f32, {}});
  Tensor step = declare_input({"step", DType::f32, {}});
  Tensor inverse_targets = declare_input({"inverse_targets", DType::f32, {}});
  Tensor loss_limit = declare_input({"loss_limit", DType::f32, {}});
  Tensor norm_limit = declare_input({"grad_norm_limit", DType::f32, {}});

  std::vector<Gradient> gradients;
  Tensor loss = accumulate(model, options, micro, inverse_targets, gradients);
  builder().set_path("optimizer");
  auto trained = std::stable_partition(gradients.begin(), gradients.end(),
                                       [](const Gradient &g) { return g.parameter.balance_rate == 0; });
  std::vector<Gradient> loads(trained, gradients.end());
  gradients.erase(trained, gradients.end());
  Tensor norm = global_norm(gradients), scale = clip_scale(norm, o.clip);
  Tensor apply = within_limits(loss, loss_limit, norm, norm_limit);
  if (o.name == "adamw")
    adamw(gradients, lr, step, scale, {o.beta1, o.beta2, o.eps, o.weight_decay}, apply);
  else
    sgd(gradients, lr, scale, {o.momentum, o.weight_decay}, apply);
  for (const Gradient &g : loads) {
    declare_output("expert_load." + g.parameter.path, g.gradient);
    declare_output("expert_bias." + g.parameter.path, read_variable(g.parameter));
  }
  balance(loads, apply);
  builder().set_path("");

  declare_output("loss", loss);
  declare_output("grad_norm", norm);
  builder().end_entry();
}

void build_eval_step(const ModelInfo &model, const ProgramOptions &options) {
  builder().begin_entry("eval_step");
  SourceLine here = source_line(std::source_location::current());
  std::vector<Value> inputs;
  for (const InputSpec &spec : sequence_inputs(model, options)) inputs.push_back(declare_input(spec).value());
  // A function, so that pipeline stages can share it.
  std::vector<Tensor> x;
  for (Value &value : builder().begin_function("evaluate", inputs)) x.emplace_back(std::move(value), here);
  CrossEntropy result = cross_entropy(call_model(model, options, make_sequence(x[0], x[1], x[2])), x[3]);
  int function =
      builder().end_function({result.loss_sum.value(), result.num_targets.value(), result.logprobs.value()});
  LineGuard guard(here);
  std::vector<Value> results = builder().call(function, inputs);
  declare_output("loss_sum", Tensor(results.at(0), here));
  declare_output("num_targets", Tensor(results.at(1), here));
  declare_output("logprobs", Tensor(results.at(2), here));
  builder().end_entry();
}

} // namespace weft
