// Every operator's reference evaluation against a formula written here, over odd shapes.
#include "tests/compiler/interpret_text.h"
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace weft::testing {
namespace {

using Index = llvm::ArrayRef<int64_t>;
using Formula = std::function<double(Index)>;

double at(const HostTensor &t, std::initializer_list<int64_t> index) {
  return t.values[graph::addressOf(index, t.strides())];
}
double at(const HostTensor &t, Index index) { return t.values[graph::addressOf(index, t.strides())]; }

std::string typeOf(const HostTensor &t) { return "tensor<" + graph::describe(t.shape, t.element) + ">"; }

// Replaces $0, $1, … by the operands' types.
std::string withTypes(std::string text, const Tensors &args) {
  for (size_t i = 0; i < args.size(); ++i)
    for (size_t p; (p = text.find("$" + std::to_string(i))) != std::string::npos;)
      text.replace(p, 2, typeOf(args[i]));
  return text;
}

// Runs one op on operands %0, %1, …; `op` may use their types as $0, $1, ….
HostTensor evaluate(const std::string &op, const Tensors &args, const std::string &resultType) {
  std::string signature, text = withTypes(op, args);
  for (size_t i = 0; i < args.size(); ++i)
    signature += (i ? ", %" : "%") + std::to_string(i) + ": " + typeOf(args[i]);
  TextModule m("func.func @f(" + signature + ") -> " + resultType + " {\n %r = " + text +
               "\n return %r : " + resultType + "\n}");
  Tensors results = m.run("f", args);
  EXPECT_EQ(m.errors, "") << text;
  return results.empty() ? HostTensor{} : results[0];
}

// Runs the op and compares every element of the result with the formula.
void expect(const std::string &op, const Tensors &args, Index shape, const Formula &formula,
            Element element = Element::f64) {
  HostTensor y = evaluate(op, args, "tensor<" + graph::describe(shape, element) + ">");
  ASSERT_EQ(y.shape, llvm::SmallVector<int64_t>(shape)) << op;
  graph::forEachIndex(shape, [&](int64_t linear, Index index) {
    double expected = formula(index);
    if (std::isnan(expected))
      EXPECT_TRUE(std::isnan(y.values[linear])) << op << " element " << linear;
    else
      EXPECT_NEAR(y.values[linear], expected, 1e-12 * std::max(1., std::fabs(expected)))
          << op << " element " << linear;
  });
}

const std::vector<std::vector<int64_t>> kShapes = {{}, {1}, {7}, {3, 5}, {1, 13}, {2, 1, 3}, {2, 3, 1, 5}};

TEST(Evaluate, UnaryOperators) {
  struct Row {
    const char *name;
    double low, high;
    double (*f)(double);
  } table[] = {
      {"neg", -2, 2, [](double x) { return 0 - x; }},
      {"exp", -5, 5, [](double x) { return std::pow(M_E, x); }},
      {"log", 0.01, 9, [](double x) { return std::log2(x) * M_LN2; }},
      {"sqrt", 0, 9, [](double x) { return std::pow(x, 0.5); }},
      {"rsqrt", 0.01, 9, [](double x) { return std::pow(x, -0.5); }},
      {"tanh", -3, 3, [](double x) { return 1 - 2 / (std::exp(2 * x) + 1); }},
      {"sigmoid", -6, 6, [](double x) { return std::exp(x) / (std::exp(x) + 1); }},
      {"sin", -9, 9, [](double x) { return std::cos(x - M_PI_2); }},
      {"cos", -9, 9, [](double x) { return std::sin(x + M_PI_2); }},
      {"abs", -2, 2, [](double x) { return x < 0 ? -x : x; }},
      {"stop_gradient", -2, 2, [](double x) { return x; }},
  };
  for (auto &row : table)
    for (auto &shape : kShapes) {
      HostTensor x = randomTensor(shape, 1, row.low, row.high);
      expect(std::string("graph.") + row.name + " %0 : $0", {x}, shape,
             [&](Index i) { return row.f(at(x, i)); });
    }
}

TEST(Evaluate, BinaryOperators) {
  struct Row {
    const char *name;
    double (*f)(double, double);
  } table[] = {
      {"add", [](double a, double b) { return a + b; }},
      {"sub", [](double a, double b) { return a - b; }},
      {"mul", [](double a, double b) { return a * b; }},
      {"div", [](double a, double b) { return a / b; }},
      {"max", [](double a, double b) { return (a + b + std::fabs(a - b)) / 2; }},
      {"min", [](double a, double b) { return (a + b - std::fabs(a - b)) / 2; }},
      {"pow", [](double a, double b) { return std::exp(b * std::log(a)); }},
  };
  for (auto &row : table)
    for (auto &shape : kShapes) {
      HostTensor a = randomTensor(shape, 1, 0.1, 3), b = randomTensor(shape, 2, 0.1, 3);
      expect(std::string("graph.") + row.name + " %0, %1 : $0", {a, b}, shape,
             [&](Index i) { return row.f(at(a, i), at(b, i)); });
    }
}

TEST(Evaluate, IntegersWrapAround) {
  HostTensor a = tensor({3}, {2147483647, -2147483648.0, 65537}, Element::i32),
             b = tensor({3}, {1, -1, 65537}, Element::i32);
  EXPECT_THAT(evaluate("graph.add %0, %1 : $0", {a, b}, "tensor<3xi32>").values,
              ::testing::ElementsAre(-2147483648.0, 2147483647, 131074));
  EXPECT_THAT(evaluate("graph.sub %0, %1 : $0", {a, b}, "tensor<3xi32>").values,
              ::testing::ElementsAre(2147483646, -2147483647.0, 0));
  EXPECT_THAT(evaluate("graph.mul %0, %1 : $0", {a, b}, "tensor<3xi32>").values,
              ::testing::ElementsAre(2147483647, -2147483648.0, 131073));
}

TEST(Evaluate, ComparisonsAreOrderedExceptNotEqual) {
  HostTensor a = tensor({5}, {1, 2, 3, NAN, NAN}), b = tensor({5}, {2, 2, 2, 2, NAN});
  auto compare = [&](const char *predicate) {
    return evaluate(std::string("graph.compare ") + predicate + " %0, %1 : $0", {a, b}, "tensor<5xi1>")
        .values;
  };
  EXPECT_THAT(compare("eq"), ::testing::ElementsAre(0, 1, 0, 0, 0));
  EXPECT_THAT(compare("ne"), ::testing::ElementsAre(1, 0, 1, 1, 1));
  EXPECT_THAT(compare("lt"), ::testing::ElementsAre(1, 0, 0, 0, 0));
  EXPECT_THAT(compare("le"), ::testing::ElementsAre(1, 1, 0, 0, 0));
  EXPECT_THAT(compare("gt"), ::testing::ElementsAre(0, 0, 1, 0, 0));
  EXPECT_THAT(compare("ge"), ::testing::ElementsAre(0, 1, 1, 0, 0));
}

TEST(Evaluate, LogicAndSelection) {
  HostTensor p = tensor({4}, {0, 0, 1, 1}, Element::i1), q = tensor({4}, {0, 1, 0, 1}, Element::i1);
  EXPECT_THAT(evaluate("graph.and %0, %1 : $0", {p, q}, "tensor<4xi1>").values,
              ::testing::ElementsAre(0, 0, 0, 1));
  EXPECT_THAT(evaluate("graph.or %0, %1 : $0", {p, q}, "tensor<4xi1>").values,
              ::testing::ElementsAre(0, 1, 1, 1));
  HostTensor a = tensor({4}, {1, 2, 3, 4}), b = tensor({4}, {5, 6, 7, 8});
  EXPECT_THAT(evaluate("graph.select %0, %1, %2 : $0, $1", {p, a, b}, "tensor<4xf64>").values,
              ::testing::ElementsAre(5, 6, 3, 4));
}

TEST(Evaluate, CastsTruncateTowardsZeroAndSaturate) {
  HostTensor x = tensor({6}, {1.9, -1.9, 1e30, -1e30, NAN, -0.4});
  EXPECT_THAT(evaluate("graph.cast %0 to i32 : $0", {x}, "tensor<6xi32>").values,
              ::testing::ElementsAre(1, -1, 2147483647, -2147483648.0, 0, 0));
  EXPECT_THAT(evaluate("graph.cast %0 to i1 : $0", {tensor({3}, {0, -2, 0.5})}, "tensor<3xi1>").values,
              ::testing::ElementsAre(0, 1, 1));
  EXPECT_THAT(
      evaluate("graph.cast %0 to f32 : $0", {tensor({2}, {3, -7}, Element::i32)}, "tensor<2xf32>").values,
      ::testing::ElementsAre(3, -7));
}

TEST(Evaluate, ValuesFromNothing) {
  expect(
      "graph.iota tensor<2x3xi32> axis = 1", {}, {2, 3}, [](Index i) { return i[1]; }, Element::i32);
  expect(
      "graph.iota tensor<2x3xi64> axis = 0", {}, {2, 3}, [](Index i) { return i[0]; }, Element::i64);
  expect("graph.constant dense<2.5> : tensor<3x1xf64>", {}, {3, 1}, [](Index) { return 2.5; });
  expect(
      "graph.constant dense<[[1, -2], [3, 4]]> : tensor<2x2xi32>", {}, {2, 2},
      [](Index i) { return i[0] ? 3 + i[1] : 1 - 3 * i[1]; }, Element::i32);
  expect(
      "graph.constant dense<[true, false]> : tensor<2xi1>", {}, {2}, [](Index i) { return 1 - i[0]; },
      Element::i1);
}

TEST(Evaluate, MovingValues) {
  HostTensor x = randomTensor({2, 3, 5}, 1), s = randomTensor({}, 2), v = randomTensor({3}, 3),
             one = randomTensor({2, 1}, 4);
  expect("graph.broadcast %0 dims = [] shape = [2, 3] : $0", {s}, {2, 3}, [&](Index) { return s.values[0]; });
  expect("graph.broadcast %0 dims = [1] shape = [2, 3, 5] : $0", {v}, {2, 3, 5},
         [&](Index i) { return v.values[i[1]]; });
  expect("graph.broadcast %0 dims = [0, 1] shape = [2, 7] : $0", {one}, {2, 7},
         [&](Index i) { return one.values[i[0]]; });
  expect("graph.reshape %0 shape = [5, 6] : $0", {x}, {5, 6},
         [&](Index i) { return x.values[i[0] * 6 + i[1]]; });
  expect("graph.reshape %0 shape = [] : $0", {randomTensor({1, 1}, 9)}, {},
         [&](Index) { return randomTensor({}, 9).values[0]; });
  expect("graph.transpose %0 permutation = [2, 0, 1] : $0", {x}, {5, 2, 3}, [&](Index i) {
    return at(x, {i[1], i[2], i[0]});
  });
  expect("graph.slice %0 offsets = [1, 0, 2] sizes = [1, 3, 2] : $0", {x}, {1, 3, 2}, [&](Index i) {
    return at(x, {1, i[1], i[2] + 2});
  });
  expect("graph.slice %0 offsets = [0, 3, 0] sizes = [2, 0, 5] : $0", {x}, {2, 0, 5},
         [&](Index) { return 0; });
  expect("graph.pad %0 low = [1, 0] high = [0, 2] : $0", {one}, {3, 3},
         [&](Index i) { return i[0] == 0 || i[1] > 0 ? 0 : one.values[i[0] - 1]; });
  HostTensor y = randomTensor({2, 1, 5}, 5);
  expect("graph.concat %0, %1, %0 axis = 1 : $0, $1, $0", {x, y}, {2, 7, 5}, [&](Index i) {
    return i[1] == 3 ? at(y, {i[0], 0, i[2]}) : at(x, {i[0], i[1] % 4, i[2]});
  });
}

TEST(Evaluate, Reductions) {
  HostTensor x = randomTensor({2, 3, 5}, 1);
  auto sum = [&](auto f, int64_t n) {
    double total = 0;
    for (int64_t j = 0; j < n; ++j) total += f(j);
    return total;
  };
  expect("graph.reduce sum %0 axes = [2] : ($0) -> tensor<2x3xf64>", {x}, {2, 3}, [&](Index i) {
    return sum([&](int64_t j) { return at(x, {i[0], i[1], j}); }, 5);
  });
  expect("graph.reduce sum %0 axes = [1, 2] : ($0) -> tensor<2xf64>", {x}, {2}, [&](Index i) {
    return sum([&](int64_t j) { return at(x, {i[0], j / 5, j % 5}); }, 15);
  });
  expect("graph.reduce sum %0 axes = [0, 1, 2] : ($0) -> tensor<f64>", {x}, {},
         [&](Index) { return sum([&](int64_t j) { return x.values[j]; }, 30); });
  expect("graph.reduce sum %0 axes = [1] : ($0) -> tensor<2x5xf64>", {x}, {2, 5}, [&](Index i) {
    return sum([&](int64_t j) { return at(x, {i[0], j, i[1]}); }, 3);
  });
  HostTensor acc = randomTensor({5}, 2);
  expect("graph.reduce sum %0 acc %1 axes = [0, 1] : ($0, $1) -> tensor<5xf64>", {x, acc}, {5}, [&](Index i) {
    return acc.values[i[0]] + sum([&](int64_t j) { return at(x, {j / 3, j % 3, i[0]}); }, 6);
  });
  expect("graph.reduce max %0 axes = [2] : ($0) -> tensor<2x3xf64>", {x}, {2, 3}, [&](Index i) {
    double top = at(x, {i[0], i[1], 0});
    for (int64_t j = 1; j < 5; ++j) top = std::max(top, at(x, {i[0], i[1], j}));
    return top;
  });
  HostTensor whole = tensor({1, 3}, {-5, -2, -9}, Element::i32);
  expect(
      "graph.reduce max %0 axes = [1] : ($0) -> tensor<1xi32>", {whole}, {1}, [&](Index) { return -2; },
      Element::i32);
  expect(
      "graph.reduce max %0 axes = [0] : ($0) -> tensor<3xi32>", {whole}, {3},
      [&](Index i) { return whole.values[i[0]]; }, Element::i32);
}

TEST(Evaluate, MatrixProducts) {
  for (auto [m, n, k] : {std::tuple{1, 1, 1}, {3, 5, 7}, {1, 13, 2}, {11, 1, 3}})
    for (int form = 0; form < 4; ++form) {
      bool ta = form & 1, tb = form & 2;
      HostTensor a = ta ? randomTensor({k, m}, 1) : randomTensor({m, k}, 1),
                 b = tb ? randomTensor({n, k}, 2) : randomTensor({k, n}, 2);
      std::string flags = std::string("{") + (ta ? "transpose_lhs" : "") + (ta && tb ? ", " : "") +
                          (tb ? "transpose_rhs" : "") + "}";
      std::string type = "tensor<" + graph::describe({m, n}, Element::f64) + ">";
      auto product = [&, k = k](Index i) {
        double total = 0;
        for (int64_t p = 0; p < k; ++p)
          total += (ta ? at(a, {p, i[0]}) : at(a, {i[0], p})) * (tb ? at(b, {i[1], p}) : at(b, {p, i[1]}));
        return total;
      };
      expect("graph.matmul %0, %1 " + flags + " : ($0, $1) -> " + type, {a, b}, {m, n}, product);
      HostTensor acc = randomTensor({m, n}, 3);
      expect("graph.matmul %0, %1 acc %2 " + flags + " : ($0, $1, $2) -> " + type, {a, b, acc}, {m, n},
             [&](Index i) { return at(acc, i) + product(i); });
    }
}

TEST(Evaluate, BatchedProductsAndProductsOfAllRows) {
  HostTensor a = randomTensor({2, 3, 1, 5}, 1), b = randomTensor({2, 3, 7, 5}, 2),
             w = randomTensor({5, 2}, 3);
  expect("graph.matmul %0, %1 {transpose_rhs} : ($0, $1) -> tensor<2x3x1x7xf64>", {a, b}, {2, 3, 1, 7},
         [&](Index i) {
           double total = 0;
           for (int64_t p = 0; p < 5; ++p)
             total += at(a, {i[0], i[1], i[2], p}) * at(b, {i[0], i[1], i[3], p});
           return total;
         });
  expect("graph.matmul %0, %1 {transpose_lhs} : ($0, $1) -> tensor<2x3x5x5xf64>",
         {a, randomTensor({2, 3, 1, 5}, 4)}, {2, 3, 5, 5}, [&](Index i) {
           return at(a, {i[0], i[1], 0, i[2]}) * at(randomTensor({2, 3, 1, 5}, 4), {i[0], i[1], 0, i[3]});
         });
  expect("graph.matmul %0, %1 : ($0, $1) -> tensor<2x3x7x2xf64>", {b, w}, {2, 3, 7, 2}, [&](Index i) {
    double total = 0;
    for (int64_t p = 0; p < 5; ++p) total += at(b, {i[0], i[1], i[2], p}) * at(w, {p, i[3]});
    return total;
  });
}

TEST(Evaluate, RowsByIndexAreClamped) {
  HostTensor table = randomTensor({3, 2}, 1), tokens = tensor({2, 2}, {2, 0, -4, 9}, Element::i32);
  int64_t rows[] = {2, 0, 0, 2};
  expect("graph.gather %0, %1 : ($0, $1) -> tensor<2x2x2xf64>", {table, tokens}, {2, 2, 2}, [&](Index i) {
    return at(table, {rows[i[0] * 2 + i[1]], i[2]});
  });
  HostTensor updates = randomTensor({2, 2, 2}, 2);
  expect("graph.scatter_add %0, %1, %2 : ($0, $1, $2) -> tensor<3x2xf64>", {table, tokens, updates}, {3, 2},
         [&](Index i) {
           double total = at(table, i);
           for (int64_t t = 0; t < 4; ++t)
             if (rows[t] == i[0]) total += at(updates, {t / 2, t % 2, i[1]});
           return total;
         });
  HostTensor cache = randomTensor({2, 4, 1, 3}, 3), slots = tensor({2, 3}, {3, 1, 3, 0, -1, 7}, Element::i32),
             fresh = randomTensor({2, 3, 1, 3}, 4);
  // Of two updates of one slot the later stays.
  int64_t writer[2][4] = {{-1, 1, -1, 2}, {1, -1, -1, 2}};
  expect("graph.write_rows %0, %1, %2 : ($0, $1, $2) -> tensor<2x4x1x3xf64>", {cache, slots, fresh},
         {2, 4, 1, 3}, [&](Index i) {
           int64_t t = writer[i[0]][i[1]];
           return t < 0 ? at(cache, i) : at(fresh, {i[0], t, 0, i[3]});
         });
}

TEST(Evaluate, AttentionSeesItsRangeOfKeysAlone) {
  int64_t B = 2, T = 3, S = 5, H = 4, G = 2, D = 3, E = 2;
  HostTensor q = randomTensor({B, T, H, D}, 1), k = randomTensor({B, S, G, D}, 2),
             v = randomTensor({B, S, G, E}, 3);
  HostTensor begin = tensor({B, T}, {0, 1, 2, -3, 5, 4}, Element::i32),
             end = tensor({B, T}, {1, 4, 9, 2, 9, 5}, Element::i32);
  std::string text =
      R"(func.func @f(%q: tensor<2x3x4x3xf64>, %k: tensor<2x5x2x3xf64>, %v: tensor<2x5x2x2xf64>, %b: tensor<2x3xi32>, %e: tensor<2x3xi32>)
      -> (tensor<2x3x4x2xf64>, tensor<2x3x4xf64>) {
    %o, %l = graph.attention %q, %k, %v range %b, %e {scale = 0.7 : f64}
      : (tensor<2x3x4x3xf64>, tensor<2x5x2x3xf64>, tensor<2x5x2x2xf64>, tensor<2x3xi32>, tensor<2x3xi32>) -> (tensor<2x3x4x2xf64>, tensor<2x3x4xf64>)
    return %o, %l : tensor<2x3x4x2xf64>, tensor<2x3x4xf64>
  })";
  TextModule m(text);
  Tensors y = m.run("f", {q, k, v, begin, end});
  ASSERT_EQ(m.errors, "");
  for (int64_t b = 0; b < B; ++b)
    for (int64_t t = 0; t < T; ++t)
      for (int64_t h = 0; h < H; ++h) {
        double total = 0;
        std::vector<double> out(E, 0.0);
        for (int64_t s = 0; s < S; ++s) {
          if (s < at(begin, {b, t}) || s >= at(end, {b, t})) continue;
          double score = 0;
          for (int64_t d = 0; d < D; ++d) score += at(q, {b, t, h, d}) * at(k, {b, s, h / 2, d});
          total += std::exp(0.7 * score);
          for (int64_t e = 0; e < E; ++e) out[e] += std::exp(0.7 * score) * at(v, {b, s, h / 2, e});
        }
        EXPECT_NEAR(at(y[1], {b, t, h}), total > 0 ? std::log(total) : 0, 1e-12);
        for (int64_t e = 0; e < E; ++e)
          EXPECT_NEAR(at(y[0], {b, t, h, e}), total > 0 ? out[e] / total : 0, 1e-12);
      }
}

TEST(Evaluate, RoundingToTheElementTypeIsAnOption) {
  TextModule m("func.func @f(%x: tensor<1xf32>) -> tensor<1xf32> {\n %y = graph.exp %x : tensor<1xf32>\n "
               "return %y : tensor<1xf32>\n}");
  HostTensor x = tensor({1}, {1}, Element::f32);
  EXPECT_EQ(m.run("f", {x})[0].values[0], std::exp(1.0));
  m.options.roundToElement = true;
  EXPECT_EQ(m.run("f", {x})[0].values[0], double(float(std::exp(1.0))));
}

} // namespace
} // namespace weft::testing
