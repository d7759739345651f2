// Where a run's numbers go: metrics.jsonl and TensorBoard's event file.
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
  // no step left. `say` is told when writing begins to fail and when it works again.
  static absl::StatusOr<std::unique_ptr<Recorder>> Open(const std::string &folder, int64_t last_step,
                                                        bool steps_left,
                                                        std::function<void(const std::string &)> say);
  template <typename Metrics> void Add(const Metrics &metrics) {
    Note(metrics_failing_, metrics_.path(), metrics_.Add(metrics));
    if (events_) Note(events_failing_, events_->path(), events_->Add(metrics));
  }
  // Puts what is written onto the disk. May be called by another thread.
  absl::Status Sync() const;
  // Tries once more to write what waits. Errors name the file that lacks lines.
  absl::Status Finish();

private:
  Recorder(MetricsFile metrics, std::function<void(const std::string &)> say)
      : metrics_(std::move(metrics)), say_(std::move(say)) {}
  void Note(bool &failing, const std::string &path, const absl::Status &status);
  MetricsFile metrics_;
  std::optional<EventFile> events_;
  std::function<void(const std::string &)> say_;
  bool metrics_failing_ = false, events_failing_ = false;
};

} // namespace weft
