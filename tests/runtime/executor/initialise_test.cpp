#include "runtime/executor/initialise.h"
#include "tests/runtime/executor/session_fixture.h"

#include <cmath>
#include <cstring>

namespace weft {
namespace {

using testing::List, testing::Variable;

// The value of `name` after Initialise(seed).
std::vector<float> Initialised(std::unique_ptr<fb::VariableT> variable, const std::string &file_name,
                               uint64_t seed, int threads = 1) {
  variable->file_name = file_name;
  std::string name = variable->name;
  int64_t bytes = variable->offset + variable->bytes;
  auto session = testing::OneEntry(0, {}, {}, threads, bytes, List(std::move(variable)));
  session->Initialise(seed);
  auto memory = *session->variable(name);
  std::vector<float> values(memory.size() / 4);
  std::memcpy(values.data(), memory.data(), memory.size());
  return values;
}

TEST(NormalQuantile, AgreesWithPublishedValues) {
  EXPECT_EQ(NormalQuantile(0.5), 0);
  // From Python's statistics.NormalDist().inv_cdf.
  EXPECT_NEAR(NormalQuantile(0.975), 1.9599639845400536, 1e-15);
  EXPECT_NEAR(NormalQuantile(0.25), -0.6744897501960817, 1e-15);
  EXPECT_NEAR(NormalQuantile(1e-3), -3.090232306167813, 1e-14);
  EXPECT_NEAR(NormalQuantile(1e-20), -9.262340089798405, 1e-13);
  EXPECT_NEAR(NormalQuantile(0x1p-53), -8.209536151601387, 1e-13);
  for (double u : {0.01, 0.1, 0.3, 0.49}) EXPECT_NEAR(NormalQuantile(u), -NormalQuantile(1 - u), 1e-14);
}

TEST(NormalQuantile, InvertsTheDistribution) {
  for (double u = 0x1p-52; u < 1; u = u < 0.01 ? u * 1.7 : u + 0.003)
    EXPECT_NEAR(0.5 * std::erfc(-NormalQuantile(u) / std::sqrt(2.0)) / u, 1, 1e-13) << u;
}

TEST(Initialise, NormalHasItsMoments) {
  auto values = Initialised(Variable("w", {400, 500}, 0, fb::InitKind::normal, 0.02), "", 7);
  double sum = 0, squares = 0, fourth = 0;
  for (float v : values) sum += v, squares += double(v) * v, fourth += std::pow(double(v), 4);
  double n = values.size(), variance = squares / n;
  EXPECT_NEAR(sum / n, 0, 5 * 0.02 / std::sqrt(n));
  EXPECT_NEAR(std::sqrt(variance), 0.02, 0.02 * 0.01);
  EXPECT_NEAR(fourth / n / (variance * variance), 3, 0.1);
}

TEST(Initialise, UniformFillsItsRange) {
  auto values = Initialised(Variable("w", {100000}, 0, fb::InitKind::uniform, 0.5), "", 7);
  double low = 1, high = -1, sum = 0;
  for (float v : values) low = std::min<double>(low, v), high = std::max<double>(high, v), sum += v;
  EXPECT_GE(low, -0.5);
  EXPECT_LE(high, 0.5);
  EXPECT_NEAR(low, -0.5, 1e-3);
  EXPECT_NEAR(high, 0.5, 1e-3);
  EXPECT_NEAR(sum / values.size(), 0, 5e-3);
}

TEST(Initialise, ConstantsAreConstant) {
  EXPECT_EQ(Initialised(Variable("w", {3}, 0, fb::InitKind::ones, 9), "", 1), (std::vector<float>{1, 1, 1}));
  EXPECT_EQ(Initialised(Variable("w", {3}, 0, fb::InitKind::zeros, 9), "", 1), (std::vector<float>{0, 0, 0}));
  EXPECT_EQ(Initialised(Variable("w", {3}, 0, fb::InitKind::constant, 9), "", 1),
            (std::vector<float>{9, 9, 9}));
}

TEST(Initialise, DependsOnSeedAndNameAndNotOnThreadsOrPlace) {
  auto make = [](int64_t offset = 0) { return Variable("w", {10007}, offset, fb::InitKind::normal, 1); };
  auto values = Initialised(make(), "", 1);
  EXPECT_TRUE(values == Initialised(make(128), "", 1, 3));
  EXPECT_FALSE(values == Initialised(make(), "", 2));
  EXPECT_FALSE(values == Initialised(Variable("v", {10007}, 0, fb::InitKind::normal, 1), "", 1));
  // Bits of the first values for good: another machine, compiler or math library must give the same.
  // (Computed apart, with Python's inv_cdf.)
  std::vector<uint32_t> bits(4);
  std::memcpy(bits.data(), values.data(), 16);
  EXPECT_EQ(bits, (std::vector<uint32_t>{0xbe0b83b7, 0xbfd53755, 0xbf72b51f, 0x3fcd8ae0}));
}

TEST(Initialise, StackingAndStagesDoNotChangeALayer) {
  const std::string file = "model.layers.{}.up.weight";
  for (int64_t columns : {5, 8}) { // odd and even sizes of a layer
    auto stack = [&](int64_t layers, int64_t begin) {
      return Variable("layers.up.weight", {layers, 3, columns}, 0, fb::InitKind::normal, 0.1, layers, begin);
    };
    auto whole = Initialised(stack(4, 0), file, 5), second_half = Initialised(stack(2, 2), file, 5);
    EXPECT_TRUE(std::equal(second_half.begin(), second_half.end(), whole.begin() + 2 * 3 * columns));
    auto alone = Initialised(Variable("last.up.weight", {3, columns}, 0, fb::InitKind::normal, 0.1),
                             "model.layers.3.up.weight", 5);
    EXPECT_TRUE(std::equal(alone.begin(), alone.end(), whole.begin() + 3 * 3 * columns));
    auto nameless = Initialised(stack(4, 0), "", 5), nameless_half = Initialised(stack(2, 2), "", 5);
    EXPECT_TRUE(std::equal(nameless_half.begin(), nameless_half.end(), nameless.begin() + 2 * 3 * columns));
    EXPECT_FALSE(std::equal(nameless_half.begin(), nameless_half.end(), nameless.begin()));
  }
}

} // namespace
} // namespace weft
