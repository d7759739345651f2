// Several ranks, as threads, running one artifact.
#include "runtime/comm/local.h"
#include "tests/runtime/executor/session_fixture.h"

#include <functional>
#include <thread>

namespace weft {
namespace {

using fb::ArgumentKind, fb::DType;
using testing::Arg, testing::Argument, testing::Bound, testing::InArena, testing::Launch, testing::List,
    testing::Loop;

std::vector<absl::Status> OnRanks(std::shared_ptr<const LoadedArtifact> artifact, int data, int pipeline,
                                  int threads,
                                  const std::function<absl::Status(Session &, Communicator &)> &body) {
  auto mesh = LocalMesh::Create(data, pipeline);
  auto kernels = KernelLibrary::Load(*artifact);
  EXPECT_TRUE(kernels.ok()) << kernels.status();
  std::vector<absl::Status> results((*mesh)->size());
  std::vector<std::thread> ranks;
  for (int rank = 0; rank < (*mesh)->size(); ++rank)
    ranks.emplace_back([&, rank] {
      SessionOptions options;
      options.artifact = artifact;
      options.kernels = *kernels;
      options.communicator = &(*mesh)->communicator(rank);
      options.threads = threads;
      auto session = Session::Create(options);
      results[rank] = session.ok() ? body(**session, *options.communicator) : session.status();
    });
  for (std::thread &rank : ranks) rank.join();
  return results;
}

// y = sum over data-parallel ranks of 3 x, in the arena.
std::shared_ptr<const LoadedArtifact> SumArtifact(int data_parallel) {
  fb::ArtifactT artifact = testing::WithKernels();
  auto option = std::make_unique<fb::OptionT>();
  option->key = "data_parallel";
  option->value = std::to_string(data_parallel);
  artifact.options.push_back(std::move(option));
  auto body =
      List(testing::Zero(InArena(0, 4000)),
           Launch(testing::kAxpy, List(InArena(0, 4000), Arg(0, 0, 4000), InArena(0, 4000)), {3}, 1000, 16),
           testing::AllReduce(InArena(0, 4000), DType::f32, 1000, 0),
           testing::Copy(InArena(0, 4000), Arg(1, 0, 4000)));
  artifact.stages.push_back(
      testing::Stage(0, {},
                     List(testing::Entry("run", 4000,
                                         List(Argument("x", ArgumentKind::input, DType::f32, {1000}),
                                              Argument("y", ArgumentKind::output, DType::f32, {1000})),
                                         std::move(body)))));
  return testing::Load(artifact);
}

TEST(Ranks, AllReduceGivesTheSameBitsForAnyNumberOfThreads) {
  for (int ranks = 1; ranks <= 3; ++ranks) {
    std::vector<float> first;
    for (int threads = 1; threads <= 4; ++threads) {
      std::vector<std::vector<float>> ys(ranks, std::vector<float>(1000));
      auto results = OnRanks(SumArtifact(ranks), ranks, 1, threads, [&](Session &session, Communicator &c) {
        std::vector<float> x(1000);
        for (int i = 0; i < 1000; ++i) x[i] = float((i + 1) * (c.rank() + 1)) / 7;
        for (int run = 0; run < 5; ++run)
          if (absl::Status s = session.Run(0, {Bound(x), Bound(ys[c.rank()])}); !s.ok()) return s;
        return absl::OkStatus();
      });
      for (const absl::Status &status : results) ASSERT_TRUE(status.ok()) << status;
      if (first.empty()) first = ys[0];
      for (const auto &y : ys) EXPECT_TRUE(y == first) << ranks << " ranks, " << threads << " threads";
      EXPECT_NEAR(first[699], 300.0f * (ranks * (ranks + 1) / 2), 1e-3 * 1800);
    }
  }
}

// Stage 0 sends 2 x of each of four micro-batches and gets back what stage 1 made of it: 2 * (2 x) + 1 …
std::shared_ptr<const LoadedArtifact> PipelineArtifact() {
  fb::ArtifactT artifact = testing::WithKernels();
  auto double_it = [](testing::RefPtr in, testing::RefPtr out) {
    return Launch(testing::kThroughScratch, List(std::move(in), std::move(out)), {100}, 8);
  };
  auto forward = List(double_it(Arg(0, 0, 32, {{0, 32}}), InArena(0, 32)),
                      testing::Message<fb::SendT>(InArena(0, 32), 1, 1, 1));
  auto backward = List(testing::Message<fb::ReceiveT>(Arg(1, 0, 32, {{0, 32}}), 1, 1, 2));
  artifact.stages.push_back(testing::Stage(
      0, {},
      List(testing::Entry("run", 32,
                          List(Argument("x", ArgumentKind::input, DType::f32, {4, 8}),
                               Argument("y", ArgumentKind::output, DType::f32, {4, 8})),
                          List(Loop(0, 4, std::move(forward)), Loop(0, 4, std::move(backward), true))))));
  auto take = List(testing::Message<fb::ReceiveT>(InArena(0, 32, {{0, 32}}), 1, 0, 1));
  auto give = List(double_it(InArena(0, 32, {{0, 32}}), InArena(128, 32)),
                   testing::Message<fb::SendT>(InArena(128, 32), 1, 0, 2));
  artifact.stages.push_back(testing::Stage(
      0, {},
      List(testing::Entry("run", 160, {},
                          List(Loop(0, 4, std::move(take)), Loop(0, 4, std::move(give), true))))));
  return testing::Load(artifact);
}

TEST(Ranks, PipelineStagesExchangeMicroBatches) {
  auto results = OnRanks(PipelineArtifact(), 2, 2, 1, [&](Session &session, Communicator &c) {
    EXPECT_EQ(session.stage_index(), c.position(kPipelineAxis));
    for (int run = 0; run < 10; ++run) {
      if (session.stage_index() == 1) {
        if (absl::Status s = session.Run(0, {}); !s.ok()) return s;
        continue;
      }
      std::vector<float> x(32), y(32);
      for (int i = 0; i < 32; ++i) x[i] = float(i + 100 * c.position(kDataAxis) + run);
      if (absl::Status s = session.Run(0, {Bound(x), Bound(y)}); !s.ok()) return s;
      for (int i = 0; i < 32; ++i) EXPECT_EQ(y[i], 4 * x[i]);
    }
    return absl::OkStatus();
  });
  for (const absl::Status &status : results) EXPECT_TRUE(status.ok()) << status;
}

TEST(Ranks, AFailingRankReleasesTheOthers) {
  auto results = OnRanks(SumArtifact(3), 3, 1, 1, [&](Session &session, Communicator &c) {
    std::vector<float> x(c.rank() == 1 ? 999 : 1000), y(1000);
    return session.Run(0, {Bound(x), Bound(y)});
  });
  for (const absl::Status &status : results)
    EXPECT_EQ(status.message(), "argument 'x' of entry 'run': has 3996 bytes when it should have 4000");
}

TEST(Ranks, RefusesAnotherMesh) {
  auto none = [](Session &, Communicator &) { return absl::OkStatus(); };
  EXPECT_EQ(OnRanks(SumArtifact(2), 1, 1, 1, none)[0].message(),
            "f.weft: was compiled for 2 data-parallel ranks when the mesh has 1: run it on that many, or "
            "compile it for this mesh");
  EXPECT_EQ(OnRanks(PipelineArtifact(), 1, 1, 1, none)[0].message(),
            "f.weft: has 2 pipeline stages when the mesh has 1: run it on that many ranks, or compile it for "
            "this mesh");
  SessionOptions alone;
  alone.artifact = SumArtifact(2);
  EXPECT_EQ(Session::Create(alone).status().code(), absl::StatusCode::kFailedPrecondition);
}

TEST(Ranks, RefusesAPeerThatIsNotThere) {
  fb::ArtifactT artifact = testing::WithKernels();
  artifact.stages.push_back(testing::Stage(
      0, {}, List(testing::Entry("run", 8, {}, List(testing::Message<fb::SendT>(InArena(0, 8), 1, 3, 0))))));
  SessionOptions options;
  options.artifact = testing::Load(artifact);
  EXPECT_EQ(Session::Create(options).status().message(),
            "entry 'run' talks to position 3 of axis 1, which has 1 ranks");
}

} // namespace
} // namespace weft
