// What a run does when it has looked at its curves: the best checkpoint, the end of its patience, spikes.
#include "runtime/train/run.h"

#include "absl/strings/str_format.h"

#include <cmath>

namespace weft {

absl::Status Run::CheckSpikes() const {
  SpikeAction action = spikes_.options().action;
  if ((action != SpikeAction::skip && action != SpikeAction::rollback) || trainer_->has_limits())
    return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrCat("train.spike is \"", recipe_.train.spike,
                   "\" when the artifact's train_step can leave no step out\nhint: remove ",
                   Path("model.weft"), ", so that it is compiled again, or train.spike=\"warn\""));
}

absl::Status Run::Evaluation(int64_t step) {
  absl::StatusOr<EvalMetrics> result = Evaluate(*ranks_, *eval_, recipe_.train.eval_batches);
  if (!result.ok()) return result.status();
  result->step = step;
  stopping_.Add(step, result->loss);
  progress_->Eval(*result);
  recorder_->Add(*result);
  return absl::OkStatus();
}

void Run::SayStopped(int64_t step) {
  std::string best = recipe_.run.keep_best && stopping_.state().best_step >= 0
                         ? absl::StrCat(" (that checkpoint is ", Path("checkpoints/best"), ")")
                         : "";
  Say(absl::StrCat("stopped early at step ", step, " of ", recipe_.train.steps, ": ", stopping_.Reason(),
                   best, "\nhint: weft train ", recipe_.run.dir, " --resume train.patience=",
                   2 * stopping_.state().waited, " goes on; 0 for as long as there are steps"));
}

// A step that is beyond its limits was not made, but for `warn`. Gives the step that the run goes on after.
absl::StatusOr<int64_t> Run::Spike(int64_t step, const StepResult &result, const StepLimits &limits) {
  const SpikeAction action = spikes_.options().action;
  const bool loss = !(result.loss <= limits.loss);
  RunEvent event;
  event.step = step;
  event.batch = step - 1 + spikes_.state().skipped;
  event.loss = result.loss;
  event.grad_norm = result.grad_norm;
  const double value = loss ? result.loss : result.grad_norm, limit = loss ? limits.loss : limits.grad_norm;
  event.why = absl::StrFormat("the %s is %.4g", loss ? "loss" : "gradient's norm", value);
  if (std::isfinite(value))
    absl::StrAppendFormat(&event.why, " when the %d steps before allow %.4g", spikes_.state().losses.size(),
                          limit);
  if (action == SpikeAction::warn) {
    event.name = "warn";
    recorder_->AddEvent(event);
    Say(absl::StrCat("warning: a spike at step ", step, ": ", event.why));
    return step;
  }
  absl::Status borne = spikes_.Note(event.batch);
  if (!borne.ok()) {
    Settle(/*wait=*/true);
    return absl::Status(
        borne.code(),
        absl::StrCat(std::string(borne.message()), ": at step ", step, " ", event.why, "\nhint: ",
                     saved_ > 0 ? absl::StrCat("--resume goes back to step ", saved_) : "start again",
                     ", with a lower optimizer.lr or a larger train.spike_deviations, train.spike_most"));
  }
  SpikeState state = spikes_.state();
  if (action == SpikeAction::skip) {
    event.name = "skip";
    ++state.skipped;
    spikes_.set_state(std::move(state));
    recorder_->AddEvent(event);
    Say(absl::StrCat("a spike at step ", step, ": ", event.why, "; batch ", event.batch, " is skipped"));
    return step - 1;
  }
  Settle(/*wait=*/true); // so that the checkpoint gone back to is the same each time
  event.name = "rollback";
  event.step = anchor_ + 1;
  const int64_t left_out = step - anchor_;
  Say(absl::StrCat("a spike at step ", step, ": ", event.why, "; back to step ", anchor_,
                   ", and on after batch ", event.batch, " (", left_out,
                   left_out == 1 ? " batch is" : " batches are", " left out)"));
  absl::StrAppend(&event.why, " (at step ", step, ")");
  if (absl::Status status = RollBack(); !status.ok()) return status;
  // The statistics are those of the step gone back to; what was left out is not forgotten.
  SpikeState back = spikes_.state();
  back.skipped = event.batch + 1 - anchor_;
  back.batches = std::move(state.batches);
  spikes_.set_state(std::move(back));
  recorder_->AddEvent(event);
  return anchor_;
}

// Variables, statistics and files as they were at the end of step anchor_.
absl::Status Run::RollBack() {
  absl::StatusOr<std::unique_ptr<Recorder>> recorder =
      Recorder::GoBack(std::move(recorder_), anchor_, "rollback");
  if (!recorder.ok()) return recorder.status();
  recorder_ = *std::move(recorder);
  page_->Restart();
  done_ = anchor_;
  if (anchor_ == 0) {
    stopping_.set_state({});
    spikes_.set_state({});
    saved_ = -1;
    return trainer_->Initialise(recipe_.train.seed);
  }
  std::string path = absl::StrCat(Path("checkpoints"), "/", CheckpointName(anchor_));
  absl::StatusOr<CheckpointState> state = VerifyCheckpoint(path);
  if (!state.ok()) return state.status();
  stopping_.set_state(state->monitor.stopping);
  spikes_.set_state(state->monitor.spikes);
  saved_ = anchor_;
  return trainer_->Restore(path);
}

} // namespace weft
