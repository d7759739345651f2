// The interpreter of functions: repetition, calls, variables, and what it refuses.
#include "tests/compiler/interpret_text.h"
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace weft::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

// carry' = 10 carry + slice * scale; the slice result is carry'.
const std::string kDigits = R"(
  func.func private @digit(%c: tensor<1xf64>, %x: tensor<1xf64>, %scale: tensor<1xf64>) -> (tensor<1xf64>, tensor<1xf64>) {
    %ten = graph.constant dense<10.0> : tensor<1xf64>
    %a = graph.mul %c, %ten : tensor<1xf64>
    %b = graph.mul %x, %scale : tensor<1xf64>
    %r = graph.add %a, %b : tensor<1xf64>
    return %r, %r : tensor<1xf64>, tensor<1xf64>
  })";
std::string digits(const std::string &stack, const std::string &range, const std::string &attributes,
                   const std::string &slices) {
  return kDigits + "func.func @f(%c: tensor<1xf64>, %x: tensor<" + stack +
         "x1xf64>, %s: tensor<1xf64>) -> (tensor<1xf64>, tensor<" + slices +
         "x1xf64>) {\n %r, %y = graph.repeat @digit carry(%c) stacked(%x) invariant(%s) range" + range +
         " {" + attributes + "} : (tensor<1xf64>, tensor<" + stack +
         "x1xf64>, tensor<1xf64>) -> (tensor<1xf64>, tensor<" + slices +
         "x1xf64>)\n return %r, %y : tensor<1xf64>, tensor<" + slices + "x1xf64>\n}";
}
Tensors operands() { return {tensor({1}, {0}), tensor({4, 1}, {1, 2, 3, 4}), tensor({1}, {2})}; }

TEST(Repeat, RunsUpAndStacksItsSliceResults) {
  TextModule m(digits("4", "(1, 4)", "tied = array<i64: -1>", "3"));
  Tensors y = m.run("f", operands());
  ASSERT_EQ(m.errors, "");
  EXPECT_THAT(y[0].values, ElementsAre(468));
  EXPECT_THAT(y[1].values, ElementsAre(4, 46, 468));
}

TEST(Repeat, RunsDownAndStacksByIndex) {
  TextModule m(digits("4", "(1, 4)", "tied = array<i64: -1>, reverse", "3"));
  Tensors y = m.run("f", operands());
  ASSERT_EQ(m.errors, "");
  EXPECT_THAT(y[0].values, ElementsAre(864));
  EXPECT_THAT(y[1].values, ElementsAre(864, 86, 8));
}

TEST(Repeat, TiedSliceResultsUpdateTheirRangeOfTheStack) {
  TextModule m(digits("4", "(1, 3)", "tied = array<i64: 0>", "4"));
  Tensors y = m.run("f", operands());
  ASSERT_EQ(m.errors, "");
  EXPECT_THAT(y[1].values, ElementsAre(1, 4, 46, 4));
}

TEST(Repeat, DynamicPartsCoverTheirShareOfTheStack) {
  TextModule m(digits("?", "(0, 0)", "tied = array<i64: 0>, dynamic, part = 1 : i64, parts = 2 : i64", "?"));
  ASSERT_EQ(m.errors, "");
  Tensors y = m.run("f", operands());
  ASSERT_EQ(m.errors, "");
  EXPECT_THAT(y[0].values, ElementsAre(68));
  EXPECT_THAT(y[1].values, ElementsAre(1, 2, 6, 68));

  EXPECT_TRUE(m.run("f", {tensor({1}, {0}), tensor({3, 1}, {1, 2, 3}), tensor({1}, {2})}).empty());
  EXPECT_THAT(m.errors, HasSubstr("runs 3 iterations in 2 parts, which are not equal"));
}

TEST(Variables, ReadsSeeTheLatestWrite) {
  TextModule m(R"(
    graph.variable @w : tensor<2xf32> {kind = 0 : i64, init = 0 : i64}
    func.func @f(%x: tensor<2xf32>) -> (tensor<2xf32>, tensor<2xf32>) {
      %a = graph.read @w : tensor<2xf32>
      %s = graph.add %a, %x : tensor<2xf32>
      graph.write @w, %s : tensor<2xf32>
      %b = graph.read @w : tensor<2xf32>
      return %a, %b : tensor<2xf32>, tensor<2xf32>
    })");
  ASSERT_EQ(m.errors, "");
  EXPECT_TRUE(m.run("f", {tensor({2}, {10, 20}, Element::f32)}).empty());
  EXPECT_THAT(m.errors, HasSubstr("reads @w, which has no value"));
  m.errors.clear();
  m.variables["w"] = tensor({2}, {1, 2}, Element::f32);
  Tensors y = m.run("f", {tensor({2}, {10, 20}, Element::f32)});
  ASSERT_EQ(m.errors, "");
  EXPECT_THAT(y[0].values, ElementsAre(1, 2));
  EXPECT_THAT(y[1].values, ElementsAre(11, 22));
  EXPECT_THAT(m.variables["w"].values, ElementsAre(11, 22));
}

TEST(Functions, CallOthersAndAllReduceOfOneRankIsTheIdentity) {
  TextModule m(R"(
    func.func private @g(%x: tensor<f32>) -> tensor<f32> {
      %y = graph.neg %x : tensor<f32>
      return %y : tensor<f32>
    }
    func.func @f(%x: tensor<f32>) -> tensor<f32> {
      %y = call @g(%x) : (tensor<f32>) -> tensor<f32>
      %z = dist.all_reduce data %y : tensor<f32>
      return %z : tensor<f32>
    })");
  Tensors y = m.run("f", {tensor({}, {3}, Element::f32)});
  ASSERT_EQ(m.errors, "");
  EXPECT_THAT(y[0].values, ElementsAre(-3));
}

TEST(Functions, ArgumentsThatDoNotFitAreRefused) {
  TextModule m("func.func @f(%x: tensor<2xf32>) -> tensor<2xf32> {\n return %x : tensor<2xf32>\n}");
  EXPECT_TRUE(m.run("f", {tensor({3}, {1, 2, 3}, Element::f32)}).empty());
  EXPECT_THAT(m.errors, HasSubstr("gets 3xf32 for argument 0, which is 'tensor<2xf32>'"));
  m.errors.clear();
  EXPECT_TRUE(m.run("f", {}).empty());
  EXPECT_THAT(m.errors, HasSubstr("gets 0 arguments when it has 1"));
}

TEST(Functions, ValueAndGradNamesThePassThatRemovesIt) {
  TextModule m(R"(
    func.func private @loss(%x: tensor<f64>) -> tensor<f64> {
      return %x : tensor<f64>
    }
    func.func @f(%x: tensor<f64>) -> (tensor<f64>, tensor<f64>) {
      %l, %g = graph.value_and_grad @loss(%x) acc() wrt [0] : (tensor<f64>) -> (tensor<f64>, tensor<f64>)
      return %l, %g : tensor<f64>, tensor<f64>
    })");
  ASSERT_EQ(m.errors, "");
  EXPECT_TRUE(m.run("f", {tensor({}, {3})}).empty());
  EXPECT_THAT(m.errors, HasSubstr("run the pass `differentiate`"));
}

TEST(Functions, AnOpOfAnotherDialectIsNamed) {
  TextModule m(R"(func.func @f(%x: tensor<2xf32>) -> tensor<2xf32> {
    %y = math.exp %x : tensor<2xf32>
    return %y : tensor<2xf32>
  })");
  EXPECT_TRUE(m.run("f", {tensor({2}, {1, 2}, Element::f32)}).empty());
  EXPECT_THAT(m.errors,
              HasSubstr("'math.exp' op cannot be interpreted: it is no op of the graph or kernel dialect"));
}

} // namespace
} // namespace weft::testing
