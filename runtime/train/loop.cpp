#include "runtime/train/loop.h"
#include "runtime/train/interrupt.h"
#include "runtime/train/open_recipe.h"
#include "runtime/train/run.h"
#include "runtime/train/trace_nan.h"

#include "absl/strings/str_format.h"

#include <chrono>
#include <cmath>
#include <filesystem>
#include <unistd.h>

namespace weft {
namespace {

using Clock = std::chrono::steady_clock;

namespace fs = std::filesystem;

} // namespace

absl::Status Run::CheckFinite(int64_t step, double lr, const StepResult &result) {
  if (std::isfinite(result.loss) && std::isfinite(result.grad_norm)) return absl::OkStatus();
  Settle(/*wait=*/true);
  return absl::FailedPreconditionError(absl::StrFormat(
      "the run has diverged: the %s is %f at step %d\n%shint: %s, with a lower optimizer.lr or a longer "
      "optimizer.warmup",
      std::isfinite(result.loss) ? "gradient's norm" : "loss",
      std::isfinite(result.loss) ? result.grad_norm : result.loss, step, WhereNotFinite(step, lr),
      saved_ > 0 ? absl::StrCat("--resume goes back to step ", saved_) : std::string("start again")));
}

// With train.trace_nan, what made it, as lines of an error. A step that is not finite has left the state as
// it was.
std::string Run::WhereNotFinite(int64_t step, double lr) {
  if (!recipe_.train.trace_nan) return "";
  if (!trainer_->has_limits())
    return "it cannot be traced: the artifact's train_step does not leave out a step that is not finite\n"
           "hint: compile the model again with the weftc beside this weft\n";
  Say(absl::StrCat("step ", step, " is not finite: making it again to find out where"));
  absl::StatusOr<TracedNonFinite> traced = TraceNonFinite(
      *ranks_, [&] { return trainer_->Step(step, lr, spikes_.state().skipped, StepLimits{}).status(); },
      Path(absl::StrCat("not-finite-step-", step)));
  if (!traced.ok())
    return absl::StrCat("it could not be traced: ", std::string(traced.status().message()), "\n");
  return absl::StrCat(
      traced->text, "\n",
      traced->folder.empty() ? "" : absl::StrCat("what that launch read is in ", traced->folder, "\n"));
}

absl::StatusOr<TrainEnd> Run::Go() {
  if (absl::Status status = CheckThreads(recipe_); !status.ok()) return status;
  absl::StatusOr<std::unique_ptr<RunFolder>> folder = RunFolder::Open(recipe_.run.dir);
  if (!folder.ok()) return folder.status();
  folder_ = *std::move(folder);
  struct Staging { // what a refused resumption leaves
    std::string path;
    ~Staging() {
      std::error_code error;
      fs::remove_all(path, error);
    }
  } staging{Path(kResuming)};
  if (absl::Status status = PrepareRun(); !status.ok()) return status;
  if (absl::Status status = Start(); !status.ok()) return status;
  if (found_)
    if (absl::Status status = TakeOver(); !status.ok()) return status;
  const int64_t steps = recipe_.train.steps;
  absl::StatusOr<Schedule> schedule =
      MakeSchedule(recipe_.optimizer.schedule, steps, recipe_.WarmupSteps(), recipe_.DecaySteps(),
                   recipe_.optimizer.lr, recipe_.optimizer.min_lr);
  if (!schedule.ok()) return schedule.status();
  progress_.emplace(stderr, isatty(STDERR_FILENO), folder_->log(), start_ + 1, steps, recipe_.run.log_every);
  absl::StatusOr<std::unique_ptr<Recorder>> recorder =
      Recorder::Open(recipe_.run.dir, start_, start_ < steps && !(found_ && stopping_.Exhausted()),
                     [this](const std::string &text) { progress_->Say(text); });
  if (!recorder.ok()) return recorder.status();
  recorder_ = *std::move(recorder);
  absl::StatusOr<std::map<std::string, std::string>> files = CheckpointFiles();
  if (!files.ok()) return files.status();
  checkpoint_files_ = *std::move(files);
  if (absl::Status status = PrepareSamples(); !status.ok()) return status;
  page_.emplace(recipe_.run.dir, ranks_->artifact());
  done_ = start_;
  saver_.emplace(Path("checkpoints"), recipe_.run.keep);

  if (start_ == steps)
    Say(absl::StrCat("the run has all its ", steps, " steps; a larger train.steps goes on"));
  // A run that was stopped early stays so, but for a longer patience.
  const bool stopped = found_ && start_ < steps && stopping_.Exhausted();
  if (stopped) SayStopped(start_);
  absl::StatusOr<TrainEnd> end = stopped ? TrainEnd::stopped_early : Steps(*schedule);
  Settle(/*wait=*/true);
  progress_->Finish();
  absl::Status recorded = recorder_ ? recorder_->Finish() : absl::OkStatus();
  Report(!end.ok()                         ? "failed"
         : *end == TrainEnd::finished      ? "finished"
         : *end == TrainEnd::stopped_early ? "stopped early"
                                           : "interrupted",
         !end.ok()                         ? std::string(end.status().message())
         : *end == TrainEnd::stopped_early ? stopping_.Reason()
                                           : "");
  return end.ok() && !recorded.ok() ? recorded : end;
}

absl::StatusOr<TrainEnd> Run::Steps(const Schedule &schedule) {
  const int64_t steps = recipe_.train.steps;
  const bool warns =
      spikes_.options().action == SpikeAction::off || spikes_.options().action == SpikeAction::warn;
  const double tokens = static_cast<double>(recipe_.train.batch) * static_cast<double>(recipe_.train.seq);
  InterruptGuard interrupt;
  if (recipe_.run.save_initial && start_ == 0)
    if (absl::Status status = SaveLast(0); !status.ok()) return status;
  SpikeState made = spikes_.state(); // after the last step that was made
  for (int64_t step = start_ + 1; step <= steps; ++step) {
    Clock::time_point begin = Clock::now();
    StepMetrics m;
    m.step = step;
    m.lr = schedule.At(step);
    const StepLimits limits = spikes_.Limits();
    absl::StatusOr<StepResult> result =
        trainer_->Step(step, m.lr, spikes_.state().skipped, warns ? StepLimits{} : limits);
    if (!result.ok()) return result.status();
    m.step_ms = std::chrono::duration<double, std::milli>(Clock::now() - begin).count();
    m.tokens_per_second = tokens / (m.step_ms / 1000);
    m.loss = result->loss;
    m.grad_norm = result->grad_norm;
    m.more = std::move(result->more);
    m.experts = std::move(result->experts);
    m.tokens = recipe_.train.batch * recipe_.train.seq;
    if (warns) recorder_->Add(m);
    if (warns || recipe_.train.trace_nan)
      if (absl::Status status = CheckFinite(step, m.lr, *result); !status.ok()) return status;
    if (!(m.loss <= limits.loss && m.grad_norm <= limits.grad_norm)) {
      absl::StatusOr<int64_t> after = Spike(step, *result, limits);
      if (!after.ok()) return after.status();
      if (!warns) {
        step = *after;
        if (!interrupt.requested()) continue;
        return LeaveAfterSpike(step, made);
      }
    }
    if (!warns) recorder_->Add(m);
    spikes_.Accept(m.loss, m.grad_norm);
    made = spikes_.state();
    progress_->Step(m);
    done_ = step;

    const bool evaluates = eval_ && (step == steps || step % recipe_.train.eval_every == 0);
    if (evaluates)
      if (absl::Status status = Evaluation(step); !status.ok()) return status;
    if (sample_ && (evaluates || (!eval_ && (step == steps || IsScheduled(step))))) Samples(step);
    const bool exhausted = evaluates && stopping_.Exhausted(), last = step == steps || exhausted;
    if (exhausted) recorder_->AddEvent({step, "stopped", stopping_.Reason()});
    if (!last && !interrupt.requested() && IsScheduled(step))
      Save(step);
    else
      Settle(/*wait=*/false);
    if (!last && (evaluates || IsScheduled(step))) Report("running");
    const bool leave = !last && interrupt.requested(); // asked for during the evaluation or the copy, too
    if (last || leave)
      if (absl::Status status = SaveLast(step); !status.ok()) return status;
    if (exhausted) {
      SayStopped(step);
      return TrainEnd::stopped_early;
    }
    if (!leave) continue;
    Say(absl::StrCat("interrupted after step ", step, "; weft train ", recipe_.run.dir, " --resume goes on"));
    return TrainEnd::interrupted;
  }
  return TrainEnd::finished;
}

// The run that goes on makes the decision again, so that its files tell of it.
absl::StatusOr<TrainEnd> Run::LeaveAfterSpike(int64_t step, const SpikeState &made) {
  if (spikes_.options().action == SpikeAction::skip && step > 0) {
    spikes_.set_state(made);
    if (absl::Status status = SaveLast(step); !status.ok()) return status;
  }
  Say(absl::StrCat("interrupted after step ", step, "; weft train ", recipe_.run.dir, " --resume goes on"));
  return TrainEnd::interrupted;
}

absl::StatusOr<TrainEnd> Train(Recipe recipe, const TrainOptions &options) {
  return Run(std::move(recipe), options).Go();
}

} // namespace weft
