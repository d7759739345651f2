// --check-phases: what a phase must not change, and how a change is reported.
#include "compiler/check/check_phases.h"
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

// Three ops a layer, two layers; places in the model.
std::string layers(const std::string &middle,
                   const std::string &last = "graph.mul %b, %x : tensor<2x3xf32>") {
  return R"(
    func.func private @layer(%x: tensor<2x3xf32>, %w: tensor<3xf32>) -> tensor<2x3xf32> {
      %v = graph.broadcast %w dims = [1] shape = [2, 3] : tensor<3xf32> loc("layers"("model.cc":4:1))
      %a = graph.add %x, %v : tensor<2x3xf32> loc("layers"("model.cc":5:1))
      %b = )" +
         middle + R"( loc("layers"("model.cc":6:1))
      %c = )" +
         last + R"( loc("layers"("model.cc":7:1))
      return %c : tensor<2x3xf32>
    }
    func.func @f(%x: tensor<2x3xf32>, %w: tensor<2x3xf32>) -> (tensor<f32> {weft.name = "sum"}) attributes {weft.entry} {
      %y = graph.repeat @layer carry(%x) stacked(%w) invariant() range(0, 2) {tied = array<i64>}
        : (tensor<2x3xf32>, tensor<2x3xf32>) -> tensor<2x3xf32>
      %s = graph.reduce sum %y axes = [0, 1] : (tensor<2x3xf32>) -> tensor<f32> loc("model.cc":9:1)
      return %s : tensor<f32>
    })";
}

TEST(CheckPhases, TheFirstOpAtFaultIsNamedAndWhatItsPlaceGaveBefore) {
  TextModule a(layers("graph.tanh %a : tensor<2x3xf32>")), b(layers("graph.exp %a : tensor<2x3xf32>"));
  ASSERT_EQ(a.errors + b.errors, "");
  std::string fault = firstFault(*a.module, *b.module);
  EXPECT_THAT(
      fault,
      HasSubstr(
          "the first op whose result is not what it was: graph.exp, that is model.cc:6 (layers), in @layer"));
  EXPECT_THAT(fault, HasSubstr("before it, graph.tanh, that is model.cc:6 (layers)"));
}

TEST(CheckPhases, ARewriteOnTheWayToKnownValuesIsNotBlamedForTheFaultBehindIt) {
  TextModule a(layers("graph.mul %a, %a : tensor<2x3xf32>", "graph.tanh %b : tensor<2x3xf32>"));
  // The same, by way of a value that was not there; then a fault.
  std::string text = layers("graph.abs %a : tensor<2x3xf32>",
                            "graph.mul %b, %b : tensor<2x3xf32> loc(\"layers\"(\"model.cc\":6:1))\n"
                            "%d = graph.exp %c : tensor<2x3xf32>");
  text.replace(text.find("return %c"), 9, "return %d");
  TextModule c(text);
  ASSERT_EQ(a.errors + c.errors, "");
  EXPECT_THAT(firstFault(*a.module, *c.module), HasSubstr(": graph.exp, that is model.cc:7 (layers)"));
}

TEST(CheckPhases, NothingIsAtFaultWhereNothingDiffers) {
  TextModule a(layers("graph.tanh %a : tensor<2x3xf32>")), b(layers("graph.tanh %a : tensor<2x3xf32>"));
  EXPECT_EQ(firstFault(*a.module, *b.module), "");
}

TEST(CheckPhases, OperandsInTheWrongOrderAreNotTheSameElements) {
  // A transpose of a square: the same elements in another order, in the same shape.
  auto with = [](const char *use) {
    return std::string(
               R"(func.func @f(%x: tensor<3x3xf32>, %y: tensor<3x3xf32>) -> tensor<3x3xf32> attributes {weft.entry} {
      %t = graph.transpose %x permutation = [1, 0] : tensor<3x3xf32> loc("model.cc":2:1)
      %z = graph.matmul )") +
           use +
           R"( : (tensor<3x3xf32>, tensor<3x3xf32>) -> tensor<3x3xf32> loc("model.cc":3:1)
      return %z : tensor<3x3xf32>
    })";
  };
  TextModule a(with("%t, %y")), b(with("%x, %y"));
  ASSERT_EQ(a.errors + b.errors, "");
  EXPECT_THAT(firstFault(*a.module, *b.module), HasSubstr("graph.matmul, that is model.cc:3"));
}

TEST(CheckPhases, WhatAUserGivesIsTakenAndWhatDoesNotFitIsNamed) {
  TextModule m(program("graph.add %x, %x"));
  ASSERT_EQ(m.errors, "");
  CheckOptions options;
  options.inputs.numMicroBatches = 3;
  options.inputs.entries["train_step"]["tokens"] = tensor({3, 2}, {0, 1, 2, 3, 4, 0}, Element::i32);
  options.inputs.entries["train_step"]["lr"] = tensor({}, {0}, Element::f32);
  options.inputs.variables["table"] = tensor({5, 3}, std::vector<double>(15, 2), Element::f32);
  auto f = m.module->lookupSymbol<mlir::func::FuncOp>("train_step");
  auto variables = variablesOf(*m.module, options.inputs, 1);
  ASSERT_TRUE(mlir::succeeded(variables));
  graph::Variables caches;
  auto results = runEntry(f, options, 3, variables->front(), caches);
  ASSERT_TRUE(mlir::succeeded(results)) << m.errors;
  EXPECT_EQ((*results)[0].values, std::vector<double>(3, 2 * 2 * 2)); // of part 0: two tokens
  options.inputs.entries["train_step"]["tokens"] = tensor({3, 3}, std::vector<double>(9, 0), Element::i32);
  PhaseChecker checker(options);
  EXPECT_TRUE(mlir::failed(checker.check(*m.module, "trace")));
  EXPECT_THAT(m.errors,
              HasSubstr("argument tokens of @train_step is given as 3x3xi32 when it is 'tensor<?x2xi32>'"));
  options.inputs.entries.clear();
  options.inputs.variables["table"] = tensor({5}, std::vector<double>(5, 0), Element::f32);
  EXPECT_TRUE(mlir::failed(PhaseChecker(options).check(*m.module, "trace")));
  EXPECT_THAT(m.errors, HasSubstr("variable table is given as 5xf32 when it is 'tensor<5x3xf32>'"));
}

} // namespace
} // namespace weft::testing
