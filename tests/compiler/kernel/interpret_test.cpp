// The kernel interpreter on kernels written by hand: every form of kernel.loops, kernel.matmul and
// kernel.attention, and what it refuses.
#include "tests/compiler/interpret_text.h"
#include <cmath>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace weft::testing {
namespace {

using ::testing::DoubleNear;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Pointwise;

// A module of one function @f with this body.
std::string function(const std::string &signature, const std::string &body) {
  return "func.func @f" + signature + " {\n" + body + "\n}\n";
}

TEST(KernelLoops, NormalisesRowsWithAReductionKnownToEveryColumn) {
  TextModule m(function("(%x: tensor<2x3xf32>, %w: tensor<3xf32>) -> tensor<2x3xf32>", R"(
    %y = kernel.loops domain [2, 3] ins(%x, %w) inits() {
      input_access = [#kernel.access<offset = 0, strides = 3, 1>, #kernel.access<offset = 0, strides = 0, 1>],
      output_access = [#kernel.access<offset = 0, strides = 3, 1>], yield_result = array<i64: 0>, init_result = array<i64>
    } : (tensor<2x3xf32>, tensor<3xf32>) -> tensor<2x3xf32> {
    ^bb0(%a: f32, %b: f32):
      %sq = arith.mulf %a, %a : f32
      %s = kernel.reduce sum %sq : f32
      %r = math.rsqrt %s : f32
      %n = arith.mulf %a, %r : f32
      %o = arith.mulf %n, %b : f32
      kernel.yield %o : f32
    }
    return %y : tensor<2x3xf32>)"));
  ASSERT_EQ(m.errors, "");
  Tensors y =
      m.run("f", {tensor({2, 3}, {1, 2, 2, 3, 0, 4}, Element::f32), tensor({3}, {1, 10, 100}, Element::f32)});
  ASSERT_EQ(m.errors, "");
  EXPECT_THAT(y[0].values, Pointwise(DoubleNear(1e-12), {1 / 3., 20 / 3., 200 / 3., 0.6, 0., 80.}));
}

TEST(KernelLoops, YieldsARowSumThroughColumnStrideZeroAndTheColumnIndexOfTheMaximum) {
  TextModule m(function("(%x: tensor<2x4xf32>) -> (tensor<2xf32>, tensor<2x4xi32>)", R"(
    %s, %i = kernel.loops domain [2, 4] ins(%x) inits() {
      input_access = [#kernel.access<offset = 0, strides = 4, 1>],
      output_access = [#kernel.access<offset = 0, strides = 1, 0>, #kernel.access<offset = 0, strides = 4, 1>],
      yield_result = array<i64: 0, 1>, init_result = array<i64>
    } : (tensor<2x4xf32>) -> (tensor<2xf32>, tensor<2x4xi32>) {
    ^bb0(%a: f32):
      %t = kernel.reduce max %a : f32
      %is = arith.cmpf oeq, %a, %t : f32
      %c = kernel.index 1
      %none = arith.constant -1 : i32
      %w = arith.select %is, %c, %none : i32
      kernel.yield %t, %w : f32, i32
    }
    return %s, %i : tensor<2xf32>, tensor<2x4xi32>)"));
  Tensors y = m.run("f", {tensor({2, 4}, {1, 7, 2, 3, -1, -5, -0.5, -9}, Element::f32)});
  ASSERT_EQ(m.errors, "");
  EXPECT_THAT(y[0].values, ElementsAre(7, -0.5));
  EXPECT_THAT(y[1].values, ElementsAre(-1, 1, -1, -1, -1, -1, 2, -1));
}

TEST(KernelLoops, SumsLeadingDimensionsFromAnInit) {
  TextModule m(function("(%x: tensor<3x2x2xf64>, %acc: tensor<2xf64>) -> tensor<2xf64>", R"(
    %y = kernel.loops domain [3, 2, 2] ins(%x) inits(%acc) {
      input_access = [#kernel.access<offset = 0, strides = 4, 2, 1>], output_access = [#kernel.access<offset = 0, strides = 0, 0, 1>],
      yield_result = array<i64: 0>, init_result = array<i64: 0>, reduce_dims = 2 : i64
    } : (tensor<3x2x2xf64>, tensor<2xf64>) -> tensor<2xf64> {
    ^bb0(%a: f64):
      kernel.yield %a : f64
    }
    return %y : tensor<2xf64>)"));
  Tensors y =
      m.run("f", {tensor({3, 2, 2}, {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}), tensor({2}, {100, 200})});
  ASSERT_EQ(m.errors, "");
  EXPECT_THAT(y[0].values, ElementsAre(136, 242));
}

TEST(KernelLoops, GathersRowsByAClampedIndex) {
  TextModule m(function("(%t: tensor<3x2xf32>, %i: tensor<4xi32>) -> tensor<4x2xf32>", R"(
    %y = kernel.loops domain [4, 2] ins(%t, %i) inits() {
      input_access = [#kernel.access<offset = 0, index = 1, index_stride = 2, index_limit = 3, strides = 0, 1>,
                      #kernel.access<offset = 0, strides = 1, 0>],
      output_access = [#kernel.access<offset = 0, strides = 2, 1>], yield_result = array<i64: 0>, init_result = array<i64>
    } : (tensor<3x2xf32>, tensor<4xi32>) -> tensor<4x2xf32> {
    ^bb0(%a: f32, %b: i32):
      kernel.yield %a : f32
    }
    return %y : tensor<4x2xf32>)"));
  Tensors y = m.run(
      "f", {tensor({3, 2}, {1, 2, 3, 4, 5, 6}, Element::f32), tensor({4}, {2, -7, 9, 1}, Element::i32)});
  ASSERT_EQ(m.errors, "");
  EXPECT_THAT(y[0].values, ElementsAre(5, 6, 1, 2, 5, 6, 3, 4));
}

TEST(KernelLoops, ScatterAddsInDomainOrderOntoItsInit) {
  TextModule m(
      function("(%u: tensor<4x2xf32>, %i: tensor<4xi32>, %acc: tensor<3x2xf32>) -> tensor<3x2xf32>", R"(
    %y = kernel.loops domain [4, 2] ins(%u, %i) inits(%acc) {
      input_access = [#kernel.access<offset = 0, strides = 2, 1>, #kernel.access<offset = 0, strides = 1, 0>],
      output_access = [#kernel.access<offset = 0, index = 1, index_stride = 2, index_limit = 3, strides = 0, 1>],
      yield_result = array<i64: 0>, init_result = array<i64: 0>, reduce_dims = 1 : i64
    } : (tensor<4x2xf32>, tensor<4xi32>, tensor<3x2xf32>) -> tensor<3x2xf32> {
    ^bb0(%a: f32, %b: i32):
      kernel.yield %a : f32
    }
    return %y : tensor<3x2xf32>)"));
  Tensors y = m.run("f", {tensor({4, 2}, {1, 2, 3, 4, 5, 6, 7, 8}, Element::f32),
                          tensor({4}, {1, 1, 0, 9}, Element::i32),
                          tensor({3, 2}, {10, 20, 30, 40, 50, 60}, Element::f32)});
  ASSERT_EQ(m.errors, "");
  EXPECT_THAT(y[0].values, ElementsAre(15, 26, 34, 46, 57, 68));
}

TEST(KernelLoops, SeveralYieldsFillOneResult) {
  TextModule m(function("(%a: tensor<2x1xf32>, %b: tensor<2x1xf32>) -> tensor<2x2xf32>", R"(
    %y = kernel.loops domain [2, 1] ins(%a, %b) inits() {
      input_access = [#kernel.access<offset = 0, strides = 1, 1>, #kernel.access<offset = 0, strides = 1, 1>],
      output_access = [#kernel.access<offset = 0, strides = 2, 1>, #kernel.access<offset = 1, strides = 2, 1>],
      yield_result = array<i64: 0, 0>, init_result = array<i64>
    } : (tensor<2x1xf32>, tensor<2x1xf32>) -> tensor<2x2xf32> {
    ^bb0(%p: f32, %q: f32):
      kernel.yield %p, %q : f32, f32
    }
    return %y : tensor<2x2xf32>)"));
  Tensors y = m.run("f", {tensor({2, 1}, {1, 2}, Element::f32), tensor({2, 1}, {3, 4}, Element::f32)});
  ASSERT_EQ(m.errors, "");
  EXPECT_THAT(y[0].values, ElementsAre(1, 3, 2, 4));
}

// A region of one input of `in` and one result of `out`, over 4 elements.
std::string elementwise(const std::string &in, const std::string &out, const std::string &region) {
  return function("(%x: tensor<4x" + in + ">) -> tensor<4x" + out + ">", R"(
    %y = kernel.loops domain [4] ins(%x) inits() {
      input_access = [#kernel.access<offset = 0, strides = 1>], output_access = [#kernel.access<offset = 0, strides = 1>],
      yield_result = array<i64: 0>, init_result = array<i64>
    } : (tensor<4x)" + in + ">) -> tensor<4x" + out + "> {\n ^bb0(%a: " + in +
                                                                             "):\n" + region +
                                                                             "\n kernel.yield %r : " + out +
                                                                             R"(
    }
    return %y : tensor<4x)" + out + ">");
}

TEST(KernelRegion, IntegersWrapAsTheirTypes) {
  TextModule m(elementwise("i32", "i32", "%s = arith.muli %a, %a : i32\n%r = arith.addi %s, %a : i32"));
  Tensors y = m.run("f", {tensor({4}, {2147483647, -2147483648.0, 65536, 3}, Element::i32)});
  ASSERT_EQ(m.errors, "");
  EXPECT_THAT(y[0].values, ElementsAre(-2147483648.0, -2147483648.0, 65536, 12));
}

TEST(KernelRegion, BooleansConvertAsUnsignedAndSigned) {
  TextModule m(elementwise("i1", "f32", R"(%t = arith.constant true
    %n = arith.xori %a, %t : i1
    %u = arith.uitofp %a : i1 to f32
    %s = arith.sitofp %n : i1 to f32
    %r = arith.addf %u, %s : f32)"));
  Tensors y = m.run("f", {tensor({4}, {0, 1, 1, 0}, Element::i1)});
  ASSERT_EQ(m.errors, "");
  EXPECT_THAT(y[0].values, ElementsAre(-1, 1, 1, -1));
}

TEST(KernelRegion, ComparisonsAreOrderedOrUnorderedAsTheySay) {
  TextModule m(elementwise("f64", "i1",
                           "%z = arith.constant 0.0 : f64\n%o = arith.cmpf ogt, %a, %z : f64\n"
                           "%u = arith.cmpf une, %a, %a : f64\n%r = arith.ori %o, %u : i1"));
  Tensors y = m.run("f", {tensor({4}, {1, -1, NAN, 0})});
  ASSERT_EQ(m.errors, "");
  EXPECT_THAT(y[0].values, ElementsAre(1, 0, 1, 0));
}

TEST(KernelRegion, AnUnknownOpIsNamed) {
  TextModule m(elementwise("f64", "f64", "%r = math.acosh %a : f64"));
  EXPECT_TRUE(m.run("f", {tensor({4}, {1, 2, 3, 4})}).empty());
  EXPECT_THAT(m.errors, HasSubstr("'math.acosh' op is not known to the interpreter of kernel regions"));
}

TEST(KernelLoops, AnElementThatIsNeverWrittenIsAnError) {
  TextModule m(function("(%x: tensor<2xf32>) -> tensor<4xf32>", R"(
    %y = kernel.loops domain [2] ins(%x) inits() {
      input_access = [#kernel.access<offset = 0, strides = 1>], output_access = [#kernel.access<offset = 0, strides = 2>],
      yield_result = array<i64: 0>, init_result = array<i64>
    } : (tensor<2xf32>) -> tensor<4xf32> {
    ^bb0(%a: f32):
      kernel.yield %a : f32
    }
    return %y : tensor<4xf32>)"));
  EXPECT_TRUE(m.run("f", {tensor({2}, {1, 2}, Element::f32)}).empty());
  EXPECT_THAT(m.errors, HasSubstr("never writes element 1 of result 0, which has no init"));
}

TEST(KernelLoops, AVaryingValueThroughColumnStrideZeroIsAnError) {
  TextModule m(function("(%x: tensor<1x2xf32>) -> tensor<1xf32>", R"(
    %y = kernel.loops domain [1, 2] ins(%x) inits() {
      input_access = [#kernel.access<offset = 0, strides = 2, 1>], output_access = [#kernel.access<offset = 0, strides = 1, 0>],
      yield_result = array<i64: 0>, init_result = array<i64>
    } : (tensor<1x2xf32>) -> tensor<1xf32> {
    ^bb0(%a: f32):
      kernel.yield %a : f32
    }
    return %y : tensor<1xf32>)"));
  EXPECT_TRUE(m.run("f", {tensor({1, 2}, {1, 2}, Element::f32)}).empty());
  EXPECT_THAT(m.errors, HasSubstr("yields value 0 through column stride 0, but it is"));
}

TEST(KernelMatmul, MultipliesBatchesThroughTransposedAccessesWithAnEpilogue) {
  // y[b, m, n] = relu(Σ_k a[b, m, k] w[n, k] + bias[n]), both batches with the same w
  TextModule m(
      function("(%a: tensor<2x1x3xf32>, %w: tensor<2x3xf32>, %bias: tensor<2xf32>) -> tensor<2x1x2xf32>", R"(
    %y = kernel.matmul %a, %w extras(%bias) sizes [2, 1, 2, 3] {
      lhs_access = #kernel.access<offset = 0, strides = 3, 3, 1>, rhs_access = #kernel.access<offset = 0, strides = 0, 1, 3>,
      extra_access = [#kernel.access<offset = 0, strides = 0, 0, 1>], output_access = [#kernel.access<offset = 0, strides = 2, 2, 1>]
    } : (tensor<2x1x3xf32>, tensor<2x3xf32>, tensor<2xf32>) -> tensor<2x1x2xf32> {
    ^bb0(%acc: f32, %b: f32):
      %z = arith.constant 0.0 : f32
      %s = arith.addf %acc, %b : f32
      %r = arith.maximumf %s, %z : f32
      kernel.yield %r : f32
    }
    return %y : tensor<2x1x2xf32>)"));
  Tensors y =
      m.run("f", {tensor({2, 1, 3}, {1, 2, 3, 4, 5, 6}, Element::f32),
                  tensor({2, 3}, {1, 1, 1, 1, 0, -1}, Element::f32), tensor({2}, {0.5, -1}, Element::f32)});
  ASSERT_EQ(m.errors, "");
  EXPECT_THAT(y[0].values, ElementsAre(6.5, 0, 15.5, 0));
}

TEST(KernelMatmul, ContinuesTheChainOfItsInit) {
  TextModule m(
      function("(%a: tensor<1x2xf32>, %b: tensor<2x1xf32>, %c: tensor<1x1xf32>) -> tensor<1x1xf32>", R"(
    %y = kernel.matmul %a, %b init %c extras() sizes [1, 1, 1, 2] {
      lhs_access = #kernel.access<offset = 0, strides = 0, 2, 1>, rhs_access = #kernel.access<offset = 0, strides = 0, 1, 1>,
      extra_access = [], output_access = [#kernel.access<offset = 0, strides = 0, 1, 1>]
    } : (tensor<1x2xf32>, tensor<2x1xf32>, tensor<1x1xf32>) -> tensor<1x1xf32> {
    ^bb0(%acc: f32):
      kernel.yield %acc : f32
    }
    return %y : tensor<1x1xf32>)"));
  Tensors y = m.run("f", {tensor({1, 2}, {2, 3}, Element::f32), tensor({2, 1}, {5, 7}, Element::f32),
                          tensor({1, 1}, {100}, Element::f32)});
  ASSERT_EQ(m.errors, "");
  EXPECT_THAT(y[0].values, ElementsAre(131));
}

// B 1, T 3, S 4, H 2, G 1, D 2, E 2; q lies transposed as (b, h, t, d).
constexpr const char *kAttention = R"(
  func.func @forward(%q: tensor<1x2x3x2xf64>, %k: tensor<1x4x1x2xf64>, %v: tensor<1x4x1x2xf64>, %b: tensor<1x3xi32>, %e: tensor<1x3xi32>)
      -> (tensor<1x3x2x2xf64>, tensor<1x3x2xf64>) {
    %o, %l = kernel.attention forward %q, %k, %v, %b, %e sizes [1, 3, 4, 2, 1, 2, 2] {scale = 0.5 : f64,
      input_access = [#kernel.access<offset = 0, strides = 12, 2, 6, 1>, #kernel.access<offset = 0, strides = 8, 2, 2, 1>,
        #kernel.access<offset = 0, strides = 8, 2, 2, 1>, #kernel.access<offset = 0, strides = 3, 1>, #kernel.access<offset = 0, strides = 3, 1>],
      output_access = [#kernel.access<offset = 0, strides = 12, 4, 2, 1>, #kernel.access<offset = 0, strides = 6, 2, 1>]}
      : (tensor<1x2x3x2xf64>, tensor<1x4x1x2xf64>, tensor<1x4x1x2xf64>, tensor<1x3xi32>, tensor<1x3xi32>) -> (tensor<1x3x2x2xf64>, tensor<1x3x2xf64>)
    return %o, %l : tensor<1x3x2x2xf64>, tensor<1x3x2xf64>
  }
  func.func @graph(%q: tensor<1x2x3x2xf64>, %k: tensor<1x4x1x2xf64>, %v: tensor<1x4x1x2xf64>, %b: tensor<1x3xi32>, %e: tensor<1x3xi32>)
      -> (tensor<1x3x2x2xf64>, tensor<1x3x2xf64>) {
    %t = graph.transpose %q permutation = [0, 2, 1, 3] : tensor<1x2x3x2xf64>
    %o, %l = graph.attention %t, %k, %v range %b, %e {scale = 0.5 : f64} : (tensor<1x3x2x2xf64>, tensor<1x4x1x2xf64>, tensor<1x4x1x2xf64>,
      tensor<1x3xi32>, tensor<1x3xi32>) -> (tensor<1x3x2x2xf64>, tensor<1x3x2xf64>)
    return %o, %l : tensor<1x3x2x2xf64>, tensor<1x3x2xf64>
  })";

TEST(KernelAttention, ReadsItsOperandsThroughAccessesAndGivesZerosForAnEmptyRange) {
  TextModule m(kAttention);
  ASSERT_EQ(m.errors, "");
  Tensors args = {randomTensor({1, 2, 3, 2}, 1), randomTensor({1, 4, 1, 2}, 2), randomTensor({1, 4, 1, 2}, 3),
                  tensor({1, 3}, {0, 2, 1}, Element::i32), tensor({1, 3}, {3, 2, 9}, Element::i32)};
  Tensors y = m.run("forward", args), g = m.run("graph", args);
  ASSERT_EQ(m.errors, "");
  EXPECT_THAT(y[0].values, Pointwise(DoubleNear(1e-12), g[0].values));
  EXPECT_THAT(y[1].values, Pointwise(DoubleNear(1e-12), g[1].values));
  // Query 1 sees no key.
  for (int i = 4; i < 8; ++i) EXPECT_EQ(y[0].values[i], 0);
  EXPECT_EQ(y[1].values[2], 0);
  // Query 0, head 1, written out.
  auto score = [&](int s) {
    return 0.5 * (args[0].values[6] * args[1].values[2 * s] + args[0].values[7] * args[1].values[2 * s + 1]);
  };
  double sum = std::exp(score(0)) + std::exp(score(1)) + std::exp(score(2));
  EXPECT_NEAR(y[1].values[1], std::log(sum), 1e-12);
  double out = 0;
  for (int s = 0; s < 3; ++s) out += std::exp(score(s)) / sum * args[2].values[2 * s + 1];
  EXPECT_NEAR(y[0].values[3], out, 1e-12);
}

} // namespace
} // namespace weft::testing
