#include "runtime/profile/diff.h"
#include "tests/runtime/profile/profiles.h"

#include <algorithm>
#include <cmath>

namespace weft {
namespace {

using testing::SmallProfile;

// `wall` more nanoseconds in every step for a kernel's first site.
void Slow(Profile &p, int32_t kernel, int64_t wall) {
  for (ProfileSite &site : p.sites)
    if (site.kernel == kernel) {
      site.work.wall_ns += wall * p.steps();
      p.kernels[kernel].work.wall_ns += wall * p.steps();
      for (int64_t &ns : p.step_ns) ns += wall;
      return;
    }
}
const DiffRow &RowOf(const ProfileDiff &diff, const std::string &name) {
  for (const DiffRow &row : diff.rows)
    for (const auto *names : {&row.before, &row.after})
      if (std::find(names->begin(), names->end(), name) != names->end()) return row;
  ADD_FAILURE() << "no row has " << name;
  return diff.rows[0];
}

TEST(Diff, TheRowsAreAllOfTheChange) {
  Profile after = SmallProfile();
  Slow(after, 0, 5'000'000);
  after.host_ns += 1000, after.step_ns[0] += 1000;
  const ProfileDiff diff = CompareProfiles(SmallProfile(), after);
  double before = 0, changed = 0;
  for (const DiffRow &row : diff.rows) before += row.before_ms, changed += row.change_ms();
  EXPECT_NEAR(before, diff.before_ms, 1e-9);
  EXPECT_NEAR(changed, diff.after_ms - diff.before_ms, 1e-9);
  EXPECT_EQ(diff.rows[0].before, std::vector<std::string>{"matmul_0"});
  EXPECT_NEAR(diff.rows[0].change_ms(), 5, 1e-9);
  EXPECT_TRUE(diff.settings.empty());
  EXPECT_TRUE(diff.machine.empty());
}

TEST(Diff, TheSameCodeIsSlowedByTheMachineOrByChance) {
  Profile after = SmallProfile();
  Slow(after, 0, 100'000);
  EXPECT_EQ(RowOf(CompareProfiles(SmallProfile(), after), "matmul_0").why,
            "the same code and work; within the spread of the steps");
  Slow(after, 0, 5'000'000);
  EXPECT_EQ(RowOf(CompareProfiles(SmallProfile(), after), "matmul_0").why,
            "the same code and work, and not what was measured of the machines: other load on them, or other "
            "places in memory");
  after.machine.levels.back().rate.all /= 2;
  after.kernels[0].work.predicted_ns *= 1.5;
  const ProfileDiff diff = CompareProfiles(SmallProfile(), after);
  EXPECT_EQ(diff.machine, std::vector<std::string>{"the rate of memory was 15 and is 7.5 GB/s (-50.0 %)"});
  EXPECT_NE(RowOf(diff, "matmul_0").why.find("+50.0 % are expected"), std::string::npos);
  // A machine that was measured to be faster is no reason to be slower.
  after.kernels[0].work.predicted_ns /= 4;
  EXPECT_NE(RowOf(CompareProfiles(SmallProfile(), after), "matmul_0").why.find("other load on them"),
            std::string::npos);
}

TEST(Diff, OtherProcessesAreSeen) {
  Profile after = SmallProfile();
  after.preemptions = 400;
  after.machine.disturbed = true;
  const std::vector<std::string> expected = {
      "what was measured of it after is too low: other processes ran meanwhile",
      "other processes put threads aside 0 times a step, and now 200 times"};
  EXPECT_EQ(CompareProfiles(SmallProfile(), after).machine, expected);
}

TEST(Diff, AnotherScheduleIsNamed) {
  Profile after = SmallProfile();
  after.kernels[0].name = "matmul_5", after.kernels[0].schedule = "#kernel.schedule<tile_m = 8>";
  const DiffRow row = RowOf(CompareProfiles(SmallProfile(), after), "matmul_0");
  EXPECT_EQ(row.reason, DiffReason::schedule);
  EXPECT_EQ(row.after, std::vector<std::string>{"matmul_5"});
  EXPECT_EQ(row.why, "the schedule was <tile_m = 12> and is <tile_m = 8>");
}

// Fields that schedules no longer have said nothing, or that operands lay where they were.
TEST(Diff, AFieldThatSaysNothingIsNoOtherSchedule) {
  auto with = [](const char *last) {
    Profile p = SmallProfile();
    p.kernels[0].schedule = std::string("#kernel.schedule<tile_m = 12, ") + last + ">";
    return p;
  };
  auto reason = [&](const char *before, const char *after) {
    return RowOf(CompareProfiles(with(before), with(after)), "matmul_0").reason;
  };
  EXPECT_NE(reason("unroll = 2", "in_place = 0"), DiffReason::schedule);
  EXPECT_EQ(reason("unroll = 2", "in_place = 3"), DiffReason::schedule);
  EXPECT_EQ(reason("in_place = 0", "in_place = 2"), DiffReason::schedule);
}

TEST(Diff, OtherSizesAreNamed) {
  Profile after = SmallProfile();
  after.kernels[0].work.flops *= 2;
  const DiffRow row = RowOf(CompareProfiles(SmallProfile(), after), "matmul_0");
  EXPECT_EQ(row.reason, DiffReason::sizes);
  EXPECT_EQ(row.why,
            "the same code has other work: 6 calls, 1.3 GFLOP, 0.7 MB a step were, and 6, 2.6, 0.7 are");
}

TEST(Diff, LinesThatMovedAreFoundByTheirModule) {
  Profile after = SmallProfile();
  for (ProfileLine &line : after.lines) line.line += 3;
  EXPECT_EQ(RowOf(CompareProfiles(SmallProfile(), after), "matmul_0").reason, DiffReason::same);
}

TEST(Diff, OtherKernelsForTheSameLinesAreOtherFusion) {
  Profile after = SmallProfile();
  ProfileKernel second = after.kernels[1];
  second.name = "loops_9";
  for (Work *work : {&second.work, &after.kernels[1].work})
    work->bytes /= 2, work->wall_ns /= 2, work->flops = 7;
  after.kernels[1].schedule = second.schedule = "#kernel.schedule<block_n = 32>";
  after.kernels.push_back(second);
  const DiffRow row = RowOf(CompareProfiles(SmallProfile(), after), "loops_9");
  EXPECT_EQ(row.reason, DiffReason::fusion);
  EXPECT_EQ(row.before, std::vector<std::string>{"loops_0"});
  EXPECT_EQ(row.after, (std::vector<std::string>{"loops_0", "loops_9"}));
  EXPECT_EQ(row.why, "fused otherwise: 1 kernel was made of these lines, and 2 are");
}

TEST(Diff, WhatOnlyOneHasIsSaid) {
  Profile after = SmallProfile();
  after.kernels[1].family = "sort", after.kernels[1].lines = {};
  const ProfileDiff diff = CompareProfiles(SmallProfile(), after);
  int only = 0;
  for (const DiffRow &row : diff.rows) only += row.reason == DiffReason::only;
  EXPECT_EQ(only, 2);
}

TEST(Diff, SettingsAreCompared) {
  Profile after = SmallProfile();
  after.options = {{"seq", "64"}, {"dot_unit", "amx"}};
  after.threads = 4;
  const ProfileDiff diff = CompareProfiles(SmallProfile(), after);
  const std::vector<std::string> expected = {"precision was f32 and is not there", "seq was 32 and is 64",
                                             "threads of a rank was 2 and is 4",
                                             "dot_unit was not there and is amx"};
  EXPECT_EQ(diff.settings, expected);
}

} // namespace
} // namespace weft
