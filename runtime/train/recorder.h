// Where a run's numbers and samples go: metrics.jsonl, TensorBoard's event file, samples.jsonl.
#pragma once

#include "runtime/train/event_file.h"
#include "runtime/train/metrics.h"

#include "absl/status/status.h"
#include "absl/status/statusor.h"

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

namespace weft {

// A full disk does not end a run: the lines wait in memory, and are written when there is room again.
class Recorder {
public:
  // The files of the run directory `folder`, which goes on after step `last_step`; no event file when it has
  // no step left, and no samples.jsonl before there is a sample. `say` is told when writing begins to fail
  // and when it works again.
  static absl::StatusOr<std::unique_ptr<Recorder>> Open(const std::string &folder, int64_t last_step,
                                                        bool steps_left,
                                                        std::function<void(const std::string &)> say);
  template <typename Metrics> void Add(const Metrics &metrics) {
    Note(metrics_failing_, metrics_.path(), metrics_.Add(metrics));
    if (events_) Note(events_failing_, events_->path(), events_->Add(metrics));
  }
  void AddEvent(const RunEvent &event) { Note(metrics_failing_, metrics_.path(), metrics_.Add(event)); }
  void AddSample(int64_t step, const std::string &prompt, const std::string &text);
  // The run goes back to the end of `step`: what belongs to later ones is dropped, but for earlier events of
  // going back there, of which `name` is the name. An error when what waits in memory cannot be written
  // first.
  static absl::StatusOr<std::unique_ptr<Recorder>> GoBack(std::unique_ptr<Recorder> recorder, int64_t step,
                                                          absl::string_view name);
  // Puts what is written onto the disk. May be called by another thread.
  absl::Status Sync() const;
  // Tries once more to write what waits. Errors name the file that lacks lines.
  absl::Status Finish();

private:
  Recorder(std::string folder, MetricsFile metrics, std::function<void(const std::string &)> say)
      : folder_(std::move(folder)), metrics_(std::move(metrics)), say_(std::move(say)) {}
  void Note(bool &failing, const std::string &path, const absl::Status &status);
  std::string folder_;
  MetricsFile metrics_;
  std::optional<EventFile> events_;
  std::optional<AppendFile> samples_;
  std::function<void(const std::string &)> say_;
  bool metrics_failing_ = false, events_failing_ = false, samples_failing_ = false;
};

} // namespace weft
