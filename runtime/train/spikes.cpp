#include "runtime/train/spikes.h"

#include "absl/strings/str_cat.h"

#include <algorithm>
#include <cmath>

namespace weft {
namespace {

constexpr double kDeviationOfMad = 1.4826;
constexpr double kPartOfLoss = 0.01, kPartOfNorm = 0.1;

// The upper one of two in the middle.
double Median(std::vector<double> values) {
  auto middle = values.begin() + static_cast<ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

float LimitOf(const std::vector<float> &window, double deviations, double part) {
  std::vector<double> values(window.begin(), window.end());
  const double median = Median(values);
  for (double &value : values) value = std::abs(value - median);
  const double deviation = std::max(kDeviationOfMad * Median(std::move(values)), part * std::abs(median));
  return static_cast<float>(std::min<double>(FLT_MAX, median + deviations * deviation));
}

void Push(std::vector<float> &window, double value, int64_t size) {
  window.push_back(static_cast<float>(value));
  if (static_cast<int64_t>(window.size()) > size)
    window.erase(window.begin(), window.end() - static_cast<ptrdiff_t>(size));
}

} // namespace

SpikeAction SpikeActionOf(const std::string &name) {
  return name == "warn"       ? SpikeAction::warn
         : name == "skip"     ? SpikeAction::skip
         : name == "rollback" ? SpikeAction::rollback
                              : SpikeAction::off;
}

StepLimits SpikeDetector::Limits() const {
  const int64_t enough = std::max<int64_t>(1, options_.window / 2);
  if (options_.action == SpikeAction::off || static_cast<int64_t>(state_.losses.size()) < enough) return {};
  return {LimitOf(state_.losses, options_.deviations, kPartOfLoss),
          LimitOf(state_.grad_norms, options_.deviations, kPartOfNorm)};
}

void SpikeDetector::Accept(double loss, double grad_norm) {
  Push(state_.losses, loss, options_.window);
  Push(state_.grad_norms, grad_norm, options_.window);
}

absl::Status SpikeDetector::Note(int64_t batch) {
  std::vector<int64_t> &batches = state_.batches;
  batches.push_back(batch);
  batches.erase(batches.begin(), std::find_if(batches.begin(), batches.end(),
                                              [&](int64_t b) { return b > batch - options_.within; }));
  if (static_cast<int64_t>(batches.size()) <= options_.most) return absl::OkStatus();
  return absl::ResourceExhaustedError(absl::StrCat("there were ", batches.size(), " spikes in ",
                                                   batch - batches.front() + 1, " batches when at most ",
                                                   options_.most, " are borne in ", options_.within));
}

} // namespace weft
