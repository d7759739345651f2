// kernel.loops, rows: elementwise code, row reductions, gathers, strided operands, in place.
#include "tests/compiler/codegen/harness.h"

#include <cmath>
#include <gtest/gtest.h>

namespace weft::cpu_test {
namespace {

TEST(LoopsRows, AddsTwoMatricesAtOddSizes) {
  KernelSuite suite;
  std::vector<int64_t> sizes = {1, 7, 16, 17, 33, 100};
  auto name = [](int64_t n) { return "add" + std::to_string(n); };
  for (int64_t n : sizes)
    suite.add(name(n), Loops{.domain = {3, n},
                             .inputs = {{tensorType({3, n}, "f32"), {n, 1}}, {tensorType({n}, "f32"), {0, 1}}},
                             .outputs = {{tensorType({3, n}, "f32"), {n, 1}}},
                             .region = "%2 = arith.addf %0, %1 : f32\nkernel.yield %2 : f32",
                             .blockColumns = 48}
                           .text());
  suite.keepText = true;
  suite.compile();
  for (int64_t n : sizes) {
    auto x = randomFloats(3 * n, 1), y = randomFloats(n, 2);
    auto out = valuesOf<float>(suite.run(name(n), {bytesOf(x), bytesOf(y)}, {Bytes(3 * n * 4)}).at(0));
    for (int64_t i = 0; i < 3 * n; ++i) ASSERT_EQ(out[i], x[i] + y[i % n]) << name(n) << " at " << i;
  }
}

} // namespace
} // namespace weft::cpu_test
