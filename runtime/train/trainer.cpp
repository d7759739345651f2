#include "runtime/train/trainer.h"

#include "absl/strings/str_cat.h"

#include <algorithm>
#include <chrono>
#include <set>

namespace weft {

absl::StatusOr<std::pair<int64_t, int64_t>> TokensShape(Session &session, absl::string_view entry) {
  absl::StatusOr<EntryCall> call = EntryCall::Make(session, entry);
  if (!call.ok()) return call.status();
  // A later pipeline stage may take targets or documents alone.
  for (const char *name : {"tokens", "targets", "documents", "positions"})
    if (const fb::Argument *argument = call->Find(name);
        argument && argument->shape() && argument->shape()->size() == 2)
      return std::pair(argument->shape()->Get(0), argument->shape()->Get(1));
  return absl::FailedPreconditionError(
      absl::StrCat("entry '", entry, "' has no argument 'tokens' of shape (micro_batch, seq)"));
}

namespace {

int64_t NowNs() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

// Further scalars that train_step gives, whose names can stand in metrics.jsonl.
std::vector<std::string> AddedLosses(const EntryCall &call) {
  static const std::set<std::string> known = {"step",      "loss",   "lr", "tokens_per_second",
                                              "grad_norm", "step_ms"};
  std::vector<std::string> names;
  for (const fb::Argument *argument : call.Outputs()) {
    std::string name = argument->name()->str();
    if (argument->dtype() != fb::DType::f32 || argument->bytes() != sizeof(float) || argument->dynamic() ||
        known.count(name))
      continue;
    if (name.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789_") == name.npos) names.push_back(name);
  }
  return names;
}

} // namespace

absl::StatusOr<std::unique_ptr<Trainer>> Trainer::Create(Ranks &ranks, TrainLoader loader) {
  std::unique_ptr<Trainer> trainer(new Trainer(ranks, std::move(loader)));
  trainer->batches_.resize(ranks.size());
  for (int rank = 0; rank < ranks.size(); ++rank)
    if (absl::Status status = trainer->Prepare(rank); !status.ok()) return status;
  return trainer;
}

absl::Status Trainer::Prepare(int rank) {
  Session &session = ranks_.session(rank);
  absl::StatusOr<std::pair<int64_t, int64_t>> shape = TokensShape(session, "train_step");
  if (!shape.ok()) return shape.status();
  const TrainLoaderOptions &options = loader_.options();
  if (shape->second != options.seq)
    return absl::FailedPreconditionError(absl::StrCat("the artifact was compiled for rows of ", shape->second,
                                                      " tokens when the data has rows of ", options.seq));
  micro_batch_ = shape->first;
  int64_t rows = options.batch / ranks_.data_parallel();
  if (options.batch % ranks_.data_parallel() != 0 || rows % micro_batch_ != 0)
    return absl::FailedPreconditionError(absl::StrCat(
        "a batch of ", options.batch, " rows over ", ranks_.data_parallel(),
        " data-parallel ranks is no multiple of the artifact's micro-batch of ", micro_batch_, " rows"));
  absl::StatusOr<EntryCall> call = EntryCall::Make(session, "train_step");
  if (!call.ok()) return call.status();
  RankBatch &b = batches_[rank];
  b.call = std::make_unique<EntryCall>(*std::move(call));
  b.micro_batches = rows / micro_batch_;
  auto bind = [&](const char *name, std::vector<int32_t> &values) {
    values.resize(rows * options.seq);
    b.call->Bind(name, values.data(), values.size() * sizeof(int32_t));
  };
  bind("tokens", b.tokens);
  bind("positions", b.positions);
  bind("documents", b.documents);
  bind("targets", b.targets);
  b.call->Bind("lr", &b.lr, sizeof b.lr);
  b.call->Bind("step", &b.step, sizeof b.step);
  b.call->Bind("inverse_targets", &b.inverse_targets, sizeof b.inverse_targets);
  b.has_limits = b.call->Bind("loss_limit", &b.limits.loss, sizeof b.limits.loss) &&
                 b.call->Bind("grad_norm_limit", &b.limits.grad_norm, sizeof b.limits.grad_norm);
  b.call->Bind("micro_batches", &b.micro_batches, sizeof b.micro_batches);
  b.has_loss = b.call->Bind("loss", &b.loss, sizeof b.loss);
  b.has_norm = b.call->Bind("grad_norm", &b.grad_norm, sizeof b.grad_norm);
  b.experts.Bind(*b.call);
  for (const std::string &name : AddedLosses(*b.call)) {
    float &value = b.more.emplace_back(name, 0.0f).second;
    b.call->Bind(name, &value, sizeof value);
  }
  return absl::OkStatus();
}

absl::Status Trainer::Initialise(uint64_t seed) {
  return ranks_.ForEach([&](int rank) {
    ranks_.session(rank).Initialise(seed);
    return absl::OkStatus();
  });
}

absl::Status Trainer::TakeWeights(const std::string &checkpoint) {
  return ranks_.ForEach(
      [&](int rank) { return ReadCheckpoint(checkpoint, ranks_.Variables(rank), /*all=*/false); });
}

absl::Status Trainer::Restore(const std::string &checkpoint) {
  return ranks_.ForEach(
      [&](int rank) { return ReadCheckpoint(checkpoint, ranks_.Variables(rank), /*all=*/true); });
}

bool Trainer::has_limits() const {
  return std::all_of(batches_.begin(), batches_.end(), [](const RankBatch &b) { return b.has_limits; });
}

absl::StatusOr<StepResult> Trainer::Step(int64_t step, double lr, int64_t skipped, const StepLimits &limits) {
  if (!has_limits() && (limits.loss < FLT_MAX || limits.grad_norm < FLT_MAX))
    return absl::FailedPreconditionError(
        "the artifact's train_step knows no limits of loss and gradient's norm\n"
        "hint: compile the model again with the weftc beside this weft");
  const int64_t batch = step - 1 + skipped;
  int64_t targets = loader_.NumTargets(batch);
  int64_t rows = loader_.options().batch / ranks_.data_parallel();
  absl::Status status = ranks_.ForEach([&](int rank) -> absl::Status {
    RankBatch &b = batches_[rank];
    b.times.begin_ns = NowNs();
    BatchSpans spans{absl::MakeSpan(b.tokens), absl::MakeSpan(b.positions), absl::MakeSpan(b.documents),
                     absl::MakeSpan(b.targets)};
    absl::StatusOr<int64_t> filled = loader_.FillRows(batch, ranks_.data_position(rank) * rows, rows, spans);
    if (!filled.ok()) return filled.status();
    b.lr = static_cast<float>(lr);
    b.step = static_cast<float>(step);
    b.limits = limits;
    b.inverse_targets = targets > 0 ? static_cast<float>(1.0 / static_cast<double>(targets)) : 0;
    b.times.data_ns = NowNs();
    absl::Status ran = b.call->Run();
    b.times.end_ns = NowNs();
    return ran;
  });
  if (!status.ok()) return status;
  StepResult result;
  bool has_loss = false, has_norm = false;
  for (const RankBatch &b : batches_) {
    if (b.has_loss && !has_loss) result.loss = b.loss, has_loss = true;
    if (result.more.empty()) result.more.assign(b.more.begin(), b.more.end());
    if (b.has_norm && !has_norm) result.grad_norm = b.grad_norm, has_norm = true;
  }
  if (!has_loss) return absl::FailedPreconditionError("entry 'train_step' of no stage gives a 'loss'");
  // Each stage knows its own layers; data-parallel ranks all know the same.
  for (int rank = 0; rank < ranks_.size(); ++rank)
    if (ranks_.data_position(rank) == 0) result.experts.Append(batches_[rank].experts.Read());
  result.made = !has_limits() || (result.loss <= limits.loss && result.grad_norm <= limits.grad_norm);
  return result;
}

absl::StatusOr<EvalMetrics> Evaluate(Ranks &ranks, const EvalLoader &loader, int64_t max_batches,
                                     std::vector<std::vector<float>> *all_logprobs) {
  int64_t count = loader.num_batches();
  if (max_batches > 0) count = std::min(count, max_batches);
  int64_t parallel = ranks.data_parallel();
  std::vector<std::vector<double>> sums(count);
  std::vector<int64_t> targets(count, 0);
  if (all_logprobs) all_logprobs->assign(count, {});
  absl::Status status = ranks.ForEach([&](int rank) -> absl::Status {
    Session &session = ranks.session(rank);
    absl::StatusOr<EntryCall> call = EntryCall::Make(session, "eval_step");
    if (!call.ok()) return call.status();
    std::vector<float> logprobs;
    float loss_sum = 0, num_targets = 0;
    // Every data-parallel rank makes the same number of calls, with an empty batch where there is nothing
    // left for it.
    for (int64_t first = 0; first < count; first += parallel) {
      int64_t index = first + ranks.data_position(rank);
      absl::StatusOr<Batch> batch = loader.GetBatch(std::min(index, count - 1));
      if (!batch.ok()) return batch.status();
      if (index >= count) batch->targets.assign(batch->targets.size(), -1);
      auto bind = [&](const char *name, std::vector<int32_t> &v) {
        call->Bind(name, v.data(), v.size() * sizeof(int32_t));
      };
      bind("tokens", batch->tokens);
      bind("positions", batch->positions);
      bind("documents", batch->documents);
      bind("targets", batch->targets);
      logprobs.resize(batch->targets.size());
      bool by_token = call->Bind("logprobs", logprobs.data(), logprobs.size() * sizeof(float));
      call->Bind("num_targets", &num_targets, sizeof num_targets);
      bool by_batch = call->Bind("loss_sum", &loss_sum, sizeof loss_sum);
      if (all_logprobs && !by_token)
        return absl::FailedPreconditionError("entry 'eval_step' of the artifact gives no log-probabilities");
      if (absl::Status status = call->Run(); !status.ok()) return status;
      // The stages of a pipeline all have the results.
      if (index >= count || (!by_token && !by_batch) || rank % ranks.pipeline() != 0) continue;
      std::vector<double> &of_batch =
          sums[index]; // a sequence each: how sequences make batches does not show
      of_batch.assign(by_token ? batch->rows : 1, 0);
      for (size_t i = 0; by_token && i < logprobs.size(); ++i)
        if (batch->targets[i] >= 0) of_batch[i / batch->seq] -= static_cast<double>(logprobs[i]);
      if (!by_token) of_batch[0] = loss_sum;
      targets[index] = batch->num_targets;
      if (all_logprobs) (*all_logprobs)[index] = logprobs;
    }
    return absl::OkStatus();
  });
  if (!status.ok()) return status;
  EvalMetrics result;
  double sum = 0;
  for (int64_t i = 0; i < count; ++i) {
    for (double of_sequence : sums[i]) sum += of_sequence;
    result.targets += targets[i];
  }
  result.loss = result.targets > 0 ? sum / static_cast<double>(result.targets) : 0;
  return result;
}

} // namespace weft
