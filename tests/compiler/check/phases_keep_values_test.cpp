// Every phase that rewrites ops leaves a program's numbers as they are: every operator, its gradient,
// repeats, and a small llama, interpreted in f64 after each phase.
#include "mlir/Pass/PassManager.h"
#include "mlir/Transforms/Passes.h"
#include "passes/passes.h"
#include "tests/compiler/op_programs.h"
#include <gtest/gtest.h>

namespace weft::testing {
namespace {

struct PhaseUnderTest {
  const char *name;
  void (*addPasses)(mlir::PassManager &);
};
void tidy(mlir::PassManager &pm) {
  pm.addPass(mlir::createCanonicalizerPass());
  pm.addPass(mlir::createCSEPass());
}
const PhaseUnderTest kPhases[] = {
    {"hoist", [](mlir::PassManager &pm) { pm.addPass(createHoistInvariantsPass()); }},
    {"differentiate", [](mlir::PassManager &pm) { pm.addPass(createDifferentiatePass()); }},
    {"tidy", tidy},
    {"fuse", [](mlir::PassManager &pm) { pm.addPass(createFuseKernelsPass()); }},
    {"schedule", [](mlir::PassManager &pm) { pm.addPass(createScheduleKernelsPass()); }},
};

// Results of @f, and of @gradient once it is written out.
void check(const Program &program) {
  Program whole = withGradient(program);
  TextModule m(whole.text);
  ASSERT_EQ(m.errors, "") << program.what;
  for (llvm::StringRef entry : {"f", "gradient"})
    m.module->lookupSymbol(entry)->setAttr("weft.entry", mlir::UnitAttr::get(&m.context));
  std::map<std::string, Tensors> before;
  before["f"] = m.run("f", program.args);
  for (const PhaseUnderTest &phase : kPhases) {
    mlir::PassManager pm(&m.context);
    phase.addPasses(pm);
    ASSERT_TRUE(mlir::succeeded(pm.run(*m.module)))
        << phase.name << " of " << program.what << ": " << m.errors;
    std::map<std::string, Tensors> after;
    after["f"] = m.run("f", program.args);
    if (std::string(phase.name) != "hoist") after["gradient"] = m.run("gradient", whole.args);
    ASSERT_EQ(m.errors, "") << phase.name << " of " << program.what;
    for (auto &[entry, values] : after) {
      if (!before.count(entry)) continue;
      for (size_t r = 0; r < values.size(); ++r) {
        const std::vector<double> &old = before[entry][r].values;
        double largest = 0;
        for (double v : old) largest = std::max(largest, std::fabs(v));
        for (size_t i = 0; i < old.size(); ++i)
          ASSERT_NEAR(values[r].values[i], old[i], 1e-9 * largest)
              << phase.name << " of " << program.what << ": @" << entry << ", result " << r << ", element "
              << i;
      }
    }
    before = std::move(after);
  }
}
void check(const std::vector<Program> &programs) {
  for (const Program &p : programs) check(p);
}

// Taking repeats apart: @f alone, since what is left of a repeat with tied slices has no gradient.
void checkApart(const Program &program, void (*addPasses)(mlir::PassManager &), const std::string &how) {
  TextModule m(program.text);
  ASSERT_EQ(m.errors, "") << program.what;
  Tensors before = m.run("f", program.args);
  mlir::PassManager pm(&m.context);
  addPasses(pm);
  ASSERT_TRUE(mlir::succeeded(pm.run(*m.module))) << how << " of " << program.what << ": " << m.errors;
  Tensors after = m.run("f", program.args);
  ASSERT_EQ(m.errors, "") << how << " of " << program.what;
  for (size_t i = 0; i < before[0].values.size(); ++i)
    EXPECT_EQ(before[0].values[i], after[0].values[i]) << how << " of " << program.what;
}

TEST(PhasesKeepValues, RepeatsInTwoParts) {
  for (const Program &p : repeatPrograms())
    for (auto [add, how] :
         {std::pair<void (*)(mlir::PassManager &), const char *>(
              [](mlir::PassManager &pm) { pm.addPass(createSplitRepeatsPass({1})); }, "split at 1"),
          {[](mlir::PassManager &pm) {
             pm.addPass(createSplitRepeatsPass({3}));
             pm.addPass(createSplitRepeatsPass({2}));
           },
           "split at 3 and 2"}})
      checkApart(p, add, how);
}
TEST(PhasesKeepValues, RepeatsPeeled) {
  for (const Program &p : repeatPrograms())
    for (auto [add, how] : {std::pair<void (*)(mlir::PassManager &), const char *>(
                                [](mlir::PassManager &pm) {
                                  pm.addPass(createPeelRepeatsPass({1, 0}));
                                },
                                "the first peeled"),
                            {[](mlir::PassManager &pm) {
                               pm.addPass(createPeelRepeatsPass({1, 2}));
                             },
                             "the first and two last peeled"},
                            {[](mlir::PassManager &pm) {
                               pm.addPass(createPeelRepeatsPass({9, 0}));
                             },
                             "all peeled"}})
      checkApart(p, add, how);
}

TEST(PhasesKeepValues, Unary) { check(unaryPrograms()); }
TEST(PhasesKeepValues, Binary) { check(binaryPrograms()); }
TEST(PhasesKeepValues, OneValueUsedTwice) { check(repeatedOperandPrograms()); }
TEST(PhasesKeepValues, SelectAndCast) { check(selectAndCastPrograms()); }
TEST(PhasesKeepValues, MovingValues) { check(movingPrograms()); }
TEST(PhasesKeepValues, TablesOfConstants) { check(tablePrograms()); }
TEST(PhasesKeepValues, Reductions) { check(reductionPrograms()); }
TEST(PhasesKeepValues, MatrixProducts) { check(productPrograms()); }
TEST(PhasesKeepValues, RowsByIndex) { check(rowPrograms()); }
TEST(PhasesKeepValues, Attention) { check(attentionPrograms()); }
TEST(PhasesKeepValues, Routing) { check(routingPrograms()); }
TEST(PhasesKeepValues, Repeat) { check(repeatPrograms()); }
TEST(PhasesKeepValues, SmallLlama) { check(llamaProgram()); }
TEST(PhasesKeepValues, SmallLlamaOfOtherShapes) {
  check(llamaProgram(
      {.batch = 1, .seq = 16, .dim = 16, .heads = 2, .kvHeads = 2, .ffn = 32, .vocab = 24, .layers = 3}));
}

} // namespace
} // namespace weft::testing
