#include "runtime/profile/recorder.h"
#include "tests/runtime/profile/profiles.h"

namespace weft {
namespace {

using testing::Axpy, testing::List, testing::Loop, testing::Recorded;

TEST(Recorder, CountsEachInstructionAndKeepsTheFirstExecutions) {
  auto session = Recorded(480, List(testing::Zero(testing::InArena(0, 480)),
                                    Loop(0, 3, List(Loop(0, 2, List(Axpy(0, 160, 320)), true)))));
  Recorder recorder(*session, 0, nullptr, 5);
  ASSERT_TRUE(session->Run(0, {}).ok()); // not recorded
  recorder.Start();
  ASSERT_TRUE(session->Run(0, {}).ok());
  recorder.Stop();
  ASSERT_TRUE(session->Run(0, {}).ok());

  EXPECT_EQ(recorder.num_events(), 7);
  ASSERT_EQ(recorder.events().size(), 5u);
  const int32_t zero = recorder.events()[0].step, axpy = recorder.events()[1].step;
  EXPECT_EQ(recorder.program().steps[zero].kind, StepKind::zero);
  EXPECT_EQ(recorder.totals(zero).calls, 1);
  EXPECT_EQ(recorder.totals(axpy).calls, 6);
  EXPECT_EQ(recorder.depth(zero), 0);
  EXPECT_EQ(recorder.depth(axpy), 2);
  EXPECT_LE(recorder.totals(axpy).least_ns, recorder.totals(axpy).most_ns);
  const std::pair<int64_t, int64_t> iterations[] = {{0, 1}, {0, 0}, {1, 1}, {1, 0}};
  for (int i = 0; i < 4; ++i) {
    EXPECT_EQ(recorder.event_counters(i + 1)[0], iterations[i].first);
    EXPECT_EQ(recorder.event_counters(i + 1)[1], iterations[i].second);
  }
  int64_t busy = 0;
  for (int t = 0; t < 2; ++t) {
    const ShareTotals &share = recorder.share(axpy, t);
    EXPECT_EQ(share.launch_ns + share.busy_ns + share.waiting_ns, recorder.totals(axpy).wall_ns);
    busy += share.busy_ns;
    const int64_t *times = recorder.event_share(1, t);
    if (times[1] == 0) continue; // came too late
    EXPECT_GE(times[0], recorder.events()[1].start_ns);
    EXPECT_LE(times[1], recorder.events()[1].end_ns);
  }
  EXPECT_GT(busy, 0);
}

TEST(Recorder, AThreadWithoutAShareWaits) {
  auto session = Recorded(480, List(Axpy(0, 160, 320, 1)));
  Recorder recorder(*session, 0, nullptr, 1);
  recorder.Start();
  ASSERT_TRUE(session->Run(0, {}).ok());
  const int32_t step = recorder.events()[0].step;
  EXPECT_EQ(recorder.share(step, 1).waiting_ns, recorder.totals(step).wall_ns);
  EXPECT_EQ(recorder.share(step, 1).busy_ns, 0);
  EXPECT_EQ(recorder.event_share(0, 1)[1], 0);
}

TEST(Recorder, KeepsNoEventWhereNoneAreAskedFor) {
  auto session = Recorded(480, List(Axpy(0, 160, 320)));
  Recorder recorder(*session, 0, nullptr, 0);
  recorder.Start();
  ASSERT_TRUE(session->Run(0, {}).ok());
  EXPECT_TRUE(recorder.events().empty());
  EXPECT_EQ(recorder.num_events(), 1);
}

} // namespace
} // namespace weft
