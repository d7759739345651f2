#include "runtime/train/schedule.h"
#include "runtime/train/nearest.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace weft {

const std::vector<std::string> &ScheduleNames() {
  static const std::vector<std::string> names = {"constant", "cosine", "linear", "wsd"};
  return names;
}

double Schedule::At(int64_t step) const {
  step = std::clamp<int64_t>(step, 1, steps);
  if (step <= warmup) return lr * static_cast<double>(step) / static_cast<double>(warmup);
  int64_t decay = kind == Kind::constant ? 0 : kind == Kind::wsd ? decay_steps : steps - warmup;
  int64_t begin = steps - decay;
  if (step <= begin) return lr;
  double p = static_cast<double>(step - begin) / static_cast<double>(decay + 1);
  if (kind == Kind::cosine) return min_lr + (lr - min_lr) * 0.5 * (1 + std::cos(std::numbers::pi * p));
  return lr + (min_lr - lr) * p;
}

absl::StatusOr<Schedule> MakeSchedule(const std::string &name, int64_t steps, int64_t warmup,
                                      int64_t decay_steps, double lr, double min_lr) {
  const auto &names = ScheduleNames();
  auto found = std::find(names.begin(), names.end(), name);
  if (found == names.end()) {
    std::string nearest = Nearest(name, names);
    return absl::InvalidArgumentError(absl::StrCat(
        "optimizer.schedule is \"", name, "\" when it should be one of ", absl::StrJoin(names, ", "),
        nearest.empty() ? "" : absl::StrCat("\nhint: did you mean ", nearest, "?")));
  }
  Schedule schedule{
      static_cast<Schedule::Kind>(found - names.begin()), steps, warmup, decay_steps, lr, min_lr};
  if (schedule.kind != Schedule::Kind::wsd) schedule.decay_steps = 0;
  if (warmup + schedule.decay_steps > steps)
    return absl::InvalidArgumentError(absl::StrCat(
        "optimizer.warmup (", warmup, " steps)",
        schedule.decay_steps ? absl::StrCat(" and the decay (", schedule.decay_steps, " steps)")
                             : std::string(),
        schedule.decay_steps ? " do" : " does", " not fit into train.steps (", steps,
        ")\nhint: lower optimizer.warmup", schedule.decay_steps ? " or optimizer.decay_fraction" : ""));
  if (min_lr > lr)
    return absl::InvalidArgumentError(
        absl::StrCat("optimizer.min_lr is ", min_lr, " when it should be at most optimizer.lr, ", lr));
  return schedule;
}

} // namespace weft
