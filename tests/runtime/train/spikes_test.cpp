#include "runtime/train/monitor_state.h"
#include "runtime/train/spikes.h"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <cmath>
#include <random>

namespace weft {
namespace {

SpikeOptions Options(int64_t window = 8, double deviations = 4) {
  return {SpikeAction::skip, deviations, window, 3, 100};
}

TEST(SpikesTest, ThereAreNoLimitsBeforeHalfTheWindow) {
  SpikeDetector detector(Options());
  for (int i = 0; i < 4; ++i) {
    EXPECT_EQ(detector.Limits().loss, FLT_MAX);
    detector.Accept(2, 1);
  }
  EXPECT_LT(detector.Limits().loss, FLT_MAX);
  EXPECT_GT(HUGE_VALF, FLT_MAX); // what is infinite is beyond "none", too
}

TEST(SpikesTest, LimitsAreMedianAndMedianAbsoluteDeviation) {
  SpikeDetector detector(Options());
  for (double loss : {1.0, 3.0, 2.0, 100.0, 4.0, 2.5, 1.5}) detector.Accept(loss, 1);
  // median 2.5; deviations 0 0.5 0.5 1 1.5 1.5 97.5, median 1
  EXPECT_FLOAT_EQ(detector.Limits().loss, 2.5 + 4 * 1.4826 * 1);
  EXPECT_FLOAT_EQ(detector.Limits().grad_norm, 1 + 4 * 0.1); // no deviation at all: a part of the median
}

TEST(SpikesTest, AgreesWithSortingOnRandomWindows) {
  std::mt19937 random(3);
  std::lognormal_distribution<float> values(0, 2);
  for (int round = 0; round < 200; ++round) {
    const int64_t window = 2 + round % 40;
    SpikeDetector detector(Options(window, 6));
    std::vector<float> all;
    for (int i = 0; i < 60; ++i) {
      all.push_back(values(random));
      detector.Accept(all.back(), 1);
    }
    std::vector<double> last(all.end() - window, all.end());
    std::sort(last.begin(), last.end());
    const double median = last[window / 2];
    for (double &x : last) x = std::abs(x - median);
    std::sort(last.begin(), last.end());
    EXPECT_EQ(detector.Limits().loss,
              static_cast<float>(median + 6 * std::max(1.4826 * last[window / 2], 0.01 * median)));
  }
}

TEST(SpikesTest, OffLooksForNone) {
  SpikeOptions options = Options();
  options.action = SpikeAction::off;
  SpikeDetector detector(options);
  for (int i = 0; i < 20; ++i) detector.Accept(1, 1);
  EXPECT_EQ(detector.Limits().loss, FLT_MAX);
}

TEST(SpikesTest, TooManyWithinTheBatchesAreAnError) {
  SpikeDetector detector(Options());
  for (int64_t batch : {10, 20, 30}) EXPECT_TRUE(detector.Note(batch).ok());
  EXPECT_TRUE(detector.Note(110).ok()); // 10 is no longer within 100 batches
  absl::Status status = detector.Note(119);
  EXPECT_TRUE(absl::IsResourceExhausted(status));
  EXPECT_EQ(status.message(), "there were 4 spikes in 100 batches when at most 3 are borne in 100");
}

TEST(SpikesTest, AStateThroughJsonDecidesAlike) {
  std::mt19937 random(5);
  std::lognormal_distribution<float> values(0, 3);
  SpikeDetector a(Options(64)), b(Options(64));
  for (int i = 0; i < 100; ++i) a.Accept(values(random), values(random) * 1e-30);
  ASSERT_TRUE(a.Note(int64_t{1} << 52).ok());
  MonitorState state{{7, 0.1 + 0.2, 3}, a.state(), 5}, read;
  state.spikes.skipped = 9;
  ASSERT_TRUE(ReadMonitor(nlohmann::json::parse(MonitorJson(state).dump()), &read));
  EXPECT_EQ(read.spikes.losses, a.state().losses);
  EXPECT_EQ(read.spikes.grad_norms, a.state().grad_norms);
  EXPECT_EQ(read.spikes.batches, a.state().batches);
  EXPECT_EQ(read.spikes.skipped, 9);
  EXPECT_EQ(read.stopping.best, 0.1 + 0.2);
  EXPECT_EQ(read.stopping.best_step, 7);
  EXPECT_EQ(read.stopping.waited, 3);
  EXPECT_EQ(read.anchor, 5);
  b.set_state(read.spikes);
  EXPECT_EQ(a.Limits().loss, b.Limits().loss);
  EXPECT_EQ(a.Limits().grad_norm, b.Limits().grad_norm);
}

TEST(SpikesTest, AStateWithAWrongFieldIsRefused) {
  MonitorState state, read;
  state.spikes.losses = state.spikes.grad_norms = {1, 2};
  const auto good = nlohmann::json::parse(MonitorJson(state).dump());
  ASSERT_TRUE(ReadMonitor(good, &read));
  const std::pair<const char *, nlohmann::json> wrong[] = {{"losses", "x"},
                                                           {"losses", {1}},
                                                           {"losses", {1, nullptr}},
                                                           {"losses", {1, 1e300}},
                                                           {"skipped", -1},
                                                           {"skipped", 1e3},
                                                           {"skipped", uint64_t{1} << 60},
                                                           {"anchor", nullptr},
                                                           {"spikes", {1, "2"}},
                                                           {"spikes", {-1}},
                                                           {"best", 3},
                                                           {"best", {{"step", 1}}},
                                                           {"waited", {}}};
  for (const auto &[key, value] : wrong) {
    nlohmann::json bad = good;
    bad[key] = value;
    EXPECT_FALSE(ReadMonitor(bad, &read)) << bad;
  }
  EXPECT_FALSE(ReadMonitor(nlohmann::json::array(), &read));
}

} // namespace
} // namespace weft
