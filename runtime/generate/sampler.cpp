#include "runtime/generate/sampler.h"
#include "runtime/data/philox.h"

#include "absl/strings/str_cat.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace weft {
namespace {

constexpr uint64_t kSamplingStream = 0x73616d706c65; // "sample": apart from other uses of the seed

} // namespace

double ExpNegative(double x) {
  if (!(x > -700)) return 0;
  // x = k ln 2 + r with |r| <= ln 2 / 2; ln 2 in two parts, so that k times the first is exact.
  constexpr double kLn2High = 0x1.62e42fee00000p-1, kLn2Low = 0x1.a39ef35793c76p-33,
                   kInverseLn2 = 1.4426950408889634;
  double k = std::nearbyint(x * kInverseLn2);
  double r = (x - k * kLn2High) - k * kLn2Low;
  // Taylor to r^13 / 13!: what is left out is below 0.3466^14 / 14! = 4e-18.
  double sum = 1;
  for (int i = 13; i >= 1; --i) sum = 1 + sum * r / i;
  return std::ldexp(sum, static_cast<int>(k));
}

absl::Status CheckSampling(const SamplingOptions &o) {
  if (!(o.temperature >= 0) || o.temperature > 1e6)
    return absl::InvalidArgumentError(
        absl::StrCat("the temperature is ", o.temperature, " when it should be at least 0 (0 = greedy)"));
  if (o.top_k < 0)
    return absl::InvalidArgumentError(
        absl::StrCat("top-k is ", o.top_k, " when it should be at least 0 (0 = all)"));
  if (!(o.top_p > 0) || o.top_p > 1)
    return absl::InvalidArgumentError(
        absl::StrCat("top-p is ", o.top_p, " when it should be above 0 and at most 1 (1 = all)"));
  return absl::OkStatus();
}

Sample Sampler::Choose(absl::Span<const float> logits, float lse, int64_t position) {
  int32_t best = 0;
  const int32_t vocab = static_cast<int32_t>(logits.size());
  for (int32_t i = 1; i < vocab; ++i)
    if (logits[i] > logits[best]) best = i;
  if (options_.temperature == 0 || options_.top_k == 1) return {best, logits[best] - lse};

  // Probabilities times a common factor, the likeliest token's being 1.
  weights_.resize(vocab);
  double all = 0;
  for (int32_t i = 0; i < vocab; ++i) {
    weights_[i] = ExpNegative((static_cast<double>(logits[i]) - static_cast<double>(logits[best])) /
                              options_.temperature);
    all += weights_[i];
  }
  auto likelier = [&](int32_t a, int32_t b) {
    return logits[a] != logits[b] ? logits[a] > logits[b] : a < b;
  };
  order_.resize(vocab);
  std::iota(order_.begin(), order_.end(), 0);
  if (options_.top_k > 0 && options_.top_k < vocab) {
    std::nth_element(order_.begin(), order_.begin() + options_.top_k, order_.end(), likelier);
    order_.resize(options_.top_k);
  }
  if (options_.top_p < 1) {
    std::sort(order_.begin(), order_.end(), likelier);
    double kept = 0, total = 0;
    for (int32_t i : order_) total += weights_[i];
    size_t count = 0;
    while (count < order_.size() && kept < options_.top_p * total) kept += weights_[order_[count++]];
    order_.resize(std::max<size_t>(count, 1));
  }
  std::sort(order_.begin(),
            order_.end()); // by id, so that the sum's order does not depend on how the set was found
  double total = 0;
  for (int32_t i : order_) total += weights_[i];
  auto words = Philox(options_.seed, kSamplingStream, static_cast<uint64_t>(position));
  uint64_t bits = (uint64_t{words[0]} << 32 | words[1]) >> 11;
  double at = static_cast<double>(bits) * 0x1p-53 * total, sum = 0;
  int32_t chosen = order_.back();
  for (int32_t i : order_) {
    sum += weights_[i];
    if (at < sum) {
      chosen = i;
      break;
    }
  }
  if (options_.temperature == 1) return {chosen, logits[chosen] - lse};
  double scaled =
      (static_cast<double>(logits[chosen]) - static_cast<double>(logits[best])) / options_.temperature;
  return {chosen, static_cast<float>(scaled - std::log(all))};
}

} // namespace weft
