#include "runtime/generate/sampler.h"

#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <set>

namespace weft {
namespace {

const std::vector<float> kLogits = {1.0f, 3.0f, 2.0f, 3.0f, -1.0f};

float LogSumExp(const std::vector<float> &logits) {
  double sum = 0;
  for (float logit : logits) sum += std::exp(double(logit));
  return static_cast<float>(std::log(sum));
}

std::map<int32_t, int> Draw(const SamplingOptions &options, int count) {
  Sampler sampler(options);
  std::map<int32_t, int> counts;
  for (int i = 0; i < count; ++i) ++counts[sampler.Choose(kLogits, LogSumExp(kLogits), i).token];
  return counts;
}

std::vector<double> Probabilities(double temperature, std::set<int32_t> kept = {0, 1, 2, 3, 4}) {
  std::vector<double> p(kLogits.size());
  double sum = 0;
  for (int32_t i : kept) sum += p[i] = std::exp(kLogits[i] / temperature);
  for (double &value : p) value /= sum;
  return p;
}

// Counts within five standard deviations of what the probabilities say.
void ExpectDistribution(const SamplingOptions &options, const std::vector<double> &p) {
  const int count = 200000;
  auto counts = Draw(options, count);
  for (size_t i = 0; i < p.size(); ++i) {
    EXPECT_NEAR(counts[i], p[i] * count, 5 * std::sqrt(p[i] * (1 - p[i]) * count) + (p[i] > 0 ? 1 : 0))
        << "token " << i;
  }
}

TEST(Sampler, GreedyTakesTheLikeliestAndOfEqualOnesTheFirst) {
  Sampler sampler({.temperature = 0});
  Sample sample = sampler.Choose(kLogits, LogSumExp(kLogits), 0);
  EXPECT_EQ(sample.token, 1);
  EXPECT_EQ(sample.logprob, 3.0f - LogSumExp(kLogits));
}

TEST(Sampler, FrequenciesFollowTheSoftmaxAtEveryTemperature) {
  for (double t : {0.5, 1.0, 2.0}) ExpectDistribution({.temperature = t}, Probabilities(t));
}

TEST(Sampler, TopKKeepsTheLikeliestWithTheirRatios) {
  ExpectDistribution({.temperature = 1, .top_k = 3}, Probabilities(1, {1, 2, 3}));
  ExpectDistribution({.temperature = 1, .top_k = 1}, Probabilities(1, {1}));
  ExpectDistribution({.temperature = 1, .top_k = 99}, Probabilities(1));
}

TEST(Sampler, TopPKeepsTheFewestThatReachIt) {
  // p = 0.39 0.39 0.14 0.05 0.007 in falling order
  ExpectDistribution({.temperature = 1, .top_p = 0.3}, Probabilities(1, {1}));
  ExpectDistribution({.temperature = 1, .top_p = 0.5}, Probabilities(1, {1, 3}));
  ExpectDistribution({.temperature = 1, .top_p = 0.9}, Probabilities(1, {1, 2, 3}));
  ExpectDistribution({.temperature = 1, .top_k = 3, .top_p = 0.8},
                     Probabilities(1, {1, 3})); // of what top-k left
}

TEST(Sampler, ADrawDependsOnSeedAndPositionAlone) {
  Sampler a({.temperature = 1, .seed = 7}), b({.temperature = 1, .seed = 7}),
      c({.temperature = 1, .seed = 8});
  float lse = LogSumExp(kLogits);
  std::vector<int32_t> forward, backward(100), other;
  for (int i = 0; i < 100; ++i) forward.push_back(a.Choose(kLogits, lse, i).token);
  for (int i = 99; i >= 0; --i) backward[i] = b.Choose(kLogits, lse, i).token;
  for (int i = 0; i < 100; ++i) other.push_back(c.Choose(kLogits, lse, i).token);
  EXPECT_EQ(forward, backward);
  EXPECT_NE(forward, other);
}

TEST(Sampler, LogProbabilitiesAreThoseOfTheScaledSoftmaxBeforeTopK) {
  Sampler one({.temperature = 1, .top_k = 2}), half({.temperature = 0.5, .top_k = 2});
  Sample sample = one.Choose(kLogits, LogSumExp(kLogits), 3);
  EXPECT_EQ(sample.logprob, kLogits[sample.token] - LogSumExp(kLogits)); // to the bit, as evaluation has it
  sample = half.Choose(kLogits, LogSumExp(kLogits), 3);
  EXPECT_NEAR(sample.logprob, std::log(Probabilities(0.5)[sample.token]), 1e-6);
}

TEST(Sampler, InfinitelyUnlikelyTokensAreNeverDrawn) {
  std::vector<float> logits = {-INFINITY, 0.0f, -INFINITY};
  Sampler sampler({.temperature = 100});
  for (int i = 0; i < 1000; ++i) EXPECT_EQ(sampler.Choose(logits, 0, i).token, 1);
}

TEST(Sampler, ExpIsAsGoodAsTheLibrarys) {
  for (double x = 0; x > -700; x -= 0.0137) EXPECT_NEAR(ExpNegative(x) / std::exp(x), 1, 1e-15) << x;
  EXPECT_EQ(ExpNegative(0), 1);
  EXPECT_EQ(ExpNegative(-INFINITY), 0);
}

TEST(Sampler, OptionsOutOfRangeAreNamed) {
  EXPECT_EQ(CheckSampling({.temperature = -1}).message(),
            "the temperature is -1 when it should be at least 0 (0 = greedy)");
  EXPECT_EQ(CheckSampling({.top_k = -1}).message(), "top-k is -1 when it should be at least 0 (0 = all)");
  EXPECT_EQ(CheckSampling({.top_p = 0}).message(),
            "top-p is 0 when it should be above 0 and at most 1 (1 = all)");
  EXPECT_FALSE(CheckSampling({.temperature = std::nan("")}).ok());
}

} // namespace
} // namespace weft
