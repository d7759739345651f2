// What each operator may be off by in compiled code, against f64 on the same inputs. docs/numerics.md has
// this table with what was measured.
#include "tests/compiler/program/error_bounds.h"
#include <gtest/gtest.h>
#include <set>

namespace weft::testing {
namespace {

constexpr int64_t kCount = 1 << 16, kTerms = 1024;

// Inputs are what f32 holds, so that both sides see the same; normal, since denormals are zeros to kernels.
constexpr double kLeast = 1.2e-38, kMost = 3.4e38;
HostTensor evenly(double low, double high, uint32_t seed = 1) { return real({kCount}, seed, low, high); }
// As many of each magnitude.
HostTensor magnitudes(double low, double high, uint32_t seed = 1) {
  HostTensor t = evenly(std::log(low), std::log(high), seed);
  for (double &v : t.values) v = std::exp(v);
  t.roundToElement();
  return t;
}
HostTensor signedMagnitudes(double low, double high, uint32_t seed = 1) {
  HostTensor t = magnitudes(low, high, seed);
  for (size_t i = 0; i < t.values.size(); i += 3) t.values[i] *= -1;
  return t;
}
// Every other element is of `b`.
HostTensor mixed(HostTensor a, const HostTensor &b) {
  for (size_t i = 1; i < a.values.size(); i += 2) a.values[i] = b.values[i];
  return a;
}
HostTensor whole(llvm::ArrayRef<int64_t> shape, double low, double high) {
  return randomTensor(shape, 1, low, high, Element::i32);
}
HostTensor inBf16(HostTensor t) {
  for (double &v : t.values) v = graph::roundToBf16(v);
  return t;
}
// Of both signs, but mostly of one: sums that grow are off by most.
HostTensor terms(llvm::ArrayRef<int64_t> shape, uint32_t seed) { return real(shape, seed, -0.25, 1); }

const std::string kSoftmax = R"(
  %m = graph.reduce max %0 axes = [1] : ($0) -> tensor<64xf32>
  %mb = graph.broadcast %m dims = [0] shape = [64, 1024] : tensor<64xf32>
  %d = graph.sub %0, %mb : $0
  %e = graph.exp %d : $0
  %z = graph.reduce sum %e axes = [1] : ($0) -> tensor<64xf32>
  %zb = graph.broadcast %z dims = [0] shape = [64, 1024] : tensor<64xf32>
  %r = graph.div %e, %zb : $0)";
const std::string kRmsNorm = R"(
  %s = graph.mul %0, %0 : $0
  %t = graph.reduce sum %s axes = [1] : ($0) -> tensor<64xf32>
  %n = graph.constant dense<0.0009765625> : tensor<64xf32>
  %mean = graph.mul %t, %n : tensor<64xf32>
  %i = graph.rsqrt %mean : tensor<64xf32>
  %ib = graph.broadcast %i dims = [0] shape = [64, 1024] : tensor<64xf32>
  %x = graph.mul %0, %ib : $0
  %wb = graph.broadcast %1 dims = [1] shape = [64, 1024] : $1
  %r = graph.mul %x, %wb : $0)";

void addElementwise(std::vector<ErrorBound> &rows) {
  // `worst`: where the error was largest when every f32 of the magnitudes that matter was tried.
  auto unary = [&](std::string op, double bound, HostTensor x, std::optional<float> worst = {}) {
    if (worst) x.values[0] = *worst;
    rows.push_back({op, "%r = graph." + op + " %0 : $0", {x}, {kCount}, bound});
  };
  auto binary = [&](std::string op, double bound, HostTensor a, HostTensor b) {
    rows.push_back({op, "%r = graph." + op + " %0, %1 : $0", {a, b}, {kCount}, bound});
  };
  HostTensor any = signedMagnitudes(kLeast, kMost), positive = magnitudes(kLeast, kMost),
             a = mixed(evenly(-1, 1), signedMagnitudes(1e-18, 1e18)),
             b = mixed(evenly(-1, 1, 2), signedMagnitudes(1e-18, 1e18, 2));
  for (const char *exact : {"neg", "abs"}) unary(exact, 0, any);
  for (const char *exact : {"max", "min"}) binary(exact, 0, a, b);
  for (const char *nearest : {"add", "sub", "mul", "div"}) binary(nearest, 0.5, a, b);
  unary("sqrt", 0.5, positive);
  unary("rsqrt", 1.5, positive, 1.00618589f);
  unary("exp", 1.1, mixed(evenly(-87.3, 88.7), signedMagnitudes(1e-30, 1)), 5.19896269f);
  unary("log", 0.85, mixed(positive, evenly(0.5, 2)), 1.41364205f);
  unary("tanh", 1.4, mixed(evenly(-1, 1), signedMagnitudes(1e-30, 100)), 0.631044209f);
  unary("sigmoid", 2.5, mixed(evenly(-87, 88), signedMagnitudes(1e-30, 10)), -16.635704f);
  HostTensor angles = mixed(evenly(-1e5, 1e5), signedMagnitudes(1e-30, 10));
  unary("sin", 1.5, angles, 625.051819f);
  unary("cos", 1.5, angles, 32617.7109f);
  // Results of every magnitude; bases near one to powers that bias corrections take.
  HostTensor power = evenly(-87.3, 88.7, 2);
  for (auto [p, base] : llvm::zip_equal(power.values, positive.values)) p /= std::log(base);
  power.roundToElement();
  binary("pow", 0.51, mixed(positive, evenly(0.95, 1)), mixed(power, evenly(0, 1000)));
  // The interpreter rounds here too: only the nearest is right, of two as near the even one.
  HostTensor ties = inBf16(evenly(-1, 1));
  for (double &v : ties.values) v += std::ldexp(1.0, std::ilogb(v) - 8);
  std::string there = "%n = graph.cast %0 to bf16 : $0\n",
              back = "%r = graph.cast %n to f32 : tensor<65536xbf16>";
  rows.push_back({"cast to bf16", there + back, {mixed(any, ties)}, {kCount}, 0, Unit::bf16Ulp});
  HostTensor integers = whole({kCount}, -2e9, 2e9);
  rows.push_back({"cast to f32", "%r = graph.cast %0 to f32 : $0", {integers}, {kCount}, 0.5});
}

void addSums(std::vector<ErrorBound> &rows) {
  // `summed`: ErrorBound's; of those that sum nothing, the bound is in ulp.
  auto add = [&](std::string name, const std::string &op, Tensors operands, std::vector<int64_t> shape,
                 double bound, std::vector<int> summed = {}) {
    rows.push_back({name, "%r = graph." + op + " -> $r", operands, shape, bound,
                    summed.empty() ? Unit::ulp : Unit::terms, summed});
  };
  HostTensor table = terms({4, 256}, 1), indices = whole({4 * kTerms}, 0, 4);
  Tensors added = {table, indices, terms({4 * kTerms, 256}, 2)};
  add("reduce sum of a row", "reduce sum %0 axes = [1] : ($0)", {terms({4096, kTerms}, 1)}, {4096}, 2e-7,
      {0});
  add("reduce sum of a column", "reduce sum %0 axes = [0] : ($0)", {terms({kTerms, 4096}, 1)}, {4096}, 2e-6,
      {0});
  add("reduce max", "reduce max %0 axes = [1] : ($0)", {terms({256, kTerms}, 1)}, {256}, 0);
  add("matmul", "matmul %0, %1 {transpose_lhs} : ($0, $1)", {terms({kTerms, 96}, 1), terms({kTerms, 80}, 2)},
      {96, 80}, 2e-6, {0, 1});
  add("gather", "gather %0, %1 : ($0, $1)", {table, indices}, {4 * kTerms, 256}, 0);
  add("scatter_add", "scatter_add %0, %1, %2 : ($0, $1, $2)", added, {4, 256}, 2e-6, {0, 2});
  // Eight experts of a few rows each, of none, and of most.
  HostTensor starts = whole({9}, 0, 1), place = whole({512, 2}, 0, 1), token = whole({2 * 512}, 0, 1);
  starts.values = {0, 3, 3, 100, 101, 500, 512, 1000, 1024};
  for (int64_t i = 0; i < 1024; ++i) place.values[i] = 7 * i % 1024, token.values[7 * i % 1024] = i / 2;
  Tensors rowsOf = {terms({kTerms, 64}, 1), terms({8, 64, 80}, 2), starts};
  add("grouped_matmul", "grouped_matmul %0, %1, %2 : ($0, $1, $2)", rowsOf, {kTerms, 80}, 1e-6, {0, 1});
  rowsOf[1] = terms({kTerms, 80}, 2);
  add("grouped_outer", "grouped_outer %0, %1, %2 : ($0, $1, $2)", rowsOf, {8, 64, 80}, 2e-6, {0, 1});
  add("collect", "collect %0, %1, %2 : ($0, $1, $2)", {terms({kTerms, 64}, 1), place, token}, {512, 64}, 1e-7,
      {0});
  HostTensor x = real({64, kTerms}, 1, -8, 8), weight = real({kTerms}, 2, 0.5, 2);
  rows.push_back({"softmax of a row", kSoftmax, {x}, {64, kTerms}, 1e-6, Unit::result});
  rows.push_back({"RMSNorm of a row", kRmsNorm, {x, weight}, {64, kTerms}, 3e-7, Unit::result});
}

// `in`: what names add of the type; "" is f32. Two documents of 150 and 106 tokens, causal within each; four
// query heads of 64 share two key heads.
void addAttention(std::vector<ErrorBound> &rows, const std::string &in, double out, double lse,
                  double gradient) {
  const std::string attend = "graph.attention %0, %1, %2 range %3, %4 {scale = 0.125 : f64} : "
                             "($0, $1, $2, $3, $4) -> ($0, tensor<1x256x4xf32>)\n";
  std::vector<int64_t> q = {1, 256, 4, 64}, kv = {1, 256, 2, 64};
  HostTensor begin = whole({1, 256}, 0, 1), end = begin;
  for (int64_t t = 0; t < 256; ++t) begin.values[t] = t < 150 ? 0 : 150, end.values[t] = t + 1;
  auto operand = [&](const std::vector<int64_t> &shape, uint32_t seed) {
    HostTensor t = real(shape, seed, -2, 2);
    return in.empty() ? t : inBf16(t);
  };
  Tensors x = {operand(q, 1), operand(kv, 2), operand(kv, 3), begin, end};
  rows.push_back({"attention" + in, "%r, %l = " + attend, x, q, out, Unit::terms, {2}});
  rows.push_back({"attention (lse)" + in, "%o, %r = " + attend, x, {1, 256, 4}, lse, Unit::largest});
  x.push_back(operand(q, 4));
  std::string loss = "func.func @loss(%0: $0, %1: $1, %2: $2, %3: $3, %4: $4, %5: $5) -> tensor<f32> {\n"
                     "%o, %l = " +
                     attend +
                     "%m = graph.mul %o, %5 : $5\n"
                     "%t = graph.reduce sum %m axes = [0, 1, 2, 3] : ($5) -> tensor<f32>\n"
                     "return %t : tensor<f32>\n}";
  auto add = [&](const std::string &op, const std::string &results, const std::string &of,
                 const std::string &types, const std::vector<int64_t> &shape) {
    rows.push_back({op + in,
                    "%v, " + results + " = graph.value_and_grad @loss(%0, %1, %2, %3, %4, %5) acc() wrt [" +
                        of + "] : ($0, $1, $2, $3, $4, $5) -> (tensor<f32>, " + types + ")",
                    x,
                    shape,
                    gradient,
                    Unit::largest,
                    {},
                    loss});
  };
  add("attention_grad (q)", "%r, %s, %t", "0, 1, 2", "$0, $1, $2", q);
  add("attention_grad (k)", "%s, %r, %t", "0, 1, 2", "$0, $1, $2", kv);
  add("attention_grad (v)", "%s, %t, %r", "0, 1, 2", "$0, $1, $2", kv);
  // One side of it alone.
  add("attention_grad (q alone)", "%r", "0", "$0", q);
  add("attention_grad (k alone)", "%r, %s", "1, 2", "$1, $2", kv);
  add("attention_grad (v alone)", "%s, %r", "1, 2", "$1, $2", kv);
}

std::vector<ErrorBound> f32Rows() {
  std::vector<ErrorBound> rows;
  addElementwise(rows);
  addSums(rows);
  addAttention(rows, "", 1e-6, 3e-7, 1e-6);
  return rows;
}

// Operands are bf16's, so that errors are those of sums, of results, and of what attention rounds inside.
void checkBf16(const std::string &unit, double sum) {
  const std::string matmul = " = graph.matmul %0, %1 {transpose_lhs} : ($0, $1) -> $r\n";
  auto factors = [](double low) {
    return Tensors{inBf16(real({kTerms, 96}, 1, low, 1)), inBf16(real({kTerms, 80}, 2, low, 1))};
  };
  std::vector<ErrorBound> rows;
  rows.push_back({"matmul of bf16", "%r" + matmul, factors(-0.25), {96, 80}, sum, Unit::terms, {0, 1}});
  // A function is taken of the product: such values are kept in bf16. Of positive terms, since where terms
  // cancel the last place of what is left says nothing about the sum.
  std::string kept = "%m" + matmul + "%r = graph.abs %m : $r";
  rows.push_back({"matmul of bf16, kept in bf16", kept, factors(0), {96, 80}, 1, Unit::bf16Ulp});
  addAttention(rows, " of bf16", 8e-3, 3e-7, 4e-3);
  checkErrorBounds(rows, unit);
}

TEST(ErrorBounds, OfEveryOperatorInF32) { checkErrorBounds(f32Rows()); }
TEST(ErrorBounds, OfProductsAndAttentionInBf16SummedAsAmxDoes) { checkBf16("amx", 1e-6); }
TEST(ErrorBounds, OfProductsAndAttentionInBf16SummedAsVdpbf16Does) { checkBf16("vdpbf16", 2e-6); }

TEST(ErrorBounds, AreDeclaredForEveryOperatorThatComputes) {
  const std::set<std::string> computeNothing = {
      "constant", "iota",          "broadcast",  "reshape",        "transpose",      "slice",
      "pad",      "concat",        "write_rows", "compare",        "select",         "and",
      "or",       "stop_gradient", "repeat",     "top_k",          "sort_by_expert", "dispatch",
      "variable", "read",          "write",      "value_and_grad", "custom_gradient"};
  TextModule empty("");
  std::vector<ErrorBound> rows = f32Rows();
  for (mlir::RegisteredOperationName op : empty.context.getRegisteredOperations()) {
    if (op.getDialectNamespace() != "graph") continue;
    std::string name = op.stripDialect().str();
    bool declared = llvm::any_of(
        rows, [&](const ErrorBound &row) { return llvm::StringRef(row.name).split(' ').first == name; });
    EXPECT_NE(declared, computeNothing.contains(name))
        << "graph." << name << " needs a row here, or a place among what computes nothing";
  }
}

} // namespace
} // namespace weft::testing
