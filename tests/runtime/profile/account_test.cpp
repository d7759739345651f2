#include "runtime/profile/account.h"
#include "tests/runtime/profile/profiles.h"

namespace weft {
namespace {

using testing::Axpy, testing::List, testing::Loop, testing::NowNs, testing::Recorded;

struct Made {
  Profile profile;
  std::unique_ptr<Session> session;
};

// Three steps of a session, accounted for as MakeProfile does.
Made ThreeSteps(std::vector<testing::InstructionPtr> body, int threads) {
  Made made;
  made.session = Recorded(960, std::move(body), threads);
  std::vector<std::unique_ptr<Recorder>> recorders;
  recorders.push_back(std::make_unique<Recorder>(*made.session, 0, nullptr, 1000));
  std::vector<RankTimes> times(1);
  std::vector<size_t> events(1);
  for (int step = 0; step < 3; ++step) {
    recorders[0]->Start();
    const int64_t start = NowNs(), begin = NowNs(), data = NowNs();
    EXPECT_TRUE(made.session->Run(0, {}).ok());
    const int64_t run = NowNs(), end = NowNs();
    recorders[0]->Stop();
    times[0].before_ns += begin - start;
    times[0].data_ns += data - begin;
    times[0].run_ns += run - data;
    times[0].after_ns += end - run;
    made.profile.step_ns.push_back(end - start);
    if (step == 0) events[0] = recorders[0]->events().size();
  }
  made.profile.machine = testing::Machine(threads);
  made.profile.threads = threads;
  Account(recorders, times, events, made.profile);
  return made;
}

std::vector<testing::InstructionPtr> Body() {
  return List(testing::Zero(testing::InArena(0, 960)),
              Loop(0, 4, List(Axpy(0, 160, 320), Axpy(320, 160, 480))),
              testing::Copy(testing::InArena(480, 160), testing::InArena(640, 160)),
              testing::AllReduce(testing::InArena(0, 16), fb::DType::f32, 4, 0));
}

TEST(Account, RowsAddUpToTheStepsExactly) {
  for (int threads : {1, 2, 3}) {
    const Profile p = ThreeSteps(Body(), threads).profile;
    for (const auto &rows : {RowsByKernel(p), RowsByLine(p)}) {
      int64_t sum = p.host_ns + p.data_ns + p.other_ranks_ns;
      for (const WorkRow &row : rows) sum += row.work.wall_ns;
      EXPECT_EQ(sum, p.total_ns()) << threads;
    }
    ASSERT_EQ(static_cast<int>(p.thread_times.size()), threads);
    for (const ThreadTime &t : p.thread_times) {
      EXPECT_EQ(t.Sum(), p.total_ns()) << t.thread << " of " << threads;
      for (int64_t part :
           {t.kernels_ns, t.moves_ns, t.communication_ns, t.launch_ns, t.waiting_ns, t.host_ns, t.data_ns})
        EXPECT_GE(part, 0);
    }
    int64_t busy = 0, in_kernels = 0;
    for (const ProfileSite &site : p.sites) busy += site.work.busy_ns;
    for (const ThreadTime &t : p.thread_times) in_kernels += t.kernels_ns + t.moves_ns;
    EXPECT_EQ(busy, in_kernels);
  }
}

TEST(Account, SitesKnowTheirKernelLineAndWork) {
  const Profile p = ThreeSteps(Body(), 2).profile;
  ASSERT_EQ(p.kernels.size(), 1u); // those that were not launched are left out
  EXPECT_EQ(p.kernels[0].name, "axpy");
  EXPECT_EQ(p.kernels[0].unit, "fma");
  EXPECT_EQ(p.kernels[0].work.calls, 3 * 4 * 2);
  EXPECT_EQ(p.kernels[0].work.flops, 3 * 4 * 2 * 80);
  EXPECT_EQ(p.kernels[0].work.bytes, 3 * 4 * 2 * 480);
  EXPECT_GT(p.kernels[0].work.predicted_ns, 0);
  ASSERT_EQ(p.lines.size(), 1u);
  EXPECT_EQ(LineText(p, 0), "model.cc:7 (layers.mlp)");
  ASSERT_EQ(p.sites.size(), 5u);
  EXPECT_EQ(p.sites[0].kind, "zero");
  EXPECT_EQ(p.sites[0].work.bytes, 3 * 960);
  EXPECT_EQ(p.sites[1].line, 0);
  EXPECT_EQ(p.sites[1].loops, 1);
  EXPECT_EQ(p.sites[3].kind, "copy");
  EXPECT_EQ(p.sites[3].work.bytes, 3 * 320);
  EXPECT_EQ(p.sites[4].kind, "all_reduce");
  EXPECT_GT(p.thread_times[0].communication_ns, 0);
  EXPECT_EQ(p.thread_times[1].communication_ns, 0);
  // 960 floating-point operations a step of 2 * 100 GFLOP/s, 5760 bytes of 15 GB/s: memory is the roof.
  EXPECT_DOUBLE_EQ(p.kernels[0].work.roof_ns, 3 * 4 * 2 * 480 / 15.0);
}

TEST(Account, TheRowsOfATableAreSortedByTime) {
  const Profile p = testing::SmallProfile();
  const std::vector<WorkRow> kernels = RowsByKernel(p), lines = RowsByLine(p);
  ASSERT_EQ(kernels.size(), 3u);
  EXPECT_EQ(kernels[0].name, "matmul_0");
  EXPECT_EQ(kernels[0].work.wall_ns, 16'000'000);
  EXPECT_EQ(kernels[0].work.calls, 12);
  EXPECT_EQ(kernels[2].name, "copy");
  EXPECT_EQ(kernels[2].index, -1);
  ASSERT_EQ(lines.size(), 3u);
  EXPECT_EQ(lines[0].name, "llama.cc:24 (layers.self_attn)");
  EXPECT_EQ(lines[1].work.wall_ns, 7'000'000);
}

TEST(Account, MediansOfEvenAndOddNumbers) {
  EXPECT_EQ(Median({}), 0);
  EXPECT_EQ(Median({3}), 3);
  EXPECT_EQ(Median({9, 1}), 5);
  EXPECT_EQ(Median({9, 1, 2}), 2);
}

} // namespace
} // namespace weft
