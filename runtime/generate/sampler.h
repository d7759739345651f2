// Chooses the next token from a model's logits.
#pragma once

#include "absl/status/status.h"
#include "absl/types/span.h"

#include <cstdint>
#include <vector>

namespace weft {

struct SamplingOptions {
  double temperature = 0.8; // 0 = the likeliest token (greedy)
  int64_t top_k = 0;        // only the k likeliest tokens (0 = all)
  double top_p = 1;         // only the likeliest tokens that together have this probability (1 = all)
  uint64_t seed = 1;
};

// InvalidArgument names the option.
absl::Status CheckSampling(const SamplingOptions &options);

struct Sample {
  int32_t token = 0;
  // Of the softmax scaled by temperature, before top-k and top-p; of the unscaled one when greedy. At
  // temperature 1 and 0 it is logits[token] - lse in f32, as evaluation computes it: the same bits.
  float logprob = 0;
};

// Draws with Philox(seed, position) alone, so that a token depends on nothing but logits, options and its
// position. Top-k first, then top-p of what it left; of equal logits the smaller id counts as likelier.
class Sampler {
public:
  explicit Sampler(const SamplingOptions &options) : options_(options) {}
  // logits: (vocab), at least one; lse: their log-sum-exp; `position`: of the token that is chosen.
  Sample Choose(absl::Span<const float> logits, float lse, int64_t position);

private:
  SamplingOptions options_;
  std::vector<int32_t> order_; // kept between calls
  std::vector<double> weights_;
};

// e^x for x <= 0 in f64 additions and multiplications only: the same bits on every machine, which libm does
// not promise. Relative error below 1e-15 (measured); 0 below -700.
double ExpNegative(double x);

} // namespace weft
