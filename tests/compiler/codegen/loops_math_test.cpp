// exp, log, … against libm in double: the errors that vector_math.h states, special values, and equal bits in
// scalar and vector code.
#include "tests/compiler/codegen/harness.h"

#include <bit>
#include <cmath>
#include <gtest/gtest.h>

namespace weft::cpu_test {
namespace {

struct Function {
  const char *op;
  double (*reference)(double);
  double ulp; // bound
  float low, high;
};

const Function kFunctions[] = {
    {"exp", std::exp, 1.1, -104, 89},
    {"log", std::log, 0.85, 0, 3.4e38f},
    {"sin", std::sin, 1.5, -1e5f, 1e5f},
    {"cos", std::cos, 1.5, -1e5f, 1e5f},
    {"tanh", std::tanh, 1.4, -20, 20},
    {"sqrt", std::sqrt, 0.51, 0, 3.4e38f},
    {"rsqrt", [](double x) { return 1 / std::sqrt(x); }, 1.5, 0, 3.4e38f},
};

// Kernels take denormals as zeros of their sign, and give such zeros for them.
double flushed(double x) { return std::abs(x) < 0x1p-126 ? std::copysign(0.0, x) : x; }

// |got - want| in units of the last place of want as f32.
double errorInUlp(float got, double want) {
  // About the least normal number rounding decides which it is.
  if (std::abs(want) < 0x1p-126 * (1 + 0x1p-22) && (got == 0 || std::abs(got) <= 0x1.000004p-126f)) return 0;
  if (std::isnan(want) || std::isnan(got)) return std::isnan(want) == std::isnan(got) ? 0 : INFINITY;
  float rounded = float(want);
  if (std::isinf(rounded) || std::isinf(got)) {
    // Overflow: the largest finite number and infinity are one ulp apart.
    if (got == rounded) return 0;
    return std::abs(got) >= 3.4028234e38f && std::abs(rounded) >= 3.4028234e38f && (got > 0) == (rounded > 0)
               ? 1
               : INFINITY;
  }
  int exponent;
  std::frexp(want, &exponent);
  return std::abs(got - want) / std::ldexp(1.0, std::max(exponent - 24, -149));
}

// Every f32 pattern in steps of `step`, within [low, high], both signs.
std::vector<float> patterns(float low, float high, uint32_t step) {
  std::vector<float> values;
  for (uint64_t bits = 0; bits < (1ull << 32); bits += step) {
    float x = std::bit_cast<float>(uint32_t(bits));
    if (x >= low && x <= high) values.push_back(x);
  }
  return values;
}

Loops unary(const std::string &op, int64_t n, bool scalars) {
  std::vector<int64_t> strides = scalars ? std::vector<int64_t>{1, 0} : std::vector<int64_t>{0, 1};
  return {.domain = scalars ? std::vector<int64_t>{n, 1} : std::vector<int64_t>{1, n},
          .inputs = {{tensorType({n}, "f32"), strides}},
          .outputs = {{tensorType({n}, "f32"), strides}},
          .region = "%y = math." + op + " %0 : f32\nkernel.yield %y : f32",
          .blockColumns = 1024};
}

std::vector<float> apply(KernelSuite &suite, const std::string &name,
                         const std::vector<std::vector<float>> &x) {
  std::vector<Bytes> inputs;
  for (auto &v : x) inputs.push_back(bytesOf(v));
  return valuesOf<float>(suite.run(name, inputs, {Bytes(x[0].size() * 4)}).at(0));
}

TEST(VectorMath, StaysWithinItsStatedErrors) {
  KernelSuite suite;
  std::map<std::string, std::vector<float>> inputs;
  for (const Function &f : kFunctions) {
    // A prime step reaches every exponent at many mantissas: about 200,000 numbers. WEFT_MATH_STEP=1 sweeps
    // them all.
    const char *step = std::getenv("WEFT_MATH_STEP");
    inputs[f.op] = patterns(f.low, f.high, step ? std::atoi(step) : 20011);
    suite.add(f.op, unary(f.op, int64_t(inputs[f.op].size()), false).text());
  }
  suite.compile();
  for (const Function &f : kFunctions) {
    const std::vector<float> &x = inputs[f.op];
    std::vector<float> y = apply(suite, f.op, {x});
    double worst = 0;
    float at = 0;
    for (size_t i = 0; i < x.size(); ++i) {
      double error = errorInUlp(y[i], f.reference(flushed(x[i])));
      if (!(error <= worst)) worst = error, at = x[i];
    }
    EXPECT_LE(worst, f.ulp) << f.op << "(" << at << ")";
    RecordProperty(f.op, std::to_string(worst));
    printf("%-6s %.3f ulp at %.9g of %zu\n", f.op, worst, at, x.size());
  }
}

TEST(VectorMath, PowStaysWithinItsStatedError) {
  KernelSuite suite;
  std::vector<float> x, y;
  for (float base : patterns(1e-30f, 1e30f, 1000003))
    for (float power : {-3.5f, -1.0f, -0.03125f, 0.25f, 0.5f, 2.0f, 3.0f, 17.0f})
      x.push_back(base), y.push_back(power);
  for (int i = 0; i < 20000; ++i)
    x.push_back(0.9f + i * 1e-5f), y.push_back(float(i % 997) + 0.5f); // bias corrections
  std::vector<float> special = {0.0f, -0.0f,    1,         -1,  2, -2, -2.5f,
                                0.5f, INFINITY, -INFINITY, NAN, 3, -3, 1e-45f};
  for (float a : special)
    for (float b : special) x.push_back(a), y.push_back(b);
  int64_t n = int64_t(x.size());
  suite.add("pow", Loops{.domain = {n},
                         .inputs = {{tensorType({n}, "f32"), {1}}, {tensorType({n}, "f32"), {1}}},
                         .outputs = {{tensorType({n}, "f32"), {1}}},
                         .region = "%p = math.powf %0, %1 : f32\nkernel.yield %p : f32",
                         .blockColumns = 1024}
                       .text());
  suite.compile();
  auto z = apply(suite, "pow", {x, y});
  double worst = 0;
  for (int64_t i = 0; i < n; ++i) {
    double want = flushed(std::pow(flushed(x[i]), flushed(y[i]))), error = errorInUlp(z[i], want);
    ASSERT_LE(error, 1.0) << "pow(" << x[i] << ", " << y[i] << ") = " << z[i] << " when libm has " << want;
    if (want == 0 || x[i] == 0) {
      ASSERT_EQ(std::signbit(z[i]), std::signbit(want)) << "pow(" << x[i] << ", " << y[i] << ")";
    }
    worst = std::max(worst, error);
  }
  printf("pow    %.3f ulp of %zu\n", worst, x.size());
}

TEST(VectorMath, SpecialValuesAndScalarsAgreeWithVectors) {
  std::vector<float> x = {0.0f,     -0.0f,   1,           -1,     INFINITY, -INFINITY, NAN,     1e-45f,
                          1.1e-38f, -1e-45f, 88.72284f,   88.8f,  -87.4f,   -103.9f,   -104.1f, 3.4e38f,
                          -3.4e38f, 0.625f,  0.62499994f, 1e-20f, 100000,   7e6f,      1e30f};
  for (float v : randomFloats(200, 1, -50, 50)) x.push_back(v);
  int64_t n = int64_t(x.size());
  KernelSuite suite;
  for (const Function &f : kFunctions) {
    suite.add(f.op, unary(f.op, n, false).text());
    suite.add(std::string(f.op) + "_scalar", unary(f.op, n, true).text());
  }
  suite.compile();
  for (const Function &f : kFunctions) {
    auto vectors = apply(suite, f.op, {x}), scalars = apply(suite, std::string(f.op) + "_scalar", {x});
    for (int64_t i = 0; i < n; ++i) {
      if (std::isnan(vectors[i]))
        EXPECT_TRUE(std::isnan(scalars[i])) << f.op << "(" << x[i] << ")";
      else
        EXPECT_EQ(std::bit_cast<uint32_t>(vectors[i]), std::bit_cast<uint32_t>(scalars[i]))
            << f.op << "(" << x[i] << ")";
      std::string op = f.op;
      bool periodic = op == "sin" || op == "cos";
      if (periodic && std::isfinite(x[i]) && std::abs(x[i]) > 1e5f)
        EXPECT_LE(std::abs(vectors[i]), 1.0f) << op << "(" << x[i] << ") leaves [-1, 1]";
      else
        EXPECT_LE(errorInUlp(vectors[i], f.reference(flushed(x[i]))), f.ulp)
            << op << "(" << x[i] << ") = " << vectors[i];
      if (op == "tanh" && x[i] == 0) {
        EXPECT_EQ(std::signbit(vectors[i]), std::signbit(x[i]));
      }
    }
  }
}

} // namespace
} // namespace weft::cpu_test
