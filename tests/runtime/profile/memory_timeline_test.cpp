#include "runtime/profile/memory_timeline.h"
#include "tests/runtime/profile/profiles.h"

namespace weft {
namespace {

using testing::Axpy, testing::InArena, testing::List, testing::Loop, testing::Recorded;

MemoryTimeline Timeline(std::vector<testing::InstructionPtr> body, size_t most_events = 100) {
  auto session = Recorded(960, std::move(body));
  Recorder recorder(*session, 0, nullptr, most_events);
  recorder.Start();
  const int64_t start = testing::NowNs();
  EXPECT_TRUE(session->Run(0, {}).ok());
  MemoryTimeline timeline = TraceMemory(recorder, recorder.events().size(), start);
  for (size_t i = 0; i < timeline.points.size(); ++i)
    EXPECT_GE(timeline.points[i].first, i ? timeline.points[i - 1].first : 0);
  return timeline;
}

std::vector<int64_t> Bytes(const MemoryTimeline &timeline) {
  std::vector<int64_t> bytes;
  for (const auto &[ns, b] : timeline.points) bytes.push_back(b);
  return bytes;
}

TEST(MemoryTimeline, AValueLivesFromItsWriteToItsLastRead) {
  // a and b are zeroed; c = a + b; d = c + b over a's place.
  const MemoryTimeline timeline =
      Timeline(List(testing::Zero(InArena(0, 320)), Axpy(0, 160, 320), Axpy(320, 160, 0)));
  EXPECT_EQ(Bytes(timeline), (std::vector<int64_t>{320, 480, 480}));
  EXPECT_EQ(timeline.arena_bytes, 960);
  EXPECT_EQ(timeline.peak_bytes, 480);
  ASSERT_EQ(timeline.owners.size(), 2u);
  EXPECT_EQ(timeline.owners[0].what, "zeroed");
  EXPECT_EQ(timeline.owners[0].bytes, 320);
  EXPECT_EQ(timeline.owners[1].what, "axpy");
  EXPECT_EQ(timeline.owners[1].line, 0);
}

TEST(MemoryTimeline, WhatIsWrittenInPlaceCountsOnce) {
  const MemoryTimeline timeline =
      Timeline(List(testing::Zero(InArena(0, 320)), Axpy(0, 160, 0), Axpy(0, 160, 0)));
  EXPECT_EQ(Bytes(timeline), (std::vector<int64_t>{320, 320, 320}));
}

TEST(MemoryTimeline, WhatIsReadBeforeItIsWrittenWasThereBefore) {
  const MemoryTimeline timeline = Timeline(List(testing::Zero(InArena(640, 160)), Axpy(0, 160, 320)));
  EXPECT_EQ(Bytes(timeline), (std::vector<int64_t>{160 + 320, 320 + 160}));
  EXPECT_EQ(timeline.owners[0].what, "there when the step began");
}

TEST(MemoryTimeline, AValueThatIsWrittenOverInPartLivesInTheRest) {
  // The second write takes the middle of the first; the rest is read at the end.
  const MemoryTimeline timeline =
      Timeline(List(testing::Zero(InArena(0, 480)), testing::Zero(InArena(160, 160)),
                    testing::Copy(InArena(0, 480), InArena(480, 480))));
  EXPECT_EQ(Bytes(timeline), (std::vector<int64_t>{480, 480, 960}));
}

TEST(MemoryTimeline, LoopsAreFollowedThroughTheirStrides) {
  auto ref = [](int64_t offset) { return InArena(offset, 160, {{0, 160}}); };
  auto launch = testing::Launch(testing::kAxpy, List(InArena(0, 160), InArena(0, 160), ref(160)), {2}, 40);
  const MemoryTimeline timeline =
      Timeline(List(testing::Zero(InArena(0, 160)), Loop(0, 3, List(std::move(launch))),
                    testing::Copy(InArena(160, 320), InArena(640, 320))));
  EXPECT_EQ(Bytes(timeline), (std::vector<int64_t>{160, 320, 480, 640, 640}));
}

TEST(MemoryTimeline, ManyInstructionsBecomeFewPointsThatKeepThePeak) {
  const MemoryTimeline timeline = Timeline(List(Loop(0, 3000, List(testing::Zero(InArena(0, 16)))),
                                                testing::Copy(InArena(0, 480), InArena(480, 480))),
                                           5000);
  EXPECT_LE(timeline.points.size(), 800u);
  EXPECT_EQ(timeline.points.back().second, 960);
  EXPECT_EQ(timeline.peak_bytes, 960);
}

} // namespace
} // namespace weft
