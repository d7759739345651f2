// train.trace_nan: a step whose loss or gradient's norm is not finite is made again, and looked at.
#pragma once
#include "runtime/train/ranks.h"

#include "absl/status/status.h"
#include "absl/status/statusor.h"

#include <functional>
#include <string>

namespace weft {

struct TracedNonFinite {
  std::string text;   // what made it: several lines for a reader
  std::string folder; // where the inputs of the launch are kept; "" where they are not
};

// `step` makes the step again from the same state, on the same data; it must leave the state as it is.
// Afterwards weftc follows the kernel's ops on what the launch read, which is written to `folder`. Errors:
// the step's own. A step that turns out finite, or no launch to blame, is an answer.
absl::StatusOr<TracedNonFinite> TraceNonFinite(Ranks &ranks, const std::function<absl::Status()> &step,
                                               const std::string &folder);

} // namespace weft
