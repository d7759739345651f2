// Every operator's gradient against finite differences, a line an operator and shape.
#include "tests/compiler/graph/gradient_check.h"

namespace weft::testing {
namespace {

struct Row {
  std::string op;
  Tensors operands;
  std::vector<std::vector<int64_t>> results;
};
HostTensor real(llvm::ArrayRef<int64_t> shape, uint32_t seed = 1, double low = -1, double high = 1) {
  return randomTensor(shape, seed, low, high);
}
HostTensor ints(llvm::ArrayRef<int64_t> shape, std::vector<double> values) {
  return tensor(shape, std::move(values), Element::i32);
}
HostTensor bits(llvm::ArrayRef<int64_t> shape, uint32_t seed) {
  return randomTensor(shape, seed, 0, 2, Element::i1);
}

void check(const std::vector<Row> &table) {
  for (const Row &row : table) checkOpGradients(row.op, row.operands, row.results);
}

const std::vector<std::vector<int64_t>> kShapes = {{}, {1}, {7}, {3, 5}, {2, 1, 3}, {2, 1, 3, 2}};

TEST(Gradient, Unary) {
  for (auto &shape : kShapes)
    for (const char *name : {"neg", "exp", "log", "sqrt", "rsqrt", "tanh", "sigmoid", "sin", "cos", "abs"}) {
      bool positive = llvm::is_contained({"log", "sqrt", "rsqrt"}, llvm::StringRef(name));
      check({{std::string("graph.") + name + " %0 : $0", {real(shape, 3, positive ? 0.3 : -2, 2)}, {shape}}});
    }
}

TEST(Gradient, Binary) {
  for (auto &shape : kShapes)
    for (const char *name : {"add", "sub", "mul", "div", "max", "min", "pow"})
      check({{std::string("graph.") + name + " %0, %1 : $0",
              {real(shape, 1, 0.4, 2), real(shape, 2, 0.4, 2)},
              {shape}}});
}

TEST(Gradient, OneValueUsedTwice) {
  check({{"graph.mul %0, %0 : $0", {real({3, 5})}, {{3, 5}}},
         {"graph.div %0, %0 : $0", {real({5}, 1, 1, 2)}, {{5}}},
         {"graph.matmul %0, %0 {transpose_rhs} : ($0, $0) -> $r", {real({3, 5})}, {{3, 3}}},
         {"graph.matmul %0, %0 : ($0, $0) -> $r", {real({3, 3})}, {{3, 3}}},
         {"graph.concat %0, %0 axis = 0 : $0, $0", {real({2, 3})}, {{4, 3}}}});
}

TEST(Gradient, SelectAndCast) {
  check({{"graph.select %0, %1, %2 : $0, $1", {bits({3, 5}, 1), real({3, 5}, 2), real({3, 5}, 3)}, {{3, 5}}},
         {"graph.select %0, %1, %1 : $0, $1", {bits({7}, 1), real({7}, 2)}, {{7}}},
         {"graph.cast %0 to f64 : $0", {real({3})}, {{3}}}});
}

TEST(Gradient, MovingValues) {
  check({{"graph.broadcast %0 dims = [] shape = [2, 3] : $0", {real({})}, {{2, 3}}},
         {"graph.broadcast %0 dims = [1] shape = [2, 3, 5] : $0", {real({3})}, {{2, 3, 5}}},
         {"graph.broadcast %0 dims = [2] shape = [2, 3, 5] : $0", {real({5})}, {{2, 3, 5}}},
         {"graph.broadcast %0 dims = [0, 2] shape = [2, 3, 5] : $0", {real({2, 5})}, {{2, 3, 5}}},
         {"graph.broadcast %0 dims = [0, 1] shape = [2, 7] : $0", {real({2, 1})}, {{2, 7}}},
         {"graph.broadcast %0 dims = [0, 1, 2] shape = [3, 2, 7] : $0", {real({1, 2, 1})}, {{3, 2, 7}}},
         {"graph.reshape %0 shape = [5, 6] : $0", {real({2, 3, 5})}, {{5, 6}}},
         {"graph.reshape %0 shape = [] : $0", {real({1, 1})}, {{}}},
         {"graph.transpose %0 permutation = [2, 0, 1] : $0", {real({2, 3, 5})}, {{5, 2, 3}}},
         {"graph.transpose %0 permutation = [0, 2, 1, 3] : $0", {real({2, 3, 1, 2})}, {{2, 1, 3, 2}}},
         {"graph.slice %0 offsets = [1, 0, 2] sizes = [1, 3, 2] : $0", {real({2, 3, 5})}, {{1, 3, 2}}},
         {"graph.pad %0 low = [1, 0] high = [0, 2] : $0", {real({2, 3})}, {{3, 5}}},
         {"graph.concat %0, %1, %2 axis = 1 : $0, $1, $2",
          {real({2, 3}), real({2, 1}, 2), real({2, 2}, 3)},
          {{2, 6}}}});
}

TEST(Gradient, Reductions) {
  check(
      {{"graph.reduce sum %0 axes = [0] : ($0) -> $r", {real({7})}, {{}}},
       {"graph.reduce sum %0 axes = [2] : ($0) -> $r", {real({2, 3, 5})}, {{2, 3}}},
       {"graph.reduce sum %0 axes = [1, 2] : ($0) -> $r", {real({2, 3, 5})}, {{2}}},
       {"graph.reduce sum %0 axes = [0, 1] : ($0) -> $r", {real({2, 3, 5})}, {{5}}},
       {"graph.reduce sum %0 axes = [1] : ($0) -> $r", {real({2, 3, 5})}, {{2, 5}}},
       {"graph.reduce sum %0 acc %1 axes = [0, 1] : ($0, $1) -> $r", {real({2, 3, 5}), real({5}, 2)}, {{5}}},
       {"graph.reduce max %0 axes = [2] : ($0) -> $r", {real({2, 3, 5})}, {{2, 3}}},
       {"graph.reduce max %0 axes = [0] : ($0) -> $r", {real({7, 2})}, {{2}}},
       {"graph.reduce max %0 axes = [1] : ($0) -> $r", {real({3, 1})}, {{3}}}});
}

TEST(Gradient, MatrixProducts) {
  for (auto [m, n, k] : {std::tuple<int64_t, int64_t, int64_t>{1, 1, 1}, {3, 5, 7}, {1, 5, 2}, {5, 1, 3}}) {
    HostTensor a = real({m, k}), at = real({k, m}), b = real({k, n}, 2), bt = real({n, k}, 2),
               acc = real({m, n}, 3);
    check({{"graph.matmul %0, %1 : ($0, $1) -> $r", {a, b}, {{m, n}}},
           {"graph.matmul %0, %1 {transpose_rhs} : ($0, $1) -> $r", {a, bt}, {{m, n}}},
           {"graph.matmul %0, %1 {transpose_lhs} : ($0, $1) -> $r", {at, b}, {{m, n}}},
           {"graph.matmul %0, %1 {transpose_lhs, transpose_rhs} : ($0, $1) -> $r", {at, bt}, {{m, n}}},
           {"graph.matmul %0, %1 acc %2 : ($0, $1, $2) -> $r", {a, b, acc}, {{m, n}}},
           {"graph.matmul %0, %1 acc %2 {transpose_rhs} : ($0, $1, $2) -> $r", {a, bt, acc}, {{m, n}}}});
  }
  check(
      {{"graph.matmul %0, %1 : ($0, $1) -> $r", {real({2, 2, 1, 3}), real({2, 2, 3, 5}, 2)}, {{2, 2, 1, 5}}},
       {"graph.matmul %0, %1 {transpose_lhs} : ($0, $1) -> $r",
        {real({2, 3, 1}), real({2, 3, 5}, 2)},
        {{2, 1, 5}}},
       {"graph.matmul %0, %1 {transpose_rhs} : ($0, $1) -> $r",
        {real({2, 1, 3}), real({2, 5, 3}, 2)},
        {{2, 1, 5}}},
       {"graph.matmul %0, %1 {transpose_lhs, transpose_rhs} : ($0, $1) -> $r",
        {real({2, 3, 2}), real({2, 5, 3}, 2)},
        {{2, 2, 5}}},
       {"graph.matmul %0, %1 : ($0, $1) -> $r", {real({2, 3, 5}), real({5, 2}, 2)}, {{2, 3, 2}}},
       {"graph.matmul %0, %1 {transpose_rhs} : ($0, $1) -> $r",
        {real({2, 1, 3, 5}), real({2, 5}, 2)},
        {{2, 1, 3, 2}}}});
}

TEST(Gradient, RowsByIndex) {
  HostTensor tokens = ints({2, 3}, {2, 0, 2, 3, -1, 9});
  check({{"graph.gather %0, %1 : ($0, $1) -> $r", {real({4, 3}), tokens}, {{2, 3, 3}}},
         {"graph.gather %0, %1 : ($0, $1) -> $r", {real({4}), tokens}, {{2, 3}}},
         {"graph.scatter_add %0, %1, %2 : ($0, $1, $2) -> $r",
          {real({4, 3}), tokens, real({2, 3, 3}, 2)},
          {{4, 3}}},
         {"graph.write_rows %0, %1, %2 : ($0, $1, $2) -> $r",
          {real({2, 5, 2}), ints({2, 2}, {4, 0, 2, 3}), real({2, 2, 2}, 2)},
          {{2, 5, 2}}},
         {"graph.write_rows %0, %1, %2 : ($0, $1, $2) -> $r",
          {real({1, 3, 2}), ints({1, 3}, {1, 9, 1}), real({1, 3, 2}, 2)},
          {{1, 3, 2}}}});
}

// Two documents of 3 and 4 tokens in one row, causal within each; and odd ranges, empty ones too.
TEST(Gradient, Attention) {
  std::string op =
      "graph.attention %0, %1, %2 range %3, %4 {scale = 0.6 : f64} : ($0, $1, $2, $3, $4) -> ($r, $s)";
  HostTensor documents = ints({1, 7}, {0, 0, 0, 3, 3, 3, 3}), causal = ints({1, 7}, {1, 2, 3, 4, 5, 6, 7});
  check({{op,
          {real({1, 7, 2, 3}), real({1, 7, 2, 3}, 2), real({1, 7, 2, 3}, 3), documents, causal},
          {{1, 7, 2, 3}, {1, 7, 2}}},
         {op,
          {real({1, 7, 4, 2}), real({1, 7, 2, 2}, 2), real({1, 7, 2, 3}, 3), documents, causal},
          {{1, 7, 4, 3}, {1, 7, 4}}},
         {op,
          {real({2, 2, 3, 1}), real({2, 5, 1, 1}, 2), real({2, 5, 1, 2}, 3), ints({2, 2}, {0, 3, 2, -1}),
           ints({2, 2}, {5, 3, 9, 1})},
          {{2, 2, 3, 2}, {2, 2, 3}}}});
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
  HostTensor x = real({3});
  Tensors y = m.run("gradient", {x});
  ASSERT_EQ(m.errors, "");
  EXPECT_EQ(y[0].values, x.values);
}

} // namespace
} // namespace weft::testing
