// A run's numbers: one optimiser step, an evaluation, the state as a checkpoint. No files, no clocks, no
// terminal: loop.h.
#pragma once

#include "runtime/data/loader.h"
#include "runtime/train/checkpoint.h"
#include "runtime/train/expert_load.h"
#include "runtime/train/metrics.h"
#include "runtime/train/ranks.h"
#include "runtime/train/spikes.h"

#include "absl/status/status.h"
#include "absl/status/statusor.h"

#include <deque>
#include <memory>
#include <optional>
#include <vector>

namespace weft {

struct StepResult {
  double loss = 0;      // nats a valid target of the global batch
  double grad_norm = 0; // before clipping
  bool made = true;     // false: beyond the limits, and every variable is as it was
  ExpertLoad experts;   // empty: the model has none that are balanced
  std::vector<std::pair<std::string, double>> more = {}; // losses that the model has added, without their
                                                         // weights
};

// One rank's part of a step, on std::chrono::steady_clock: it fills its rows of the batch from begin to data,
// and runs its program from then to end.
struct StepTimes {
  int64_t begin_ns = 0, data_ns = 0, end_ns = 0;
};

class Trainer {
public:
  // The ranks must outlive the trainer. FailedPrecondition when the artifact has no train_step, or its shapes
  // are not those of the loader; the error names both.
  static absl::StatusOr<std::unique_ptr<Trainer>> Create(Ranks &ranks, TrainLoader loader);

  // First values, the same for any layout.
  absl::Status Initialise(uint64_t seed);
  // The weights alone of a verified checkpoint, after Initialise.
  absl::Status TakeWeights(const std::string &checkpoint);
  // From a verified checkpoint.
  absl::Status Restore(const std::string &checkpoint);

  // Optimiser step `step`, counted from 1, on the loader's batch number step - 1 + skipped. Every rank
  // decides alike whether it is within the limits: loss and norm are sums over all of them.
  // FailedPrecondition when limits are given and the artifact's train_step knows none.
  absl::StatusOr<StepResult> Step(int64_t step, double lr, int64_t skipped = 0,
                                  const StepLimits &limits = {});
  // Whether train_step leaves a step out that is beyond limits.
  bool has_limits() const;

  // Of the last step.
  const StepTimes &times(int rank) const { return batches_[rank].times; }

  // Targets in a step's batch, whatever the rank.
  const TrainLoader &loader() const { return loader_; }
  int64_t micro_batch() const { return micro_batch_; }

private:
  // One rank's arguments of train_step.
  struct RankBatch {
    std::vector<int32_t> tokens, positions, documents, targets; // (rows, seq)
    std::unique_ptr<EntryCall> call;
    float lr = 0, step = 0, inverse_targets = 0, loss = 0, grad_norm = 0;
    StepLimits limits;
    StepTimes times;
    ExpertLoadOutputs experts;
    int64_t micro_batches = 0;
    bool has_loss = false, has_norm = false, has_limits = false;
    std::deque<std::pair<std::string, float>> more; // bound by address
  };
  Trainer(Ranks &ranks, TrainLoader loader) : ranks_(ranks), loader_(std::move(loader)) {}
  absl::Status Prepare(int rank);

  Ranks &ranks_;
  TrainLoader loader_;
  int64_t micro_batch_ = 0; // rows
  std::vector<RankBatch> batches_;
};

// Mean loss over the first `max_batches` batches (0 = all) of `loader`, whose batch must be the artifact's
// micro-batch. Targets are summed in f64 in the file's order, whatever the ranks. FailedPrecondition when the
// artifact has no eval_step of that shape. `logprobs`, where given, gets those of each batch's targets,
// (rows, seq); without meaning where there is no target. FailedPrecondition when eval_step gives none.
absl::StatusOr<EvalMetrics> Evaluate(Ranks &ranks, const EvalLoader &loader, int64_t max_batches,
                                     std::vector<std::vector<float>> *logprobs = nullptr);

// (rows, seq) of an entry's `tokens` in one micro-batch.
absl::StatusOr<std::pair<int64_t, int64_t>> TokensShape(Session &session, absl::string_view entry);

} // namespace weft
