// --check-phases behind the phases that are interpreted: compiled kernels, the program around them, and the
// pass that a difference is traced to. Faults are planted in a module between two phases.
#include "compiler/check/bisect_phase.h"
#include "compiler/check/check_cost.h"
#include "compiler/check/check_kernels.h"
#include "compiler/write_artifact.h"
#include "dialects/graph/graph.h"
#include "dialects/program/program.h"
#include "mlir/Parser/Parser.h"
#include "passes/codegen/cpu/emit.h"
#include "runtime/artifact/writer.h"
#include "runtime/device/cpu.h"
#include <gmock/gmock.h>
#include <gtest/gtest.h>

using namespace mlir;
using ::testing::AllOf;
using ::testing::HasSubstr;
namespace weft::testing {
namespace {

constexpr const char *kProgram = R"(
  func.func @f(%x: tensor<40x24xf32> {weft.name = "x"}, %w: tensor<24x24xf32> {weft.name = "w"})
      -> (tensor<40x24xf32> {weft.name = "y"}) attributes {weft.entry} {
    %a = graph.matmul %x, %w : (tensor<40x24xf32>, tensor<24x24xf32>) -> tensor<40x24xf32> loc("model.cc":2:1)
    %b = graph.matmul %a, %w : (tensor<40x24xf32>, tensor<24x24xf32>) -> tensor<40x24xf32> loc("model.cc":3:1)
    %c = graph.matmul %b, %w : (tensor<40x24xf32>, tensor<24x24xf32>) -> tensor<40x24xf32> loc("model.cc":4:1)
    %t = graph.tanh %a : tensor<40x24xf32> loc("model.cc":5:1)
    %y = graph.add %c, %t : tensor<40x24xf32> loc("model.cc":6:1)
    return %y : tensor<40x24xf32>
  })";

struct Compiled {
  DialectRegistry registry;
  std::unique_ptr<MLIRContext> context;
  OwningOpRef<ModuleOp> module, tiled, fused, scheduled;
  llvm::StringMap<std::string> names;
  std::shared_ptr<const LoadedArtifact> artifact;
  std::string errors;

  // `spoil` is called behind each phase, when what is checked has been taken aside.
  explicit Compiled(std::function<void(Phase, ModuleOp)> spoil, const char *text = kProgram) {
    registerDialects(registry);
    context = std::make_unique<MLIRContext>(registry, MLIRContext::Threading::DISABLED);
    context->loadAllAvailableDialects();
    context->getDiagEngine().registerHandler([this](Diagnostic &d) {
      if (d.getSeverity() == DiagnosticSeverity::Error) errors += d.str() + "\n";
      return success();
    });
    module = parseSourceString<ModuleOp>(text, context.get());
    PipelineOptions options;
    options.afterPhase = [&](const PhaseInfo &phase, ModuleOp m) {
      if (phase.phase == Phase::tile) tiled = m.clone();
      if (phase.phase == Phase::fuse) fused = m.clone();
      if (phase.phase == Phase::schedule) scheduled = m.clone();
      if (phase.phase == Phase::lower) names = kernelsByContent(m);
      spoil(phase.phase, m);
      return success();
    };
    EXPECT_TRUE(module && succeeded(runPipeline(*module, options))) << errors;
    ArtifactInputs inputs;
    inputs.model = "test";
    inputs.levels = {CpuLevelName(DetectCpuLevel())};
    auto made = makeArtifact(ModuleOp(*module), inputs);
    EXPECT_TRUE(succeeded(made)) << errors;
    auto loaded = LoadArtifactFromMemory(SerializeArtifact(*made), "test");
    EXPECT_TRUE(loaded.ok()) << loaded.status();
    artifact = *loaded;
  }
  std::variant<KernelCheck, std::string> check() {
    return checkKernels(*scheduled, names, *module, artifact, CheckOptions());
  }
  std::string problem() {
    auto result = check();
    auto *text = std::get_if<std::string>(&result);
    return text ? *text : "";
  }
};

TEST(CheckKernels, AProgramThatIsInOrderPasses) {
  Compiled c([](Phase, ModuleOp) {});
  auto result = c.check();
  ASSERT_TRUE(std::holds_alternative<KernelCheck>(result)) << std::get<std::string>(result);
  const KernelCheck &check = std::get<KernelCheck>(result);
  EXPECT_GE(check.launches, 3);
  EXPECT_EQ(check.unbounded, 0);
  EXPECT_GT(check.worst.at("matmul").error, 0);
  EXPECT_LE(check.worst.at("matmul").error, 1);
}

TEST(CheckKernels, AKernelThatComputesSomethingElseIsNamedWithItsLine) {
  // The tanh of the epilogue, or of the kernel that it is in, becomes an exp once kernels are known by
  // content.
  Compiled c([](Phase phase, ModuleOp m) {
    if (phase != Phase::plan) return;
    m.walk([](math::TanhOp op) {
      OpBuilder b(op);
      op.replaceAllUsesWith(Value(b.create<math::ExpOp>(op.getLoc(), op.getOperand())));
      op.erase();
    });
  });
  EXPECT_THAT(c.problem(), AllOf(HasSubstr("launch "), HasSubstr("of @f, at "), HasSubstr("model.cc:"),
                                 HasSubstr(" when it should be "), HasSubstr(" is tolerated)"),
                                 HasSubstr("elements are wrong"), HasSubstr("hint: ")));
}

TEST(CheckKernels, ASumThatLeavesOneTermOutIsFound) {
  Compiled c([](Phase phase, ModuleOp m) {
    if (phase != Phase::plan) return;
    m.walk([](program::LaunchOp op) { // a product over one element less
      if (!op.getKernel().starts_with("matmul")) return;
      SmallVector<int64_t> sizes(op.getSizes());
      --sizes[3];
      op.setSizes(sizes);
    });
  });
  // The kernels are right; the program around them is not.
  EXPECT_THAT(c.problem(), AllOf(HasSubstr("@f as a whole: launch "), HasSubstr("is not what stands there")));
}

TEST(CheckKernels, MemoryThatIsPlannedTwiceIsFound) {
  Compiled c([](Phase phase, ModuleOp m) {
    if (phase != Phase::plan) return;
    m.walk([](program::BufferOp op) {
      if (op.getSpace() == program::Space::arena) op.setOffset(0);
    });
  });
  EXPECT_THAT(c.problem(), AllOf(HasSubstr("@f as a whole: launch "), HasSubstr("model.cc:"),
                                 HasSubstr("leaves other bits in buffer")));
}

TEST(CheckKernels, ACopyThatIsLostIsFoundAtTheResult) {
  Compiled c(
      [](Phase phase, ModuleOp m) {
        if (phase != Phase::plan) return;
        SmallVector<Operation *> copies;
        m.walk([&](program::CopyOp op) { copies.push_back(op); });
        EXPECT_FALSE(copies.empty());
        for (Operation *op : copies) op->erase();
      },
      R"(func.func @f(%x: tensor<8xf32> {weft.name = "x"}) -> (tensor<8xf32> {weft.name = "y"}, tensor<8xf32> {weft.name = "z"})
          attributes {weft.entry} {
        %y = graph.tanh %x : tensor<8xf32>
        return %y, %x : tensor<8xf32>, tensor<8xf32>
      })");
  EXPECT_THAT(c.problem(), HasSubstr("output z is not what the last op gave"));
}

TEST(BisectPhase, NamesThePassAndTheOp) {
  // Rounding to bf16 is a pass that changes numbers, and is meant to: here it is the fault.
  Compiled c([](Phase, ModuleOp) {});
  OwningOpRef<ModuleOp> before = parseSourceString<ModuleOp>(kProgram, c.context.get());
  PipelineOptions options;
  options.bf16Unit = "amx";
  OwningOpRef<ModuleOp> after = before->clone();
  ASSERT_TRUE(succeeded(runPhase(*after, Phase::precision, options, [](StringRef, ModuleOp) {})));
  std::string text = bisectPhase(*before, *after, *findPhase("precision"), options, CheckOptions());
  EXPECT_THAT(text, HasSubstr("the first pass that does: `round-factors`"));
  EXPECT_THAT(text,
              HasSubstr("the first op whose result is not what it was: graph.cast, that is model.cc:2"));
}

TEST(BisectPhase, WhatNoPassDoesIsStillTracedToItsOp) {
  Compiled c([](Phase, ModuleOp) {});
  OwningOpRef<ModuleOp> before = parseSourceString<ModuleOp>(kProgram, c.context.get()),
                        after = before->clone();
  after->walk([](graph::TanhOp op) {
    OpBuilder b(op);
    op.replaceAllUsesWith(Value(b.create<graph::ExpOp>(op.getLoc(), op.getType(), op->getOperand(0))));
    op.erase();
  });
  std::string text = bisectPhase(*before, *after, *findPhase("tidy"), PipelineOptions(), CheckOptions());
  EXPECT_THAT(text, AllOf(HasSubstr("none of its passes"), HasSubstr("graph.exp, that is model.cc:5"),
                          HasSubstr("before it, graph.tanh")));
}

TEST(BisectPhase, AFaultOfFusingNamesTheKernelAndTheLinesOfItsOps) {
  Compiled c([](Phase, ModuleOp) {});
  c.fused->walk([](math::TanhOp op) {
    OpBuilder b(op);
    op.replaceAllUsesWith(Value(b.create<math::ExpOp>(op.getLoc(), op.getOperand())));
    op.erase();
  });
  std::string text = bisectPhase(*c.tiled, *c.fused, *findPhase("fuse"), PipelineOptions(), CheckOptions());
  EXPECT_THAT(text, AllOf(HasSubstr("is not what it was: kernel."),
                          HasSubstr("in its region the first is math.exp, that is graph.tanh model.cc:5")));
}

TEST(CheckCost, IsSaidBeforeItIsPaid) {
  DialectRegistry registry;
  registerDialects(registry);
  MLIRContext context(registry, MLIRContext::Threading::DISABLED);
  context.loadAllAvailableDialects();
  auto module = parseSourceString<ModuleOp>(R"(
    graph.variable @w : tensor<65536x65536xf32> {kind = 0 : i64, init = 2 : i64}
    func.func @f(%x: tensor<65536x65536xf32>) -> tensor<65536x65536xf32> attributes {weft.entry} {
      %w = graph.read @w : tensor<65536x65536xf32>
      %y = graph.matmul %x, %w : (tensor<65536x65536xf32>, tensor<65536x65536xf32>) -> tensor<65536x65536xf32>
      return %y : tensor<65536x65536xf32>
    })",
                                            &context);
  ASSERT_TRUE(module);
  CheckCost cost = checkCost(*module, 2);
  EXPECT_GT(cost.seconds, 1e5);
  EXPECT_GE(cost.bytes, 8.0 * 65536 * 65536);
  cost.bytes = 1;
  EXPECT_THAT(costProblem(cost, 600),
              AllOf(HasSubstr("would take about "), HasSubstr("hint: smaller sizes")));
  EXPECT_EQ(costProblem(cost, 0), "");
  cost.bytes = 1e18;
  EXPECT_THAT(costProblem(cost, 0), HasSubstr("when this machine has"));
}

} // namespace
} // namespace weft::testing
