// One run, shared by the files that it goes through: run_start.cpp until the first step, loop.cpp over the
// steps, run_monitor.cpp at evaluations and spikes, run_save.cpp at checkpoints, run_report.cpp
// for what a person reads.
#pragma once

#include "runtime/data/prepare.h"
#include "runtime/report/page.h"
#include "runtime/train/checkpoint.h"
#include "runtime/train/checkpoint_saver.h"
#include "runtime/train/compile.h"
#include "runtime/train/early_stopping.h"
#include "runtime/train/loop.h"
#include "runtime/train/metrics.h"
#include "runtime/train/recorder.h"
#include "runtime/train/run_folder.h"
#include "runtime/train/schedule.h"
#include "runtime/train/spikes.h"
#include "runtime/train/trainer.h"

#include "absl/strings/str_cat.h"

#include <cstdio>
#include <map>
#include <memory>
#include <optional>
#include <string>

namespace weft {

// Where a run that is resumed keeps what is new until its checkpoint is known to fit.
inline constexpr char kResuming[] = ".resuming";
// What came with the model that a run starts from: files for its checkpoints, and the ids in its config.json.
inline constexpr char kCompanions[] = "companions";

class Run {
public:
  Run(Recipe recipe, const TrainOptions &options)
      : recipe_(std::move(recipe)), options_(options),
        stopping_({recipe_.train.patience, recipe_.train.min_improvement}),
        spikes_({SpikeActionOf(recipe_.train.spike), recipe_.train.spike_deviations,
                 recipe_.train.spike_window, recipe_.train.spike_most, recipe_.train.spike_within}) {}
  absl::StatusOr<TrainEnd> Go();

private:
  // run_start.cpp
  absl::Status PrepareRun();
  absl::Status PrepareText();
  absl::Status Start();
  absl::Status TakeOver();
  absl::Status Resume();
  absl::Status Begin();
  absl::Status KeepCompanions();
  // run_save.cpp
  absl::StatusOr<std::map<std::string, std::string>> CheckpointFiles() const;
  CheckpointState State(int64_t step) const;
  void Save(int64_t step);
  void Settle(bool wait);
  void NotSaved(int64_t step);
  absl::Status SaveLast(int64_t step);
  bool IsScheduled(int64_t step) const;
  // run_monitor.cpp
  absl::Status CheckSpikes() const;
  absl::Status Evaluation(int64_t step);
  absl::StatusOr<int64_t> Spike(int64_t step, const StepResult &result, const StepLimits &limits);
  absl::Status RollBack();
  // run_report.cpp
  absl::Status PrepareSamples();
  void Samples(int64_t step);
  void Report(const std::string &state, const std::string &message = "");
  // loop.cpp
  absl::StatusOr<TrainEnd> Steps(const Schedule &schedule);
  absl::Status CheckFinite(int64_t step, double lr, const StepResult &result);
  std::string WhereNotFinite(int64_t step, double lr);
  void SayStopped(int64_t step);
  absl::StatusOr<TrainEnd> LeaveAfterSpike(int64_t step, const SpikeState &made);

  std::string Path(absl::string_view name) const { return absl::StrCat(recipe_.run.dir, "/", name); }
  void Say(const std::string &text) {
    if (progress_)
      progress_->Say(text);
    else
      Progress(stderr, false, folder_->log(), 0, 0, 1).Say(text);
  }

  Recipe recipe_;
  TrainOptions options_;
  EarlyStopping stopping_;
  SpikeDetector spikes_;
  std::unique_ptr<RunFolder> folder_;
  std::optional<PreparedData> data_;
  std::string data_hash_;
  std::shared_ptr<const LoadedArtifact> artifact_;
  std::unique_ptr<Ranks> ranks_;
  std::unique_ptr<Trainer> trainer_;
  std::optional<EvalLoader> eval_;
  std::optional<FoundCheckpoint> found_; // where a resumed run goes on
  std::optional<FoundCheckpoint> init_;  // whose weights a new one starts from
  std::unique_ptr<Recorder> recorder_;
  std::map<std::string, std::string> checkpoint_files_;
  std::optional<Progress> progress_;
  SampleTexts sample_; // none where there are no prompts
  std::optional<Page> page_;
  bool page_failing_ = false;
  std::optional<CheckpointSaver> saver_;   // destroyed before the recorder, which its thread syncs
  int64_t done_ = 0;                       // steps
  int64_t start_ = 0, saved_ = -1;         // steps done at the start, and in the newest checkpoint
  int64_t last_ = -1;                      // the step that the run ends with, once it is known
  int64_t anchor_ = 0, saving_anchor_ = 0; // see MonitorState: of what is saved, and of what is being saved
  absl::Status not_saved_;                 // of the checkpoint tried last
};

} // namespace weft
