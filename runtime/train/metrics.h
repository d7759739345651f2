// What a run reports: metrics.jsonl, a line of progress on the terminal, log.txt.
#pragma once

#include "runtime/train/append_file.h"
#include "runtime/train/expert_load.h"

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <string>
#include <utility>
#include <vector>

namespace weft {

struct StepMetrics {
  int64_t step = 0;
  double loss = 0, lr = 0, grad_norm = 0;
  double tokens_per_second = 0, step_ms = 0;
  ExpertLoad experts;
  int64_t tokens = 0;                                    // of the batch
  std::vector<std::pair<std::string, double>> more = {}; // losses that the model has added, by name
};
struct EvalMetrics {
  int64_t step = 0;
  double loss = 0; // nats a target
  int64_t targets = 0;
};

// Something that happened, and why.
struct RunEvent {
  int64_t step = 0;
  std::string name; // "warn", "skip", "rollback", "stopped"
  std::string why;
  int64_t batch = -1; // a spike's, with its numbers; -1: it is none
  double loss = 0, grad_norm = 0;
};

// Opens a file of JSON objects, a line each, that have the key "step", and cuts off what belongs to steps
// after `last_step`, and a last line that a crash left unfinished.
absl::StatusOr<AppendFile> OpenStepLines(const std::string &path, int64_t last_step);
// The lines of `path` that are events of that name and step.
absl::StatusOr<std::vector<std::string>> EventLines(const std::string &path, absl::string_view name,
                                                    int64_t step);

// metrics.jsonl: a JSON object a line.
// {"step":…,"loss":…,"lr":…,"grad_norm":…,"tokens_per_second":…,"step_ms":…} for a step, and behind the loss
// those that the model has added, and of a mixture of experts what ExpertLoadJson says,
// {"step":…,"eval_loss":…,"eval_targets":…} for an evaluation,
// {"step":…,"event":…,"why":…} for an event, with "batch", "spike_loss" and "spike_grad_norm" of a spike.
class MetricsFile {
public:
  // As OpenStepLines.
  static absl::StatusOr<MetricsFile> Open(const std::string &path, int64_t last_step);

  // Errors of AppendFile.
  absl::Status Add(const StepMetrics &metrics);
  absl::Status Add(const EvalMetrics &metrics);
  absl::Status Add(const RunEvent &event);
  absl::Status AddLine(const std::string &line) { return file_.Append(line + "\n"); }
  absl::Status Flush() { return file_.Flush(); }
  absl::Status Sync() const { return file_.Sync(); }
  const std::string &path() const { return file_.path(); }

private:
  explicit MetricsFile(AppendFile file) : file_(std::move(file)) {}
  AppendFile file_;
};

// "1h02m", "3m20s", "12s"
std::string DurationText(double seconds);
// "12.3k", "4.56M", "789"
std::string CountText(double count);

// Progress: one line that is written over on a terminal, a line every `log_every` steps elsewhere. What is
// said goes to log.txt too; a log that cannot be written ends no run. Used by one thread.
class Progress {
public:
  // `out` is usually stderr; `log` may be null; both stay the caller's.
  Progress(FILE *out, bool terminal, FILE *log, int64_t first_step, int64_t steps, int64_t log_every);
  void Step(const StepMetrics &metrics);
  void Eval(const EvalMetrics &metrics);
  void Say(const std::string &text); // a line of its own
  void Finish();                     // ends the line on a terminal

private:
  void Clear();
  void Log(const std::string &text);
  FILE *out_, *log_;
  bool terminal_, line_open_ = false, log_failing_ = false;
  int64_t first_step_, steps_, log_every_;
  double smoothed_ms_ = 0; // of a step, for the time left
  std::chrono::steady_clock::time_point last_drawn_;
};

} // namespace weft
