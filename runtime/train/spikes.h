// Spikes of the loss and of the gradient's norm: what counts as one, and how many a run bears.
//
// A spike is a value beyond  median + deviations * max(1.4826 MAD, part * |median|)  of the last steps, MAD
// being the median absolute deviation, which 1.4826 turns into the standard deviation where values are
// normally distributed; `part` is 1 % for the loss and 10 % for the gradient's norm, so that a curve without
// noise has room. Neither statistic is moved by a few outliers, unlike a mean and a variance. NaN and
// infinity are always spikes.
#pragma once

#include "absl/status/status.h"

#include <cfloat>
#include <cstdint>
#include <string>
#include <vector>

namespace weft {

enum class SpikeAction {
  off,
  warn,     // say so
  skip,     // the batch is left out: no step is made of it
  rollback, // back to the last checkpoint, and on with the batches after this one
};
// "off", "warn", "skip", "rollback"; anything else is off.
SpikeAction SpikeActionOf(const std::string &name);

struct SpikeOptions {
  SpikeAction action = SpikeAction::off;
  double deviations = 10;
  int64_t window = 128;             // steps that the statistics are of; they hold from half of them on
  int64_t most = 10, within = 1000; // more than `most` spikes in as many batches end the run
};

// In the checkpoint: a resumed run decides as one that was left in peace.
struct SpikeState {
  int64_t skipped = 0; // batches that were left out: step t is made of batch t - 1 + skipped
  std::vector<float> losses, grad_norms; // of the last steps, oldest first
  std::vector<int64_t> batches;          // the numbers of recent spikes, rising
};

// What a step may have at most to be made.
struct StepLimits {
  float loss = FLT_MAX, grad_norm = FLT_MAX; // infinity is beyond these, too
};

class SpikeDetector {
public:
  explicit SpikeDetector(const SpikeOptions &options) : options_(options) {}

  // Of the next step. FLT_MAX while there are too few steps to tell, or when the action is off.
  StepLimits Limits() const;
  // Takes in a step that was made.
  void Accept(double loss, double grad_norm);
  // Notes that `batch` was a spike. ResourceExhausted when there have been too many lately: the message says
  // how many.
  absl::Status Note(int64_t batch);

  const SpikeOptions &options() const { return options_; }
  const SpikeState &state() const { return state_; }
  void set_state(SpikeState state) { state_ = std::move(state); }

private:
  SpikeOptions options_;
  SpikeState state_;
};

} // namespace weft
