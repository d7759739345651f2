// The kernels in which two ways to fuse a program differ, and the memory that they share when they are timed.
#include "compiler/pipeline.h"
#include "compiler/tune/fusion_ways.h"
#include "mlir/Parser/Parser.h"
#include "passes/codegen/cpu/compile.h"
#include "passes/codegen/cpu/level.h"
#include "runtime/device/cpu.h"
#include "tests/compiler/dialects_test.h"

#include <gtest/gtest.h>

using namespace mlir;
namespace weft {
namespace {

// Op 0 is a product by groups of rows, and op 2 the value that may be computed behind it.
constexpr const char *kProgram = R"(
  func.func @f(%x: tensor<100x64xf32> {weft.name = "x"}, %o: tensor<4xi32> {weft.name = "o"}, %w: tensor<3x64x96xf32> {weft.name = "w"})
      -> (tensor<100x96xf32> {weft.name = "y"}) attributes {weft.entry} {
    %p = graph.grouped_matmul %x, %w, %o : (tensor<100x64xf32>, tensor<3x64x96xf32>, tensor<4xi32>) -> tensor<100x96xf32>
    %e = graph.exp %p : tensor<100x96xf32>
    %y = graph.mul %e, %p : tensor<100x96xf32>
    return %y : tensor<100x96xf32>
  })";

class FusionWays : public DialectsTest {
protected:
  FusionWay way(std::vector<std::string> behind, std::vector<std::string> apart) {
    OwningOpRef<ModuleOp> module = parseSourceString<ModuleOp>(kProgram, &context);
    PipelineOptions options;
    options.behind = behind;
    options.apart = apart;
    EXPECT_TRUE(module && succeeded(runPipeline(*module, options)));
    return FusionWay(std::move(module), 1);
  }
};

TEST_F(FusionWays, AreTheLaunchesThatNotAllHave) {
  FusionWay behind = way({"f:0:2"}, {}), apart = way({}, {"f:0:2"}), again = way({"f:0:2"}, {});
  WaysToTime ways = waysToTime({&behind, &apart}, "f");
  ASSERT_EQ(ways.candidates.size(), 2u);
  ASSERT_EQ(ways.candidates[0].steps.size(), 1u) << "the product with its epilogue";
  ASSERT_EQ(ways.candidates[1].steps.size(), 2u) << "the product, and the loops that read it";
  EXPECT_EQ(std::distance(ways.kernels->getOps<program::KernelOp>().begin(),
                          ways.kernels->getOps<program::KernelOp>().end()),
            3);
  for (const Candidate &c : waysToTime({&behind, &again}, "f").candidates) EXPECT_TRUE(c.steps.empty());
  for (const Candidate &c : waysToTime({&behind, &apart}, "g").candidates) EXPECT_TRUE(c.steps.empty());
}

TEST_F(FusionWays, ShareMemoryAsTheProgramDoes) {
  FusionWay behind = way({"f:0:2"}, {}), apart = way({}, {"f:0:2"});
  WaysToTime ways = waysToTime({&behind, &apart}, "f");
  const std::vector<Candidate::Step> &steps = ways.candidates[1].steps;
  ASSERT_EQ(steps.size(), 2u);
  auto buffer = [&](const Candidate::Step &step, size_t i) {
    return ways.memory.buffers[step.firstBuffer + i];
  };
  size_t made = 0, read = 0;
  while (!buffer(steps[0], made).output) ++made;
  EXPECT_TRUE(buffer(steps[1], read).input);
  EXPECT_EQ(buffer(steps[0], made).block, buffer(steps[1], read).block)
      << "the product is read where it was put";
  EXPECT_EQ(buffer(steps[0], made).offset, buffer(steps[1], read).offset);
  // Where groups end is told by memory that nothing else uses, or rows behind the last were read.
  size_t groups = 0;
  for (const launch_data::Buffer &b : ways.memory.buffers) {
    if (b.type != launch_data::i32) continue;
    ++groups;
    EXPECT_EQ(b.limit, 100);
    EXPECT_EQ(llvm::count_if(ways.memory.buffers,
                             [&](const launch_data::Buffer &other) { return other.block == b.block; }),
              1);
  }
  EXPECT_EQ(groups, 2u) << "one a candidate";
  EXPECT_GE(ways.bytes(), 4 * (100 * 64 + 3 * 64 * 96 + 100 * 96));
}

TEST_F(FusionWays, CanBeTimed) {
  const cpu::CpuLevel *level = cpu::findCpuLevel("avx2");
  if (DetectCpuLevel() == CpuLevel::none) GTEST_SKIP() << "this machine is below avx2";
  FusionWay behind = way({"f:0:2"}, {}), apart = way({}, {"f:0:2"});
  WaysToTime ways = waysToTime({&behind, &apart}, "f");
  auto image = cpu::compileKernels(*ways.kernels, *level);
  ASSERT_TRUE(succeeded(image));
  auto timed = measureCandidates(*image, ways.memory, ways.candidates, Results::notCompared, 2, 20);
  ASSERT_TRUE(std::holds_alternative<std::vector<CandidateTiming>>(timed)) << std::get<std::string>(timed);
  auto &timings = std::get<std::vector<CandidateTiming>>(timed);
  ASSERT_EQ(timings.size(), 2u);
  EXPECT_FALSE(timings[0].seconds.empty());
}

} // namespace
} // namespace weft
