// When a run's validation loss has stopped falling.
#pragma once

#include <cstdint>
#include <string>

namespace weft {

// In the checkpoint, so that a resumed run ends where it would have.
struct StoppingState {
  int64_t best_step = -1; // of the lowest loss; -1: nothing was evaluated yet
  double best = 0;        // nats a target
  int64_t waited = 0;     // evaluations since the last one that improved
};

struct StoppingOptions {
  int64_t patience = 0;       // evaluations; 0 = never stop
  double min_improvement = 0; // nats a target
};

class EarlyStopping {
public:
  explicit EarlyStopping(const StoppingOptions &options) : options_(options) {}

  // Takes in the loss after `step`; says whether it is the best so far: lower than the best by more than
  // min_improvement, or the first. One that is not finite is never the best.
  bool Add(int64_t step, double loss);
  // Whether the patience is at its end: it was decided by the evaluations so far and these options.
  bool Exhausted() const { return options_.patience > 0 && state_.waited >= options_.patience; }
  // "the validation loss has not fallen … for 3 evaluations; the lowest was 2.1234 at step 400"
  std::string Reason() const;

  const StoppingState &state() const { return state_; }
  void set_state(const StoppingState &state) { state_ = state; }

private:
  StoppingOptions options_;
  StoppingState state_;
};

} // namespace weft
