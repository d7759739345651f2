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

} // namespace
} // namespace weft::testing
