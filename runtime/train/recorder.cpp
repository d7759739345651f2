#include "runtime/train/recorder.h"

#include "absl/strings/str_cat.h"

namespace weft {

absl::StatusOr<std::unique_ptr<Recorder>> Recorder::Open(const std::string &folder, int64_t last_step,
                                                         bool steps_left,
                                                         std::function<void(const std::string &)> say) {
  absl::StatusOr<MetricsFile> metrics = MetricsFile::Open(folder + "/metrics.jsonl", last_step);
  if (!metrics.ok()) return metrics.status();
  std::unique_ptr<Recorder> recorder(new Recorder(*std::move(metrics), std::move(say)));
  if (steps_left) {
    absl::StatusOr<EventFile> events = EventFile::Create(folder + "/tensorboard", last_step + 1);
    if (!events.ok()) return events.status();
    recorder->events_.emplace(*std::move(events));
  }
  return recorder;
}

void Recorder::Note(bool &failing, const std::string &path, const absl::Status &status) {
  if (failing == !status.ok()) return;
  failing = !status.ok();
  say_(failing
           ? absl::StrCat("warning: ", std::string(status.message()), " (what belongs there waits in memory)")
           : absl::StrCat(path, " is written again and lacks nothing"));
}

absl::Status Recorder::Sync() const {
  if (absl::Status status = metrics_.Sync(); !status.ok()) return status;
  return events_ ? events_->Sync() : absl::OkStatus();
}

absl::Status Recorder::Finish() {
  absl::Status metrics = metrics_.Flush(), events = events_ ? events_->Flush() : absl::OkStatus();
  const absl::Status &status = metrics.ok() ? events : metrics;
  if (status.ok()) return status;
  return absl::Status(status.code(),
                      absl::StrCat(std::string(status.message()), ", so the last steps are missing there"));
}

} // namespace weft
