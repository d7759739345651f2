#include "runtime/train/early_stopping.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

#include <cmath>

namespace weft {

bool EarlyStopping::Add(int64_t step, double loss) {
  if (std::isfinite(loss) && (state_.best_step < 0 || loss < state_.best - options_.min_improvement)) {
    state_ = {step, loss, 0};
    return true;
  }
  ++state_.waited;
  return false;
}

std::string EarlyStopping::Reason() const {
  std::string by =
      options_.min_improvement > 0 ? absl::StrCat(" by more than ", options_.min_improvement) : "";
  std::string lowest = state_.best_step < 0 ? "; it was never finite"
                                            : absl::StrFormat("; the lowest was %.4f at step %d", state_.best,
                                                              state_.best_step);
  return absl::StrCat("the validation loss has not fallen", by, " for ", state_.waited,
                      state_.waited == 1 ? " evaluation" : " evaluations", lowest);
}

} // namespace weft
