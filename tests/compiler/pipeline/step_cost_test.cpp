// The prediction of a program that has not run, against the profiler's of the same program's run.
#include "compiler/cost/step_cost.h"
#include "compiler/pipeline.h"
#include "compiler/write_artifact.h"
#include "mlir/IR/MLIRContext.h"
#include "mlir/Parser/Parser.h"
#include "runtime/artifact/writer.h"
#include "runtime/device/cpu.h"
#include "tests/compiler/dialects_test.h"

#include <gtest/gtest.h>
#include <numeric>

using namespace mlir;
namespace weft {
namespace {

// Layers in a loop, products, a loop over micro-batches, and attention of tokens to those before them.
constexpr const char *kProgram = R"(
  func.func private @layer(%x: tensor<64x48xf32>, %w: tensor<48x48xf32>) -> (tensor<64x48xf32>, tensor<64x48xf32>) {
    %y = graph.matmul %x, %w : (tensor<64x48xf32>, tensor<48x48xf32>) -> tensor<64x48xf32>
    %t = graph.tanh %y : tensor<64x48xf32>
    return %t, %y : tensor<64x48xf32>, tensor<64x48xf32>
  }
  func.func private @micro(%s: tensor<64x48xf32>, %x: tensor<64x48xf32>, %w: tensor<48x48xf32>) -> tensor<64x48xf32> {
    %y = graph.matmul %x, %w : (tensor<64x48xf32>, tensor<48x48xf32>) -> tensor<64x48xf32>
    %z = graph.add %s, %y : tensor<64x48xf32>
    return %z : tensor<64x48xf32>
  }
  func.func @f(%x: tensor<64x48xf32> {weft.name = "x"}, %w: tensor<3x48x48xf32> {weft.name = "w"}, %u: tensor<48x48xf32> {weft.name = "u"},
               %b: tensor<1x64xi32> {weft.name = "begin"}, %e: tensor<1x64xi32> {weft.name = "end"})
      -> (tensor<64x48xf32> {weft.name = "y"}, tensor<3x64x48xf32> {weft.name = "all"}, tensor<1x64x3x16xf32> {weft.name = "o"}, tensor<64x48xf32> {weft.name = "sum"}) attributes {weft.entry} {
    %y, %all = graph.repeat @layer carry(%x) stacked(%w) invariant() range(0, 3) {tied = array<i64: -1>}
        : (tensor<64x48xf32>, tensor<3x48x48xf32>) -> (tensor<64x48xf32>, tensor<3x64x48xf32>)
    %q = graph.reshape %y shape = [1, 64, 3, 16] : tensor<64x48xf32>
    %o, %l = graph.attention %q, %q, %q range %b, %e {scale = 0.25 : f64, key_block = 32 : i64}
        : (tensor<1x64x3x16xf32>, tensor<1x64x3x16xf32>, tensor<1x64x3x16xf32>, tensor<1x64xi32>, tensor<1x64xi32>) -> (tensor<1x64x3x16xf32>, tensor<1x64x3xf32>)
    %sum = graph.repeat @micro carry(%y) stacked() invariant(%x, %u) range(0, 2) {tied = array<i64>}
        : (tensor<64x48xf32>, tensor<64x48xf32>, tensor<48x48xf32>) -> tensor<64x48xf32>
    return %y, %all, %o, %sum : tensor<64x48xf32>, tensor<3x64x48xf32>, tensor<1x64x3x16xf32>, tensor<64x48xf32>
  })";

class StepCost : public DialectsTest {
protected:
  StepCost() {
    module = parseSourceString<ModuleOp>(kProgram, &context);
    EXPECT_TRUE(module && succeeded(runPipeline(*module, PipelineOptions())));
  }

  OwningOpRef<ModuleOp> module;
};

TEST_F(StepCost, IsWhatTheProfilerPredictsOfARun) {
  if (DetectCpuLevel() == CpuLevel::none) GTEST_SKIP() << "this machine is below avx2";
  ArtifactInputs inputs;
  inputs.model = "test";
  inputs.levels = {CpuLevelName(DetectCpuLevel())};
  auto made = makeArtifact(ModuleOp(*module), inputs);
  ASSERT_TRUE(succeeded(made));
  SessionOptions options;
  auto loaded = LoadArtifactFromMemory(SerializeArtifact(*made), "test");
  ASSERT_TRUE(loaded.ok()) << loaded.status();
  options.artifact = *loaded;
  options.threads = 3;
  auto session = Session::Create(options);
  ASSERT_TRUE(session.ok()) << session.status();
  auto entry = (*session)->FindEntry("f");
  ASSERT_TRUE(entry.ok()) << entry.status();

  std::vector<std::vector<char>> memory;
  std::vector<Binding> bindings;
  for (const fb::Argument *argument : *(*session)->entry(*entry).arguments())
    memory.emplace_back(size_t(argument->bytes()));
  for (std::vector<char> &bytes : memory) bindings.push_back({bytes.data(), int64_t(bytes.size())});
  auto *ends = reinterpret_cast<int32_t *>(memory[4].data());
  std::iota(ends, ends + 64, 1);
  Recorder recorder(**session, *entry, nullptr, 1000);
  recorder.Start();
  ASSERT_TRUE((*session)->Run(*entry, bindings).ok());
  recorder.Stop();

  for (const char *level : {"avx2", "avx512", "amx"}) {
    const Calibration machine = NominalMachine(level, 3);
    const std::vector<double> predicted = PredictSteps(recorder, size_t(recorder.num_events()), machine);
    double sum = 0;
    for (auto [i, ns] : llvm::enumerate(predicted)) sum += ns * double(recorder.totals(int32_t(i)).calls);
    EXPECT_GT(sum, 0);
    EXPECT_NEAR(predictEntryNs(*module, "f", machine, 1), sum, sum * 1e-9) << level;
  }
}

TEST_F(StepCost, IsTheSameEachTimeAndZeroWithoutTheEntry) {
  const Calibration machine = NominalMachine("avx512", 2);
  EXPECT_EQ(predictEntryNs(*module, "f", machine, 1), predictEntryNs(*module, "f", machine, 1));
  EXPECT_EQ(predictEntryNs(*module, "g", machine, 1), 0);
}

// A loop that goes round once a micro-batch is followed for two, and goes on like the last of them.
TEST_F(StepCost, MicroBatchesCount) {
  OwningOpRef<ModuleOp> counted = parseSourceString<ModuleOp>(R"(
    func.func private @step(%g: tensor<4xf32>, %x: tensor<800x4xf32>) -> tensor<4xf32> {
      %s = graph.reduce sum %x axes = [0] : (tensor<800x4xf32>) -> tensor<4xf32>
      %r = graph.add %g, %s : tensor<4xf32>
      return %r : tensor<4xf32>
    }
    func.func @f(%n: tensor<i64> {weft.name = "micro_batches"}, %x: tensor<?x800x4xf32> {weft.name = "x"}, %g: tensor<4xf32> {weft.name = "g"})
        -> (tensor<4xf32> {weft.name = "sum"}) attributes {weft.entry} {
      %s = graph.repeat @step carry(%g) stacked(%x) invariant() range(0, 0) {tied = array<i64>, dynamic, parts = 1 : i64}
          : (tensor<4xf32>, tensor<?x800x4xf32>) -> tensor<4xf32>
      return %s : tensor<4xf32>
    })",
                                                              &context);
  ASSERT_TRUE(counted && succeeded(runPipeline(*counted, PipelineOptions())));
  const Calibration machine = NominalMachine("avx512", 2);
  auto ns = [&](int64_t microBatches) { return predictEntryNs(*counted, "f", machine, microBatches); };
  EXPECT_LT(ns(0), ns(1));
  EXPECT_LT(ns(1), ns(2));
  EXPECT_NEAR(ns(1'000'000), ns(4) + 999'996 * (ns(4) - ns(3)), 1e-3 * ns(4));
  EXPECT_NEAR(ns(5) - ns(4), ns(4) - ns(3), 1e-6);
}

} // namespace
} // namespace weft
