// The errors that are declared for a kernel's ops, carried through its region: f32 stays within them, and
// they are no larger than they must be.
#include "dialects/kernel/interpret.h"
#include "dialects/kernel/region_errors.h"
#include "tests/compiler/interpret_text.h"
#include <gtest/gtest.h>

namespace weft::testing {
namespace {

struct Kernel {
  TextModule text;
  explicit Kernel(const std::string &body)
      : text("func.func @f(%x: tensor<4x64xf32>, %y: tensor<4x64xf32>) -> tensor<4x64xf32> {\n" + body +
             "\n}\n") {}
  mlir::Operation *op() {
    mlir::Operation *found = nullptr;
    text.module->walk([&](mlir::Operation *o) {
      if (kernel::isKernel(o)) found = o;
    });
    return found;
  }
};

std::string loops(const std::string &region) {
  return R"(%r = kernel.loops domain [4, 64] ins(%x, %y) inits() {
      input_access = [#kernel.access<offset = 0, strides = 64, 1>, #kernel.access<offset = 0, strides = 64, 1>],
      output_access = [#kernel.access<offset = 0, strides = 64, 1>], yield_result = array<i64: 0>, init_result = array<i64>
    } : (tensor<4x64xf32>, tensor<4x64xf32>) -> tensor<4x64xf32> {
    ^bb0(%a: f32, %b: f32):
)" + region +
         R"(
    }
    return %r : tensor<4x64xf32>)";
}

// With every op's result rounded to f32, as code has it, the region is within the errors; and by how much.
double largestShare(const std::string &region) {
  Kernel k(loops(region));
  EXPECT_EQ(k.text.errors, "");
  auto op = mlir::cast<kernel::LoopsOp>(k.op());
  mlir::Block &body = op.getBody().front();
  kernel::RegionInterpreter exact, rounded;
  EXPECT_TRUE(succeeded(exact.compile(body)) && succeeded(rounded.compile(body)));
  rounded.setRounding(true);
  kernel::RegionErrors errors(body, exact);
  double share = 0;
  for (uint32_t seed = 0; seed < 50; ++seed) {
    for (int i = 0; i < 2; ++i) {
      HostTensor t = randomTensor({64}, 2 * seed + i, -3, 3, Element::f32);
      t.roundToElement();
      exact.argument(i) = rounded.argument(i) = t.values;
    }
    exact.run({0, 0}, 64);
    rounded.run({0, 0}, 64);
    errors.run(64);
    for (int c = 0; c < 64; ++c) {
      double off = std::fabs(exact.yielded(0)[c] - rounded.yielded(0)[c]), bound = errors.yielded(0)[c];
      if (std::isinf(bound)) continue;
      EXPECT_LE(off, bound) << region << " at " << exact.argument(0)[c] << ", " << exact.argument(1)[c];
      share = std::max(share, off / bound);
    }
  }
  return share;
}

TEST(RegionErrors, CoverWhatRoundingDoesAndLittleMore) {
  for (const char *region : {
           "%s = arith.addf %a, %b : f32\n kernel.yield %s : f32",
           "%s = arith.mulf %a, %b : f32\n %t = arith.subf %s, %a : f32\n kernel.yield %t : f32",
           "%s = arith.mulf %a, %a : f32\n %t = math.sqrt %s : f32\n %u = arith.divf %b, %t : f32\n "
           "kernel.yield %u : f32",
           "%s = arith.mulf %a, %a : f32\n %t = kernel.reduce sum %s : f32\n %u = math.rsqrt %t : f32\n"
           "%v = arith.mulf %b, %u : f32\n kernel.yield %v : f32",
           "%s = arith.mulf %a, %b : f32\n %t = math.exp %s : f32\n %u = kernel.reduce sum %t : f32\n"
           "%v = arith.divf %t, %u : f32\n kernel.yield %v : f32",
           "%s = arith.mulf %a, %b : f32\n %t = arith.truncf %s : f32 to bf16\n %u = arith.extf %t : bf16 to "
           "f32\n"
           "%v = math.tanh %u : f32\n kernel.yield %v : f32",
       }) {
    double share = largestShare(region);
    EXPECT_LE(share, 1) << region;
    EXPECT_GT(share, 0.02) << region << ": a fault would hide behind bounds that wide";
  }
}

TEST(RegionErrors, KnowNothingBehindAComparisonThatRoundingDecides) {
  Kernel k(loops(R"(%s = arith.addf %a, %b : f32
      %t = arith.cmpf oge, %s, %b : f32
      %u = arith.select %t, %a, %b : f32
      kernel.yield %u : f32)"));
  ASSERT_EQ(k.text.errors, "");
  HostTensor x = tensor({4, 64}, std::vector<double>(256, 1), Element::f32), y = x;
  x.values[0] = 1e-12; // lost in 1 + 1e-12
  HostTensor result = HostTensor::zeros({4, 64}, Element::f32), bounds = result;
  ASSERT_TRUE(succeeded(kernel::evaluate(k.op(), {&x, &y}, {result}, {bounds})));
  EXPECT_GE(bounds.values[0], 1 - 1e-9); // either of 1e-12 and 1
  EXPECT_EQ(bounds.values[1], 0);        // 2 ≥ 1, however rounded
}

TEST(RegionErrors, AreUnboundedBeyondTheRangeOfF32) {
  Kernel k(loops("%s = arith.mulf %a, %b : f32\n %t = arith.divf %a, %s : f32\n kernel.yield %t : f32"));
  ASSERT_EQ(k.text.errors, "");
  HostTensor x = tensor({4, 64}, std::vector<double>(256, 1e30), Element::f32), y = x;
  HostTensor result = HostTensor::zeros({4, 64}, Element::f32), bounds = result;
  ASSERT_TRUE(succeeded(kernel::evaluate(k.op(), {&x, &y}, {result}, {bounds})));
  EXPECT_TRUE(std::isinf(bounds.values[0]));
}

TEST(RegionErrors, OfASumCoverRoundingThatAlwaysGoesOneWay) {
  // One large number, and small ones that are each rounded up or down alike.
  for (float small : {1e-4f, 3.3e-5f, 7e-6f}) {
    float sum = 1;
    double exact = 1;
    int64_t n = 4096;
    for (int64_t i = 0; i < n; ++i) sum += small, exact += double(small);
    EXPECT_LE(std::fabs(double(sum) - exact), kernel::sumError(n) * exact);
    EXPECT_GT(std::fabs(double(sum) - exact), 2e-6 * exact) << "the bound of numbers of one size would do";
  }
}

TEST(RegionErrors, OfAProductAreOfTheMagnitudesThatItAdds) {
  Kernel k(R"(%r = kernel.matmul %x, %y extras() sizes [1, 4, 4, 64] {
      lhs_access = #kernel.access<offset = 0, strides = 0, 64, 1>, rhs_access = #kernel.access<offset = 0, strides = 0, 1, 64>,
      extra_access = [], output_access = [#kernel.access<offset = 0, strides = 0, 4, 1>]}
      : (tensor<4x64xf32>, tensor<4x64xf32>) -> tensor<4x4xf32> {
    ^bb0(%acc: f32):
      kernel.yield %acc : f32
    }
    return %x : tensor<4x64xf32>)");
  ASSERT_EQ(k.text.errors, "");
  HostTensor x = tensor({4, 64}, std::vector<double>(256, 3), Element::f32), y = x;
  for (size_t i = 0; i < 256; i += 2) x.values[i] = -3;
  HostTensor result = HostTensor::zeros({4, 4}, Element::f32), bounds = result;
  ASSERT_TRUE(succeeded(kernel::evaluate(k.op(), {&x, &y}, {result}, {bounds})));
  EXPECT_EQ(result.values[0], 0);
  EXPECT_NEAR(bounds.values[0], kernel::sumError(kernel::productRoundings("fma", 64)) * 64 * 9, 1e-12);
}

} // namespace
} // namespace weft::testing
