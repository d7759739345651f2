// kernel.loops with reduce_dims: sums over the first dimensions, and scatter-add.
#include "tests/compiler/codegen/row_kernels.h"

#include <cmath>
#include <gtest/gtest.h>

namespace weft::cpu_test {
namespace {

constexpr int64_t kSizes[] = {1, 7, 16, 17, 33, 100};

Access whole(std::vector<int64_t> shape, const std::string &element = "f32") {
  return {tensorType(shape, element), rowMajor(shape)};
}
std::string named(const char *what, int64_t n) { return what + std::to_string(n); }

TEST(LoopsColumns, SumsAreOneAscendingChainEach) {
  KernelSuite suite;
  // Blocks of rows: none, ones that leave a rest, and one longer than there are rows.
  auto kernel = [](int64_t n, bool accumulates, int64_t blockRows) {
    return named(accumulates ? "onto" : "fresh", n) + "_" + std::to_string(blockRows);
  };
  for (int64_t n : kSizes)
    for (bool accumulates : {false, true})
      for (int64_t blockRows : {0, 1, 4, 64})
        suite.add(kernel(n, accumulates, blockRows), weightGradient(13, n, accumulates, blockRows).text());
  suite.add("no_rows", weightGradient(0, 20, false).text());
  suite.add("no_rows_4", weightGradient(0, 20, false, 4).text());
  suite.compile();
  for (int64_t n : kSizes)
    for (bool accumulates : {false, true}) {
      int64_t m = 13;
      auto dy = randomFloats(m * n, 1), x = randomFloats(m * n, 2), scale = randomFloats(m, 3),
           start = randomFloats(n, 4);
      for (int64_t blockRows : {0, 1, 4, 64}) {
        auto out = valuesOf<float>(suite
                                       .run(kernel(n, accumulates, blockRows),
                                            {bytesOf(dy), bytesOf(x), bytesOf(scale)}, {bytesOf(start)})
                                       .at(0));
        for (int64_t c = 0; c < n; ++c) {
          float sum = accumulates ? start[c] : 0;
          for (int64_t r = 0; r < m; ++r) {
            volatile float p = dy[r * n + c] * x[r * n + c], q = p * scale[r];
            sum = sum + q;
          }
          ASSERT_EQ(out[c], sum) << n << " column " << c << " in blocks of " << blockRows;
        }
      }
    }
  for (const char *name : {"no_rows", "no_rows_4"})
    EXPECT_EQ(suite.run(name, {Bytes(), Bytes(), Bytes()}, {Bytes(80, 1)}).at(0), Bytes(80, 0))
        << "an empty sum is zero";
}

TEST(LoopsColumns, KeepsOuterDimensionsAndReducesSeveral) {
  int64_t a = 3, b = 4, c = 5, n = 19;
  KernelSuite suite;
  // Two reduced, one kept, and two sums side by side, one of a value that does not vary along the column;
  // i32, f64 too.
  suite.add(
      "two",
      Loops{.domain = {a, b, c, n},
            .inputs = {whole({a, b, c, n}), {tensorType({a}, "f32"), {1, 0, 0, 0}}},
            .outputs = {{tensorType({c, n}, "f32"), {0, 0, n, 1}}, {tensorType({c, n}, "f32"), {0, 0, n, 1}}},
            .region = "%e = math.exp %0 : f32\n%p = arith.mulf %e, %1 : f32\nkernel.yield %p, %1 : f32, f32",
            .reduceDims = 2,
            .blockColumns = 16}
          .text());
  suite.add(
      "two_blocks",
      Loops{.domain = {a, b, c, n},
            .inputs = {whole({a, b, c, n}), {tensorType({a}, "f32"), {1, 0, 0, 0}}},
            .outputs = {{tensorType({c, n}, "f32"), {0, 0, n, 1}}, {tensorType({c, n}, "f32"), {0, 0, n, 1}}},
            .region = "%e = math.exp %0 : f32\n%p = arith.mulf %e, %1 : f32\nkernel.yield %p, %1 : f32, f32",
            .reduceDims = 2,
            .blockColumns = 16,
            .blockRows = 3}
          .text());
  suite.add("types",
            Loops{.domain = {b, n},
                  .inputs = {whole({b, n}, "i32"), whole({b, n}, "f64")},
                  .outputs = {{tensorType({n}, "i32"), {0, 1}}, {tensorType({2 * n}, "f64"), {0, 2}, 1}},
                  .region = "kernel.yield %0, %1 : i32, f64",
                  .inits = {1},
                  .reduceDims = 1}
                .text());
  suite.compile();
  suite.check("two", {bytesOf(randomFloats(a * b * c * n, 1)), bytesOf(randomFloats(a, 2))},
              {Bytes(c * n * 4), Bytes(c * n * 4)}, 2e-6);
  std::vector<Bytes> in = {bytesOf(randomFloats(a * b * c * n, 1)), bytesOf(randomFloats(a, 2))},
                     out = {Bytes(c * n * 4, 1), Bytes(c * n * 4, 1)};
  EXPECT_EQ(suite.run("two", in, out), suite.run("two_blocks", in, out)) << "blocks of rows change no bit";
  std::vector<double> wide(b * n), start(2 * n, 0.25);
  for (size_t i = 0; i < wide.size(); ++i) wide[i] = std::cos(double(i));
  suite.check("types", {bytesOf(randomInts(b * n, 3, -100, 100)), bytesOf(wide)},
              {Bytes(n * 4), bytesOf(start)}, 1e-15);
}

TEST(LoopsScatter, AddsInTheOrderOfTheDomainAndClamps) {
  int64_t tokens = 23, vocab = 6;
  KernelSuite suite;
  for (int64_t n : kSizes)
    for (bool accumulates : {false, true})
      suite.add(named(accumulates ? "onto" : "fresh", n),
                embeddingGradient(tokens, n, vocab, accumulates).text());
  suite.compile();
  auto ids = randomInts(tokens, 5, -1, int32_t(vocab) + 1);
  for (int64_t n : kSizes)
    for (bool accumulates : {false, true}) {
      auto dy = randomFloats(tokens * n, 1), table = randomFloats(vocab * n, 2), row = randomFloats(n, 3);
      auto out = suite.run(named(accumulates ? "onto" : "fresh", n), {bytesOf(ids), bytesOf(dy)},
                           {bytesOf(table), bytesOf(row)});
      if (!accumulates) {
        table.assign(table.size(), 0);
        row.assign(row.size(), 0);
      }
      for (int64_t t = 0; t < tokens; ++t)
        for (int64_t c = 0; c < n; ++c) {
          table[std::clamp<int64_t>(ids[t], 0, vocab - 1) * n + c] += dy[t * n + c];
          row[c] += dy[t * n + c];
        }
      EXPECT_EQ(valuesOf<float>(out[0]), table) << n;
      EXPECT_EQ(valuesOf<float>(out[1]), row) << n;
    }
}

TEST(LoopsScatter, TakesTwoReducedDimensions) {
  int64_t b = 3, t = 5, n = 20, vocab = 4;
  KernelSuite suite;
  suite.add("two", Loops{.domain = {b, t, n},
                         .inputs = {{tensorType({b, t}, "i64"), {t, 1, 0}},
                                    whole({b, t, n}),
                                    {tensorType({b, t}, "f32"), {t, 1, 0}}},
                         .outputs = {{tensorType({vocab, n}, "f32"), {0, 0, 1}, 0, 0, n, vocab}},
                         .region = "%y = arith.mulf %1, %2 : f32\nkernel.yield %y : f32",
                         .reduceDims = 2}
                       .text());
  suite.compile();
  std::vector<int64_t> ids = {0, 1, 2, 3, 3, 2, 1, 0, 0, 0, 3, 3, 3, 2, 1};
  suite.check("two", {bytesOf(ids), bytesOf(randomFloats(b * t * n, 1)), bytesOf(randomFloats(b * t, 2))},
              {Bytes(vocab * n * 4)});
}

} // namespace
} // namespace weft::cpu_test
