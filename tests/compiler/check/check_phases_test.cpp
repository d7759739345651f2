// --check-phases: what a phase must not change, and how a change is reported.
#include "compiler/check_phases.h"
#include "tests/compiler/interpret_text.h"
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace weft::testing {
namespace {

using ::testing::HasSubstr;

// An entry over micro-batches that updates a variable; `op` is what happens to each.
std::string program(const std::string &op) {
  return R"(
    graph.variable @table : tensor<5x3xf32> {kind = 0 : i64, init = 2 : i64}
    func.func private @step(%acc: tensor<3xf32>, %tokens: tensor<2xi32>, %table: tensor<5x3xf32>) -> tensor<3xf32> {
      %x = graph.gather %table, %tokens : (tensor<5x3xf32>, tensor<2xi32>) -> tensor<2x3xf32>
      %y = )" +
         op + R"( : tensor<2x3xf32>
      %r = graph.reduce sum %y acc %acc axes = [0] : (tensor<2x3xf32>, tensor<3xf32>) -> tensor<3xf32>
      return %r : tensor<3xf32>
    }
    func.func @train_step(%tokens: tensor<?x2xi32> {weft.limit = 5 : i64, weft.name = "tokens"}, %lr: tensor<f32> {weft.name = "lr"})
        -> (tensor<3xf32> {weft.name = "sums"}) attributes {weft.entry} {
      %table = graph.read @table : tensor<5x3xf32>
      %zero = graph.constant dense<0.0> : tensor<3xf32>
      %s = graph.repeat @step carry(%zero) stacked(%tokens) invariant(%table) range(0, 0) {tied = array<i64>, dynamic, parts = 3 : i64}
        : (tensor<3xf32>, tensor<?x2xi32>, tensor<5x3xf32>) -> tensor<3xf32>
      %b = graph.broadcast %s dims = [1] shape = [5, 3] : tensor<3xf32>
      %rate = graph.broadcast %lr dims = [] shape = [5, 3] : tensor<f32>
      %d = graph.mul %b, %rate : tensor<5x3xf32>
      %n = graph.sub %table, %d : tensor<5x3xf32>
      graph.write @table, %n : tensor<5x3xf32>
      return %s : tensor<3xf32>
    })";
}

TEST(CheckPhases, EqualProgramsPass) {
  TextModule a(program("graph.add %x, %x"));
  ASSERT_EQ(a.errors, "");
  PhaseChecker checker;
  EXPECT_TRUE(mlir::succeeded(checker.check(*a.module, "trace")));
  EXPECT_TRUE(mlir::succeeded(checker.check(*a.module, "simplify")));
  EXPECT_EQ(a.errors, "");
}

TEST(CheckPhases, AWrongOutputAndAWrongVariableAreNamedWithPhasePlaceAndNumbers) {
  TextModule a(program("graph.add %x, %x")), b(program("graph.mul %x, %x"));
  ASSERT_EQ(b.errors, "");
  PhaseChecker checker;
  ASSERT_TRUE(mlir::succeeded(checker.check(*a.module, "simplify")));
  EXPECT_TRUE(mlir::failed(checker.check(*b.module, "fuse")));
  EXPECT_THAT(b.errors, HasSubstr("phase `fuse` changed @train_step: output sums at ["));
  EXPECT_THAT(b.errors, HasSubstr("phase `fuse` changed @train_step: variable table at ["));
  EXPECT_THAT(b.errors, HasSubstr(" when it was "));
}

TEST(CheckPhases, RoundingBelowTheToleranceIsNoChange) {
  std::string graph = R"(func.func @f(%x: tensor<7xf32>) -> tensor<7xf32> attributes {weft.entry} {
    %c = graph.constant dense<CONSTANT> : tensor<7xf32>
    %y = graph.mul %x, %c : tensor<7xf32>
    return %y : tensor<7xf32>
  })";
  auto with = [&](const char *c) { return std::string(graph).replace(graph.find("CONSTANT"), 8, c); };
  TextModule a(with("1.0")), b(with("1.0000001")), c(with("1.0001"));
  CheckOptions options;
  PhaseChecker checker(options), again(options);
  EXPECT_TRUE(mlir::succeeded(checker.check(*a.module, "simplify")));
  EXPECT_TRUE(mlir::succeeded(checker.check(*b.module, "fuse")));
  EXPECT_TRUE(mlir::failed(checker.check(*c.module, "schedule")));
}

TEST(CheckPhases, AnEntryThatDisappearsIsReported) {
  TextModule a(program("graph.add %x, %x")), b("func.func @other(%x: tensor<f32>) -> tensor<f32> attributes "
                                               "{weft.entry} {\n return %x : tensor<f32>\n}");
  PhaseChecker checker;
  ASSERT_TRUE(mlir::succeeded(checker.check(*a.module, "simplify")));
  EXPECT_TRUE(mlir::failed(checker.check(*b.module, "tidy")));
  EXPECT_THAT(b.errors, HasSubstr("phase `tidy` lost the entry @train_step"));
}

TEST(CheckPhases, EntriesThatStillAskForGradientsAreNotRun) {
  TextModule m(R"(
    func.func private @loss(%x: tensor<f64>) -> tensor<f64> {
      return %x : tensor<f64>
    }
    func.func @train_step(%x: tensor<f64>) -> tensor<f64> attributes {weft.entry} {
      %l, %g = graph.value_and_grad @loss(%x) acc() wrt [0] : (tensor<f64>) -> (tensor<f64>, tensor<f64>)
      return %g : tensor<f64>
    })");
  ASSERT_EQ(m.errors, "");
  PhaseChecker checker;
  EXPECT_TRUE(mlir::succeeded(checker.check(*m.module, "trace")));
  EXPECT_EQ(m.errors, "");
}

} // namespace
} // namespace weft::testing
