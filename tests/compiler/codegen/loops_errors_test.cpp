// What kernel.loops cannot be compiled for says so, at the op.
#include "tests/compiler/codegen/harness.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace weft::cpu_test {
namespace {

using testing::HasSubstr;

Loops oneRow(const std::string &element, const std::string &region) {
  return {.domain = {1, 8},
          .inputs = {{tensorType({8}, element), {0, 1}}},
          .outputs = {{tensorType({8}, element), {0, 1}}},
          .region = region};
}

std::string errorOf(std::string text, const std::string &replace = "", const std::string &with = "") {
  if (!replace.empty()) text.replace(text.find(replace), replace.size(), with);
  KernelSuite suite;
  suite.add("bad", text);
  return suite.compileError();
}

TEST(LoopsErrors, RegionOpsWithoutCodeAreNamed) {
  EXPECT_THAT(errorOf(oneRow("f64", "%y = math.exp %0 : f64\nkernel.yield %y : f64").text()),
              HasSubstr("'math.exp' op of 'f64' has no CPU code when f32 has: cast to f32 around it"));
  EXPECT_THAT(errorOf(oneRow("f32", "%y = arith.remf %0, %0 : f32\nkernel.yield %y : f32").text()),
              HasSubstr("'arith.remf' op has no CPU code: it would need libm's fmod"));
  EXPECT_THAT(
      errorOf(oneRow("f32", "%y = arith.mulf %0, %0 fastmath<fast> : f32\nkernel.yield %y : f32").text()),
      HasSubstr("has fast-math flags"));
  EXPECT_THAT(errorOf(oneRow("f32", "%y = math.erf %0 : f32\nkernel.yield %y : f32").text()),
              HasSubstr("'math.erf' op has no CPU code"));
}

TEST(LoopsErrors, ReductionsAndSchedulesThatDoNotFit) {
  Loops sum = oneRow("f32", "%y = kernel.reduce sum %0 : f32\nkernel.yield %y : f32");
  EXPECT_THAT(errorOf(sum.text(), "lanes = 16", "lanes = 8"),
              HasSubstr("reduces rows in 8 lanes when the CPU's row reductions have 16"));
  Loops add = oneRow("f32", "kernel.yield %0 : f32");
  EXPECT_THAT(errorOf(add.text(), "block_n = 64", "block_n = 0"),
              HasSubstr("needs a schedule with block_n > 0"));
  Loops scatter{.domain = {2, 3, 8},
                .inputs = {{tensorType({2}, "i32"), {1, 0, 0}}, {tensorType({2, 3, 8}, "f32"), {24, 8, 1}}},
                .outputs = {{tensorType({4, 3, 8}, "f32"), {0, 8, 1}, 0, 0, 24, 4}},
                .region = "kernel.yield %1 : f32",
                .reduceDims = 1};
  EXPECT_THAT(errorOf(scatter.text()),
              HasSubstr("scatters with 1 reduced dimensions when all 2 but the last must be"));
}

} // namespace
} // namespace weft::cpu_test
