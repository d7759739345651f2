#include "runtime/train/schedule.h"

#include <gtest/gtest.h>

#include <cmath>

namespace weft {
namespace {

Schedule Make(const std::string &name, int64_t steps, int64_t warmup, int64_t decay, double lr,
              double min_lr) {
  auto schedule = MakeSchedule(name, steps, warmup, decay, lr, min_lr);
  EXPECT_TRUE(schedule.ok()) << schedule.status();
  return *schedule;
}

TEST(Schedule, WarmupRisesLinearlyAndReachesTheRateAtItsLastStep) {
  for (const char *name : {"constant", "cosine", "linear", "wsd"}) {
    Schedule s = Make(name, 100, 4, 10, 1.0, 0);
    EXPECT_EQ(s.At(1), 0.25) << name;
    EXPECT_EQ(s.At(2), 0.5) << name;
    EXPECT_EQ(s.At(4), 1.0) << name;
  }
}

TEST(Schedule, ConstantStays) {
  Schedule s = Make("constant", 10, 0, 0, 3e-4, 0);
  for (int step = 1; step <= 10; ++step) EXPECT_EQ(s.At(step), 3e-4);
}

TEST(Schedule, LinearFallsEvenlyAndWastesNoStepAtItsEnds) {
  Schedule s = Make("linear", 3, 0, 0, 1.0, 0);
  EXPECT_EQ(s.At(1), 0.75);
  EXPECT_EQ(s.At(2), 0.5);
  EXPECT_EQ(s.At(3), 0.25);
}

TEST(Schedule, CosineFollowsHalfACosineTowardsTheLeastRate) {
  Schedule s = Make("cosine", 13, 2, 0, 1.0, 0.5);
  EXPECT_NEAR(s.At(8), 0.75, 1e-15); // halfway: p = 6 / 12
  EXPECT_NEAR(s.At(6), 0.5 + 0.25 * (1 + std::cos(M_PI / 3)), 1e-15);
  for (int step = 3; step < 13; ++step) EXPECT_GT(s.At(step), s.At(step + 1));
  EXPECT_GT(s.At(13), 0.5);
}

TEST(Schedule, WsdIsStableUntilItsDecay) {
  Schedule s = Make("wsd", 10, 2, 3, 1.0, 0.2);
  for (int step = 2; step <= 7; ++step) EXPECT_EQ(s.At(step), 1.0);
  EXPECT_NEAR(s.At(8), 0.8, 1e-15);
  EXPECT_NEAR(s.At(9), 0.6, 1e-15);
  EXPECT_NEAR(s.At(10), 0.4, 1e-15);
}

TEST(Schedule, StepsOutsideTheRunTakeTheNearestRate) {
  Schedule s = Make("linear", 3, 0, 0, 1.0, 0);
  EXPECT_EQ(s.At(0), s.At(1));
  EXPECT_EQ(s.At(9), s.At(3));
}

TEST(Schedule, ErrorsNameTheKeysAndAWayOut) {
  EXPECT_EQ(MakeSchedule("cosin", 10, 0, 0, 1, 0).status().message(),
            "optimizer.schedule is \"cosin\" when it should be one of constant, cosine, linear, wsd\n"
            "hint: did you mean cosine?");
  EXPECT_EQ(MakeSchedule("wsd", 10, 8, 3, 1, 0).status().message(),
            "optimizer.warmup (8 steps) and the decay (3 steps) do not fit into train.steps (10)\n"
            "hint: lower optimizer.warmup or optimizer.decay_fraction");
  EXPECT_EQ(MakeSchedule("cosine", 10, 11, 0, 1, 0).status().message(),
            "optimizer.warmup (11 steps) does not fit into train.steps (10)\nhint: lower optimizer.warmup");
  EXPECT_EQ(MakeSchedule("cosine", 10, 1, 0, 1, 2).status().message(),
            "optimizer.min_lr is 2 when it should be at most optimizer.lr, 1");
}

} // namespace
} // namespace weft
