// From what was recorded to a profile: where every nanosecond of the measured steps went.
#pragma once
#include "runtime/profile/profile.h"
#include "runtime/profile/recorder.h"

#include <memory>
#include <vector>

namespace weft {

// One rank's measured steps, summed: from a step's start to the rank's (before), filling its rows (data), the
// program (run), and from its end to the step's (after).
struct RankTimes {
  int64_t before_ns = 0, data_ns = 0, run_ns = 0, after_ns = 0;
};

// Fills in what follows from the recordings, a recorder and times a rank: lines, kernels, sites, host, data,
// other ranks, threads. `profile` has its machine, ranks, threads and steps. `events_of_step`: how many of a
// rank's kept events the first measured step is, for predictions.
void Account(const std::vector<std::unique_ptr<Recorder>> &recorders, const std::vector<RankTimes> &times,
             const std::vector<size_t> &events_of_step, Profile &profile);

} // namespace weft
