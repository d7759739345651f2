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

struct StepLoss {
  std::string name;
  Tensor value; // scalar, nats a target of the global batch
};

// Sums over micro-batches of loss(sequence, targets), with what the model adds, and of the gradients of all
// of it. The graph: a function of one micro-batch, differentiated and repeated.
std::vector<StepLoss> accumulate(const ModelInfo &model, const ProgramOptions &options,
                                 const std::vector<Tensor> &micro, const Tensor &inverse_targets,
                                 std::vector<Gradient> &gradients) {
  std::vector<Value> like;
  for (const Tensor &input : micro) {
    like.push_back(input.value());
    like.back().shape = {options.micro_batch, options.seq}; // of one micro-batch
  }
  SourceLine here = source_line(std::source_location::current());
  std::vector<Tensor> x;
  for (Value &value : builder().begin_function("micro_batch", like)) x.emplace_back(std::move(value), here);

  Sequence seq = make_sequence(x[0], x[1], x[2]);
  seq.targets = x[3];
  std::vector<AddedLoss> added;
  Tensor logits = call_model(model, options, seq, {}, &added);
  // Scaled before it is summed: a sum of shards is then the same however many of them a micro-batch holds.
  // Summed over each sequence, then over sequences as a column: one chain that the next micro-batch
  // continues.
  auto of_sequences = [&](const Tensor &values, const Tensor &scale) { // (micro_batch, …) -> (micro_batch, 1)
    return sum(reshape(values, {options.micro_batch, -1}) * scale, {1}, true);
  };
  auto total = [&](const Tensor &sequences) { return reshape(sum(sequences, {0}), {}); };
  Tensor main = of_sequences(cross_entropy(logits, x[3]).logprobs, -inverse_targets), objective = main;
  std::vector<Value> sums_of_batch;
  for (const AddedLoss &loss : added) {
    if (loss.values.shape()[0] != options.micro_batch)
      fail(loss.values.line(), "the values of the added loss " + loss.name + " are " +
                                   shape_text(loss.values.shape()) + " when they should be (" +
                                   std::to_string(options.micro_batch) + ", …), a row a sequence");
    Tensor sequences = of_sequences(loss.values, inverse_targets);
    objective = objective + sequences * loss.weight;
    sums_of_batch.push_back(total(sequences).value());
  }
  // What is minimised, and where it is not that alone, its parts.
  if (!added.empty()) sums_of_batch.insert(sums_of_batch.begin(), total(main).value());
  sums_of_batch.insert(sums_of_batch.begin(), total(objective).value());
  int function = builder().end_function(sums_of_batch);

  std::vector<Value> inputs;
  for (const Tensor &input : micro) inputs.push_back(input.value());
  std::vector<std::pair<Variable, Value>> pairs;
  LineGuard guard(here);
  std::vector<Value> sums = builder().accumulate_gradients(function, inputs, pairs);
  for (auto &[variable, value] : pairs) {
    gradients.push_back({variable, Tensor(value, here)});
    gradients.back().parameter.shape = value.shape;
  }
  std::vector<StepLoss> losses{{"loss", Tensor(sums.at(added.empty() ? 0 : 1), here)}};
  for (size_t i = 0; i < added.size(); ++i) losses.push_back({added[i].name, Tensor(sums.at(2 + i), here)});
  return losses;
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
  std::vector<StepLoss> losses = accumulate(model, options, micro, inverse_targets, gradients);
  builder().set_path("optimizer");
  auto trained = std::stable_partition(gradients.begin(), gradients.end(),
                                       [](const Gradient &g) { return g.parameter.balance_rate == 0; });
  std::vector<Gradient> loads(trained, gradients.end());
  gradients.erase(trained, gradients.end());
  Tensor norm = global_norm(gradients), scale = clip_scale(norm, o.clip);
  Tensor apply = within_limits(losses.front().value, loss_limit, norm, norm_limit);
  if (o.name == "adamw")
    adamw(gradients, lr, step, scale, {o.beta1, o.beta2, o.eps, o.weight_decay, o.moments}, apply);
  else
    sgd(gradients, lr, scale, {o.momentum, o.weight_decay, o.moments}, apply);
  for (const Gradient &g : loads) {
    declare_output("expert_load." + g.parameter.path, g.gradient);
    declare_output("expert_bias." + g.parameter.path, read_variable(g.parameter));
  }
  balance(loads, apply);
  builder().set_path("");

  for (const StepLoss &loss : losses) declare_output(loss.name, loss.value);
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
