// What a launch says of its work when its kernel gets another schedule.
#include "compiler/pipeline.h"
#include "compiler/tune/tuning_sites.h"
#include "mlir/IR/MLIRContext.h"
#include "mlir/Parser/Parser.h"
#include "tests/compiler/dialects_test.h"

#include <gtest/gtest.h>

using namespace mlir;
namespace weft {
namespace {

// Two products, whose factors are packed along and across; code of elements.
constexpr const char *kProgram = R"(
  func.func @f(%x: tensor<200x90xf32> {weft.name = "x"}, %w: tensor<90x300xf32> {weft.name = "w"}, %v: tensor<70x300xf32> {weft.name = "v"})
      -> (tensor<200x70xf32> {weft.name = "y"}, tensor<90x300xf32> {weft.name = "dw"}) attributes {weft.entry} {
    %a = graph.matmul %x, %w : (tensor<200x90xf32>, tensor<90x300xf32>) -> tensor<200x300xf32>
    %e = graph.exp %a : tensor<200x300xf32>
    %y = graph.matmul %e, %v {transpose_rhs} : (tensor<200x300xf32>, tensor<70x300xf32>) -> tensor<200x70xf32>
    %dw = graph.matmul %x, %e {transpose_lhs} : (tensor<200x90xf32>, tensor<200x300xf32>) -> tensor<90x300xf32>
    return %y, %dw : tensor<200x70xf32>, tensor<90x300xf32>
  })";

class TuningSites : public DialectsTest {
protected:
  // The planned program; `scheduled` is called before kernels are outlined.
  OwningOpRef<ModuleOp> compile(llvm::function_ref<void(ModuleOp)> scheduled) {
    OwningOpRef<ModuleOp> module = parseSourceString<ModuleOp>(kProgram, &context);
    PipelineOptions options;
    options.afterPhase = [&](const PhaseInfo &phase, ModuleOp m) {
      if (phase.phase == Phase::schedule) scheduled(m);
      return success();
    };
    EXPECT_TRUE(module && succeeded(runPipeline(*module, options)));
    return module;
  }
  static kernel::ScheduleAttr smaller(kernel::ScheduleAttr s) {
    return kernel::ScheduleAttr::get(s.getContext(), s.getTileM(), s.getTileN(), s.getBlockM(),
                                     s.getTileN() * 2, 32);
  }
  static std::vector<std::vector<int64_t>> workOf(ModuleOp module) {
    std::vector<std::vector<int64_t>> out;
    module.walk([&](program::LaunchOp l) {
      out.push_back(
          {int64_t(l.getFlops()), int64_t(l.getBytes()), int64_t(l.getVectorOps()), int64_t(l.getItems())});
    });
    return out;
  }
};

TEST_F(TuningSites, ANewScheduleHasTheWorkThatItHasWhenItIsChosenFromTheFirst) {
  OwningOpRef<ModuleOp> given = compile([](ModuleOp m) {
    m.walk([](kernel::MatmulOp op) { op.setScheduleAttr(smaller(*op.getSchedule())); });
  });
  OwningOpRef<ModuleOp> tuned = compile([](ModuleOp) {});
  const std::vector<std::vector<int64_t>> before = workOf(*tuned);
  ModuleOp modules[] = {*tuned};
  std::vector<TuningSite> sites = tuningSites(modules, 1);
  for (TuningSite &site : sites)
    if (isa<kernel::MatmulOp>(site.op())) site.chosen = smaller(site.own);
  applyChosen(sites, modules);
  EXPECT_EQ(workOf(*tuned), workOf(*given));
  EXPECT_NE(workOf(*tuned), before) << "the schedule is no other one";
}

} // namespace
} // namespace weft
