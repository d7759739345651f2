// Gradients by the pass `differentiate` against central finite differences in f64: every operator, and
// repeats.
#include "mlir/Pass/PassManager.h"
#include "passes/passes.h"
#include "tests/compiler/op_programs.h"
#include <chrono>
#include <gtest/gtest.h>

namespace weft::testing {
namespace {

// The gradient with respect to every f64 argument, 1e-6 relative to max(1, |gradient|), and added onto the
// accumulators given.
void check(const Program &program) {
  const std::string &what = program.what;
  Program whole = withGradient(program);
  TextModule m(whole.text);
  ASSERT_EQ(m.errors, "") << what;
  auto value = [&](const Tensors &at) {
    Tensors y = m.run("f", at);
    return y.empty() ? std::nan("") : y[0].values[0];
  };
  const Tensors &args = program.args;
  double expectedValue = value(args);
  ASSERT_EQ(m.errors, "") << what;

  // The differences first: the pass may change @f.
  std::vector<size_t> differentiable = differentiableArguments(program);
  std::vector<std::vector<double>> expected;
  for (size_t i : differentiable) {
    std::vector<double> d;
    for (size_t j = 0; j < args[i].values.size(); ++j) {
      const double h = 1e-5;
      Tensors up = args, down = args;
      up[i].values[j] += h;
      down[i].values[j] -= h;
      d.push_back((value(up) - value(down)) / (2 * h));
    }
    expected.push_back(std::move(d));
  }

  mlir::PassManager passes(&m.context);
  passes.addPass(createDifferentiatePass());
  ASSERT_TRUE(mlir::succeeded(passes.run(*m.module))) << what << ": " << m.errors;
  Tensors y = m.run("gradient", whole.args);
  ASSERT_EQ(m.errors, "") << what;
  EXPECT_NEAR(y[0].values[0], expectedValue, 1e-12 * std::max(1., std::fabs(expectedValue))) << what;
  for (size_t n = 0; n < differentiable.size(); ++n)
    for (size_t j = 0; j < expected[n].size(); ++j)
      EXPECT_NEAR(y[1 + n].values[j] - whole.args[args.size() + n].values[j], expected[n][j],
                  1e-6 * std::max(1., std::fabs(expected[n][j])))
          << what << ": argument " << differentiable[n] << ", element " << j;
}
void check(const std::vector<Program> &programs) {
  for (const Program &p : programs) check(p);
}

TEST(Gradient, Unary) { check(unaryPrograms()); }
TEST(Gradient, Binary) { check(binaryPrograms()); }
TEST(Gradient, OneValueUsedTwice) { check(repeatedOperandPrograms()); }
TEST(Gradient, SelectAndCast) { check(selectAndCastPrograms()); }
TEST(Gradient, MovingValues) { check(movingPrograms()); }
TEST(Gradient, TablesOfConstants) { check(tablePrograms()); }
TEST(Gradient, Reductions) { check(reductionPrograms()); }
TEST(Gradient, MatrixProducts) { check(productPrograms()); }
TEST(Gradient, RowsByIndex) { check(rowPrograms()); }
TEST(Gradient, Attention) { check(attentionPrograms()); }
TEST(Gradient, Routing) { check(routingPrograms()); }
TEST(Gradient, Repeat) { check(repeatPrograms()); }

TEST(Gradient, OfASmallLlama) { check(llamaProgram()); }

// What checking phases costs: forward and backward of two layers of width 64 stay within seconds.
TEST(Gradient, OfALlamaOfWidth64TakesSeconds) {
  Program p = withGradient(llamaProgram(
      {.batch = 2, .seq = 32, .dim = 64, .heads = 4, .kvHeads = 2, .ffn = 176, .vocab = 256, .layers = 2}));
  TextModule m(p.text);
  mlir::PassManager passes(&m.context);
  passes.addPass(createDifferentiatePass());
  ASSERT_TRUE(mlir::succeeded(passes.run(*m.module))) << m.errors;
  auto start = std::chrono::steady_clock::now();
  ASSERT_FALSE(m.run("gradient", p.args).empty()) << m.errors;
  EXPECT_LT(std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count(), 10);
}

TEST(Gradient, StopGradientGivesNothing) {
  TextModule m(R"(
    func.func private @f(%x: tensor<3xf64>) -> tensor<f64> {
      %s = graph.stop_gradient %x : tensor<3xf64>
      %y = graph.mul %x, %s : tensor<3xf64>
      %r = graph.reduce sum %y axes = [0] : (tensor<3xf64>) -> tensor<f64>
      return %r : tensor<f64>
    }
    func.func @gradient(%x: tensor<3xf64>) -> tensor<3xf64> {
      %v, %g = graph.value_and_grad @f(%x) acc() wrt [0] : (tensor<3xf64>) -> (tensor<f64>, tensor<3xf64>)
      return %g : tensor<3xf64>
    })");
  ASSERT_EQ(m.errors, "");
  mlir::PassManager passes(&m.context);
  passes.addPass(createDifferentiatePass());
  ASSERT_TRUE(mlir::succeeded(passes.run(*m.module))) << m.errors;
  HostTensor x = randomTensor({3}, 1);
  Tensors y = m.run("gradient", {x});
  ASSERT_EQ(m.errors, "");
  EXPECT_EQ(y[0].values, x.values);
}

// @h is exp by its values and 3 dy by its gradient; captured values get none.
const char *handGiven = R"(
    func.func private @forward(%x: tensor<3xf64>, %c: tensor<3xf64>) -> tensor<3xf64> {
      %e = graph.exp %x : tensor<3xf64>
      %y = graph.mul %e, %c : tensor<3xf64>
      return %y : tensor<3xf64>
    }
    func.func private @backward(%x: tensor<3xf64>, %y: tensor<3xf64>, %dy: tensor<3xf64>, %k: tensor<3xf64>) -> tensor<3xf64> {
      %a = graph.mul %dy, %k : tensor<3xf64>
      %d = graph.add %a, %y : tensor<3xf64>
      return %d : tensor<3xf64>
    })";

Tensors gradientOf(TextModule &m, const Tensors &args) {
  EXPECT_EQ(m.errors, "");
  mlir::PassManager passes(&m.context);
  passes.addPass(createDifferentiatePass());
  EXPECT_TRUE(mlir::succeeded(passes.run(*m.module))) << m.errors;
  Tensors y = m.run("gradient", args);
  EXPECT_EQ(m.errors, "");
  return y;
}

TEST(Gradient, GivenByHandIsTakenAsGiven) {
  TextModule m(std::string(handGiven) + R"(
    func.func private @f(%x: tensor<3xf64>, %c: tensor<3xf64>, %k: tensor<3xf64>) -> tensor<f64> {
      %y = graph.custom_gradient @forward(%x, %c) kept(%k) backward @backward {num_differentiated = 1 : i64}
         : (tensor<3xf64>, tensor<3xf64>, tensor<3xf64>) -> tensor<3xf64>
      %z = graph.mul %y, %y : tensor<3xf64>
      %r = graph.reduce sum %z axes = [0] : (tensor<3xf64>) -> tensor<f64>
      return %r : tensor<f64>
    }
    func.func @gradient(%x: tensor<3xf64>, %c: tensor<3xf64>, %k: tensor<3xf64>) -> (tensor<f64>, tensor<3xf64>, tensor<3xf64>) {
      %v, %dx, %dc = graph.value_and_grad @f(%x, %c, %k) acc() wrt [0, 1]
         : (tensor<3xf64>, tensor<3xf64>, tensor<3xf64>) -> (tensor<f64>, tensor<3xf64>, tensor<3xf64>)
      return %v, %dx, %dc : tensor<f64>, tensor<3xf64>, tensor<3xf64>
    })");
  HostTensor x = randomTensor({3}, 1), c = randomTensor({3}, 2), k = randomTensor({3}, 3);
  Tensors y = gradientOf(m, {x, c, k});
  for (size_t i = 0; i < 3; ++i) {
    double forward = std::exp(x.values[i]) * c.values[i];
    EXPECT_NEAR(y[1].values[i], 2 * forward * k.values[i] + forward, 1e-12);
    EXPECT_EQ(y[2].values[i], 0);
  }
}

// In a layer: what the backward reads is saved for it, and the function takes the op's place.
TEST(Gradient, GivenByHandInsideARepeat) {
  TextModule m(std::string(handGiven) + R"(
    func.func private @layer(%x: tensor<3xf64>, %c: tensor<3xf64>, %k: tensor<3xf64>) -> tensor<3xf64> {
      %y = graph.custom_gradient @forward(%x, %c) kept(%k) backward @backward {num_differentiated = 1 : i64}
         : (tensor<3xf64>, tensor<3xf64>, tensor<3xf64>) -> tensor<3xf64>
      return %y : tensor<3xf64>
    }
    func.func private @f(%x: tensor<3xf64>, %c: tensor<2x3xf64>, %k: tensor<3xf64>) -> tensor<f64> {
      %y = graph.repeat @layer carry(%x) stacked(%c) invariant(%k) range(0, 2) {tied = array<i64>}
         : (tensor<3xf64>, tensor<2x3xf64>, tensor<3xf64>) -> tensor<3xf64>
      %r = graph.reduce sum %y axes = [0] : (tensor<3xf64>) -> tensor<f64>
      return %r : tensor<f64>
    }
    func.func @gradient(%x: tensor<3xf64>, %c: tensor<2x3xf64>, %k: tensor<3xf64>) -> (tensor<f64>, tensor<3xf64>) {
      %v, %dx = graph.value_and_grad @f(%x, %c, %k) acc() wrt [0]
         : (tensor<3xf64>, tensor<2x3xf64>, tensor<3xf64>) -> (tensor<f64>, tensor<3xf64>)
      return %v, %dx : tensor<f64>, tensor<3xf64>
    })");
  HostTensor x = randomTensor({3}, 1), c = randomTensor({2, 3}, 2), k = randomTensor({3}, 3);
  Tensors y = gradientOf(m, {x, c, k});
  for (size_t i = 0; i < 3; ++i) {
    double first = std::exp(x.values[i]) * c.values[i], second = std::exp(first) * c.values[3 + i];
    double d = k.values[i] + second; // dy = 1
    EXPECT_NEAR(y[1].values[i], d * k.values[i] + first, 1e-12);
  }
}

// Σ (d/dx Σ x³)² = Σ 9 x⁴, whose gradient is 36 x³; @f comes before @inner in the module.
TEST(Gradient, OfAGradient) {
  TextModule m(R"(
    func.func @gradient(%x: tensor<3xf64>) -> (tensor<f64>, tensor<3xf64>) {
      %v, %d = graph.value_and_grad @f(%x) acc() wrt [0] : (tensor<3xf64>) -> (tensor<f64>, tensor<3xf64>)
      return %v, %d : tensor<f64>, tensor<3xf64>
    }
    func.func private @f(%x: tensor<3xf64>) -> tensor<f64> {
      %v, %d = graph.value_and_grad @inner(%x) acc() wrt [0] : (tensor<3xf64>) -> (tensor<f64>, tensor<3xf64>)
      %s = graph.mul %d, %d : tensor<3xf64>
      %r = graph.reduce sum %s axes = [0] : (tensor<3xf64>) -> tensor<f64>
      return %r : tensor<f64>
    }
    func.func private @inner(%x: tensor<3xf64>) -> tensor<f64> {
      %s = graph.mul %x, %x : tensor<3xf64>
      %y = graph.mul %s, %x : tensor<3xf64>
      %r = graph.reduce sum %y axes = [0] : (tensor<3xf64>) -> tensor<f64>
      return %r : tensor<f64>
    })");
  HostTensor x = randomTensor({3}, 1);
  Tensors y = gradientOf(m, {x});
  for (size_t i = 0; i < 3; ++i) EXPECT_NEAR(y[1].values[i], 36 * std::pow(x.values[i], 3), 1e-11);
}

// The results are added onto what came before: a sum over the first dimension goes on where that one ended.
TEST(Gradient, ValuesContinueTheirChains) {
  TextModule m(R"(
    func.func private @f(%x: tensor<4x1xf64>) -> (tensor<f64>, tensor<4x1xf64>) {
      %s = graph.reduce sum %x axes = [0] : (tensor<4x1xf64>) -> tensor<1xf64>
      %r = graph.reshape %s shape = [] : tensor<1xf64>
      return %r, %x : tensor<f64>, tensor<4x1xf64>
    }
    func.func @gradient(%x: tensor<4x1xf64>, %v0: tensor<f64>) -> (tensor<f64>, tensor<4x1xf64>, tensor<4x1xf64>) {
      %v, %y, %d = graph.value_and_grad @f(%x) acc() onto(%v0, %x) wrt [0]
         : (tensor<4x1xf64>, tensor<f64>, tensor<4x1xf64>) -> (tensor<f64>, tensor<4x1xf64>, tensor<4x1xf64>)
      return %v, %y, %d : tensor<f64>, tensor<4x1xf64>, tensor<4x1xf64>
    })");
  HostTensor x = randomTensor({4, 1}, 1), start = randomTensor({}, 2);
  Tensors y = gradientOf(m, {x, start});
  double chain = start.values[0];
  for (double v : x.values) chain += v;
  EXPECT_EQ(y[0].values[0], chain);
  for (size_t i = 0; i < 4; ++i) EXPECT_EQ(y[1].values[i], 2 * x.values[i]);
}

} // namespace
} // namespace weft::testing
