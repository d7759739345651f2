// trace.json: the first measured steps as Perfetto (ui.perfetto.dev) and chrome://tracing show them.
#pragma once
#include "runtime/profile/profile.h"
#include "runtime/profile/recorder.h"

#include "absl/status/status.h"

#include <memory>
#include <string>
#include <vector>

namespace weft {

// One measured step of one rank, on steady_clock.
struct TracedStep {
  int64_t start_ns = 0, begin_ns = 0, data_ns = 0, run_end_ns = 0, end_ns = 0;
};

// Writes the events that the recorders have kept, as the Trace Event Format's JSON: a process a rank, a track
// a thread and one for the phases of a step; a launch's kernel, model line and loop iterations are its
// arguments. `steps`: by rank, the measured steps. Times are microseconds from the first step's start. Errors
// name the file.
absl::Status WriteTrace(const std::string &path, const std::vector<std::unique_ptr<Recorder>> &recorders,
                        const std::vector<std::vector<TracedStep>> &steps, const MemoryTimeline &memory);

} // namespace weft
