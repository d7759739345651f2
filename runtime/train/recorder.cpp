#include "runtime/train/recorder.h"

#include "absl/strings/str_cat.h"

#include <nlohmann/json.hpp>

#include <filesystem>

namespace weft {

absl::StatusOr<std::unique_ptr<Recorder>> Recorder::Open(const std::string &folder, int64_t last_step,
                                                         bool steps_left,
                                                         std::function<void(const std::string &)> say) {
  absl::StatusOr<MetricsFile> metrics = MetricsFile::Open(folder + "/metrics.jsonl", last_step);
  if (!metrics.ok()) return metrics.status();
  std::unique_ptr<Recorder> recorder(new Recorder(folder, *std::move(metrics), std::move(say)));
  if (steps_left) {
    absl::StatusOr<EventFile> events = EventFile::Create(folder + "/tensorboard", last_step + 1);
    if (!events.ok()) return events.status();
    recorder->events_.emplace(*std::move(events));
  }
  std::error_code error;
  if (std::string path = folder + "/samples.jsonl"; std::filesystem::exists(path, error)) {
    absl::StatusOr<AppendFile> samples = OpenStepLines(path, last_step);
    if (!samples.ok()) return samples.status();
    recorder->samples_.emplace(*std::move(samples));
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

void Recorder::AddSample(int64_t step, const std::string &prompt, const std::string &text) {
  if (!samples_) {
    absl::StatusOr<AppendFile> samples = AppendFile::Open(folder_ + "/samples.jsonl", 0);
    if (!samples.ok()) return Note(samples_failing_, folder_ + "/samples.jsonl", samples.status());
    samples_.emplace(*std::move(samples));
  }
  nlohmann::ordered_json line = {{"step", step}, {"prompt", prompt}, {"text", text}};
  Note(samples_failing_, samples_->path(),
       samples_->Append(line.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n"));
}

absl::StatusOr<std::unique_ptr<Recorder>> Recorder::GoBack(std::unique_ptr<Recorder> recorder, int64_t step,
                                                           absl::string_view name) {
  if (absl::Status status = recorder->Finish(); !status.ok()) return status;
  absl::StatusOr<std::vector<std::string>> before = EventLines(recorder->metrics_.path(), name, step + 1);
  if (!before.ok()) return before.status();
  std::string folder = recorder->folder_;
  auto say = recorder->say_;
  recorder.reset();
  absl::StatusOr<std::unique_ptr<Recorder>> opened = Open(folder, step, /*steps_left=*/true, say);
  if (!opened.ok()) return opened;
  for (const std::string &line : *before)
    (*opened)->Note((*opened)->metrics_failing_, (*opened)->metrics_.path(),
                    (*opened)->metrics_.AddLine(line));
  return opened;
}

absl::Status Recorder::Sync() const {
  if (absl::Status status = metrics_.Sync(); !status.ok()) return status;
  if (samples_)
    if (absl::Status status = samples_->Sync(); !status.ok()) return status;
  return events_ ? events_->Sync() : absl::OkStatus();
}

absl::Status Recorder::Finish() {
  absl::Status metrics = metrics_.Flush(), events = events_ ? events_->Flush() : absl::OkStatus();
  absl::Status samples = samples_ ? samples_->Flush() : absl::OkStatus();
  const absl::Status &status = !metrics.ok() ? metrics : !events.ok() ? events : samples;
  if (status.ok()) return status;
  return absl::Status(status.code(),
                      absl::StrCat(std::string(status.message()), ", so the last steps are missing there"));
}

} // namespace weft
