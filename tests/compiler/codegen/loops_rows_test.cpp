// kernel.loops, rows: elementwise code, row reductions, gathers, strided operands, in place.
#include "tests/compiler/codegen/row_kernels.h"

#include <cmath>
#include <gtest/gtest.h>

namespace weft::cpu_test {
namespace {

constexpr int64_t kSizes[] = {1, 7, 16, 17, 33, 100};

std::string named(const char *what, int64_t n) { return what + std::to_string(n); }

TEST(LoopsRows, ElementwiseIsExactAtOddSizesAndColumnBlocks) {
  KernelSuite suite;
  for (int64_t n : kSizes)
    suite.add(named("add", n), Loops{.domain = {3, n},
                                     .inputs = {rows({3, n}), perColumn(n)},
                                     .outputs = {rows({3, n})},
                                     .region = "%2 = arith.addf %0, %1 : f32\nkernel.yield %2 : f32",
                                     .blockColumns = 24}
                                   .text());
  suite.compile();
  for (int64_t n : kSizes) {
    auto x = randomFloats(3 * n, 1), y = randomFloats(n, 2);
    auto out =
        valuesOf<float>(suite.run(named("add", n), {bytesOf(x), bytesOf(y)}, {Bytes(3 * n * 4)}).at(0));
    for (int64_t i = 0; i < 3 * n; ++i) ASSERT_EQ(out[i], x[i] + y[i % n]) << n << " at " << i;
  }
}

TEST(LoopsRows, ReductionsFollowTheirLanesExactly) {
  KernelSuite suite;
  for (int64_t n : kSizes)
    suite.add(named("sum", n), Loops{.domain = {5, n},
                                     .inputs = {rows({5, n})},
                                     .outputs = {perRow(5), perRow(5)},
                                     .region = "%s = kernel.reduce sum %0 : f32\n%m = kernel.reduce max %0 : "
                                               "f32\nkernel.yield %s, %m : f32, f32"}
                                   .text());
  suite.compile();
  for (int64_t n : kSizes) {
    auto x = randomFloats(5 * n, int(n));
    if (n > 3) x[n + 3] = NAN;
    auto out = suite.run(named("sum", n), {bytesOf(x)}, {Bytes(20), Bytes(20)});
    auto sums = valuesOf<float>(out[0]), maxima = valuesOf<float>(out[1]);
    for (int r = 0; r < 5; ++r) {
      float lanes[16] = {}, max = -INFINITY;
      for (int64_t c = 0; c < n; ++c) {
        lanes[c % 16] += x[r * n + c];
        max = std::isnan(max) || std::isnan(x[r * n + c]) ? NAN : std::max(max, x[r * n + c]);
      }
      for (int half = 8; half; half /= 2)
        for (int j = 0; j < half; ++j) lanes[j] += lanes[j + half];
      if (std::isnan(lanes[0])) {
        EXPECT_TRUE(std::isnan(sums[r]) && std::isnan(maxima[r])) << "a NaN is lost";
        continue;
      }
      EXPECT_EQ(sums[r], lanes[0]) << n << " row " << r;
      EXPECT_EQ(maxima[r], max) << n << " row " << r;
    }
  }
}

TEST(LoopsRows, NormAndSoftmaxMatchTheInterpreter) {
  KernelSuite suite;
  for (int64_t n : kSizes) {
    suite.add(named("norm", n), residualNorm(3, n).text());
    suite.add(named("softmax", n), softmax(4, n).text());
  }
  suite.add("no_rows", softmax(0, 20).text());
  suite.compile();
  for (int64_t n : kSizes) {
    auto x = randomFloats(3 * n, 1), r = randomFloats(3 * n, 2), w = randomFloats(n, 3);
    suite.check(named("norm", n), {bytesOf(x), bytesOf(r), bytesOf(w)}, {Bytes(12 * n), Bytes(12 * n)}, 1e-5);
    auto logits = randomFloats(4 * n, 4, -20, 20);
    suite.check(named("softmax", n), {bytesOf(logits)}, {Bytes(16 * n), Bytes(16)}, 1e-6);
  }
  suite.run("no_rows", {Bytes()}, {Bytes(), Bytes()});
}

TEST(LoopsRows, AResultMayLieOverAnInput) {
  KernelSuite suite;
  for (int64_t n : kSizes) suite.add(named("norm", n), residualNorm(3, n).text());
  suite.compile();
  for (int64_t n : kSizes) {
    std::vector<Bytes> inputs = {bytesOf(randomFloats(3 * n, 1)), bytesOf(randomFloats(3 * n, 2)),
                                 bytesOf(randomFloats(n, 3))};
    std::vector<Bytes> empty = {Bytes(12 * n), Bytes(12 * n)};
    EXPECT_EQ(suite.run(named("norm", n), inputs, empty, {{0, 0}, {1, 1}}),
              suite.run(named("norm", n), inputs, empty));
  }
}

TEST(LoopsRows, GathersRowsAndClampsTheIndex) {
  int64_t tokens = 9, dim = 33, vocab = 5;
  Access table{tensorType({vocab, dim}, "f32"), {0, 1}, 0, 0, dim, vocab};
  KernelSuite suite;
  suite.add(
      "embed",
      Loops{.domain = {tokens, dim},
            .inputs = {perRow(tokens, "i32"), table},
            .outputs = {rows({tokens, dim})},
            .region =
                "%s = arith.sitofp %0 : i32 to f32\n%y = arith.addf %1, %s : f32\nkernel.yield %y : f32",
            .blockColumns = 16}
          .text());
  // A store through an index: rows of a cache, over an init.
  suite.add("cache", Loops{.domain = {2, dim},
                           .inputs = {perRow(2, "i64"), rows({2, dim})},
                           .outputs = {{tensorType({vocab, dim}, "f32"), {0, 1}, 0, 0, dim, vocab}},
                           .region = "kernel.yield %1 : f32",
                           .inits = {0}}
                         .text());
  suite.compile();
  std::vector<int32_t> ids = {0, 4, 2, 7, -3, 1, 1, 100000, 3};
  auto weights = randomFloats(vocab * dim, 1);
  suite.check("embed", {bytesOf(ids), bytesOf(weights)}, {Bytes(tokens * dim * 4)});
  auto fresh = randomFloats(2 * dim, 2);
  suite.check("cache", {bytesOf(std::vector<int64_t>{3, 1}), bytesOf(fresh)}, {bytesOf(weights)});
}

TEST(LoopsRows, StridedOperandsOffsetsAndConcatenation) {
  int64_t m = 19, n = 21;
  KernelSuite suite;
  suite.add("transpose", Loops{.domain = {m, n},
                               .inputs = {{tensorType({n, m}, "f32"), {1, m}}},
                               .outputs = {rows({m, n})},
                               .region = "kernel.yield %0 : f32"}
                             .text());
  suite.add("transposed_store", Loops{.domain = {m, n},
                                      .inputs = {rows({m, n})},
                                      .outputs = {{tensorType({n, m}, "f32"), {1, m}}},
                                      .region = "kernel.yield %0 : f32"}
                                    .text());
  // Halves of each row swapped through offsets, three dimensions.
  suite.add("halves", Loops{.domain = {3, 5, 8},
                            .inputs = {{tensorType({3, 5, 16}, "f32"), {80, 16, 1}},
                                       {tensorType({3, 5, 16}, "f32"), {80, 16, 1}, 8}},
                            .outputs = {{tensorType({3, 5, 8}, "f32"), {40, 8, 1}}},
                            .region = "%y = arith.subf %1, %0 : f32\nkernel.yield %y : f32"}
                          .text());
  suite.add("every_other", Loops{.domain = {40},
                                 .inputs = {{"80xf32", {2}, 1}},
                                 .outputs = {{"40xf32", {1}}},
                                 .region = "kernel.yield %0 : f32",
                                 .blockColumns = 16}
                               .text());
  // Two yields fill one result.
  suite.add("concatenate", R"(^bb0(%a: tensor<4x9xf32>, %b: tensor<4x9xf32>):
  %r = kernel.loops domain [4, 9] ins(%a, %b) inits() {input_access = [#kernel.access<offset = 0, strides = 9, 1>, #kernel.access<offset = 0, strides = 9, 1>],
    output_access = [#kernel.access<offset = 0, strides = 18, 1>, #kernel.access<offset = 9, strides = 18, 1>], yield_result = array<i64: 0, 0>,
    init_result = array<i64>, schedule = #kernel.schedule<tile_m = 0, tile_n = 0, block_m = 0, block_n = 64, block_k = 0>}
    : (tensor<4x9xf32>, tensor<4x9xf32>) -> tensor<4x18xf32> {
  ^bb0(%0: f32, %1: f32):
    kernel.yield %0, %1 : f32, f32
  })");
  suite.compile();
  Bytes x = bytesOf(randomFloats(m * n, 1)), y = bytesOf(randomFloats(240, 2)),
        z = bytesOf(randomFloats(36, 3)), w = bytesOf(randomFloats(36, 4));
  suite.check("transpose", {x}, {Bytes(m * n * 4)}, 0);
  suite.check("transposed_store", {x}, {Bytes(m * n * 4)}, 0);
  suite.check("halves", {y, y}, {Bytes(480)});
  suite.check("every_other", {bytesOf(randomFloats(80, 5))}, {Bytes(160)}, 0);
  suite.check("concatenate", {z, w}, {Bytes(288)}, 0);
}

TEST(LoopsRows, IntegersBooleansDoublesAndIndices) {
  int64_t m = 3, n = 37;
  KernelSuite suite;
  // Cross-entropy's pick of a logit: the column index against a target, i1 in and out.
  suite.add("pick", Loops{.domain = {m, n},
                          .inputs = {rows({m, n}), perRow(m, "i32"), rows({m, n}, "i1")},
                          .outputs = {perRow(m), rows({m, n}, "i1")},
                          .region = R"(
    %c = kernel.index 1
    %hit = arith.cmpi eq, %c, %1 : i32
    %zero = arith.constant 0.0 : f32
    %kept = arith.select %hit, %0, %zero : f32
    %sum = kernel.reduce sum %kept : f32
    %both = arith.ori %hit, %2 : i1
    kernel.yield %sum, %both : f32, i1)"}
                        .text());
  suite.add("double", Loops{.domain = {m, n},
                            .inputs = {rows({m, n}, "f64"), rows({m, n})},
                            .outputs = {rows({m, n}, "f64"), {tensorType({m}, "f64"), {1, 0}}, rows({m, n})},
                            .region = R"(
    %w = arith.extf %1 : f32 to f64
    %p = arith.mulf %0, %w : f64
    %q = arith.mulf %p, %p : f64
    %r = math.sqrt %q : f64
    %s = kernel.reduce sum %r : f64
    %d = arith.divf %p, %s : f64
    %t = arith.truncf %d : f64 to f32
    kernel.yield %d, %s, %t : f64, f64, f32)"}
                          .text());
  suite.add("integer",
            Loops{.domain = {m, n},
                  .inputs = {rows({m, n}, "i32"), rows({m, n}, "i64")},
                  .outputs = {rows({m, n}, "i64"), rows({m, n}, "i32"), perRow(m, "i64"), rows({m, n})},
                  .region = R"(
    %w = arith.extsi %0 : i32 to i64
    %row = kernel.index 0
    %p = arith.muli %w, %1 : i64
    %max = kernel.reduce max %p : i64
    %n = arith.trunci %p : i64 to i32
    %o = arith.addi %n, %row : i32
    %f = arith.sitofp %p : i64 to f32
    %i = arith.fptosi %f : f32 to i32
    %j = arith.maxsi %i, %o : i32
    kernel.yield %p, %j, %max, %f : i64, i32, i64, f32)"}
                .text());
  suite.compile();
  auto logits = randomFloats(m * n, 1);
  std::vector<char> flags(m * n);
  for (size_t i = 0; i < flags.size(); ++i) flags[i] = i % 3 == 0;
  suite.check("pick", {bytesOf(logits), bytesOf(std::vector<int32_t>{36, 0, 11}), flags},
              {Bytes(m * 4), Bytes(m * n)});
  std::vector<double> wide(m * n);
  for (size_t i = 0; i < wide.size(); ++i) wide[i] = std::sin(double(i)) * 3;
  suite.check("double", {bytesOf(wide), bytesOf(logits)}, {Bytes(m * n * 8), Bytes(m * 8), Bytes(m * n * 4)},
              1e-7);
  std::vector<int64_t> longs(m * n);
  for (size_t i = 0; i < longs.size(); ++i) longs[i] = int64_t(i * 7919 % 2000) - 1000;
  suite.check("integer", {bytesOf(randomInts(m * n, 3, -1000, 1000)), bytesOf(longs)},
              {Bytes(m * n * 8), Bytes(m * n * 4), Bytes(m * 8), Bytes(m * n * 4)}, 0);
}

TEST(CompileKernels, GivesTheSameBytesTwice) {
  KernelSuite suite;
  for (int64_t n : kSizes) suite.add(named("softmax", n), softmax(4, n).text());
  auto once = cpu::compileKernels(suite.outlinedKernels(), cpu::avx2Level());
  auto again = cpu::compileKernels(suite.outlinedKernels(), cpu::avx2Level());
  ASSERT_TRUE(mlir::succeeded(once) && mlir::succeeded(again));
  EXPECT_TRUE(*once == *again) << "sizes " << once->size() << " and " << again->size();
}

} // namespace
} // namespace weft::cpu_test
