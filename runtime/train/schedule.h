// Learning rates by step.
#pragma once

#include "absl/status/statusor.h"

#include <cstdint>
#include <string>
#include <vector>

namespace weft {

// Steps count from 1 to `steps`. Warm-up: step t of W has lr * t / W. After it, by `kind`:
//   constant  lr
//   cosine    from lr to min_lr along half a cosine over the steps after warm-up
//   linear    from lr to min_lr in a straight line over the steps after warm-up
//   wsd       lr until `decay_steps` before the end, then linear to min_lr (warm-up, stable, decay: arXiv
//   2404.06395, whose
//             decay is exponential; a straight line does as well and ends at a stated rate)
// A decay of D steps after step s has p = (t - s) / (D + 1) at step t: no step is wasted at lr (p = 0) or at
// 0 (p = 1).
struct Schedule {
  enum class Kind { constant, cosine, linear, wsd };
  Kind kind = Kind::constant;
  int64_t steps = 1, warmup = 0, decay_steps = 0;
  double lr = 1e-3, min_lr = 0;

  // Of step t in [1, steps]; a step outside is taken as the nearest one.
  double At(int64_t step) const;
};

const std::vector<std::string> &ScheduleNames();

// InvalidArgument when the name is unknown, or warm-up and decay do not fit into the steps.
absl::StatusOr<Schedule> MakeSchedule(const std::string &name, int64_t steps, int64_t warmup,
                                      int64_t decay_steps, double lr, double min_lr);

} // namespace weft
