#include "runtime/hugging_face/convert.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

namespace weft {
namespace {

uint32_t Bits(float x) {
  uint32_t bits;
  std::memcpy(&bits, &x, 4);
  return bits;
}
float FromBits(uint32_t bits) {
  float x;
  std::memcpy(&x, &bits, 4);
  return x;
}

// IEEE 754's definition of binary16, in arithmetic.
float F16Value(uint16_t half) {
  int exponent = half >> 10 & 31, fraction = half & 1023;
  double sign = half >> 15 ? -1 : 1;
  if (exponent == 31)
    return fraction ? std::numeric_limits<float>::quiet_NaN() : static_cast<float>(sign * INFINITY);
  double value = exponent ? std::ldexp(1024 + fraction, exponent - 25) : std::ldexp(fraction, -24);
  return static_cast<float>(sign * value);
}

TEST(Convert, EveryF16IsItsF32) {
  std::vector<uint16_t> halves(65536);
  for (size_t i = 0; i < halves.size(); ++i) halves[i] = static_cast<uint16_t>(i);
  std::vector<float> wide(halves.size());
  WidenF16(halves.data(), absl::MakeSpan(wide));
  for (size_t i = 0; i < halves.size(); ++i) {
    float expected = F16Value(halves[i]);
    if (std::isnan(expected))
      EXPECT_TRUE(std::isnan(wide[i])) << i;
    else
      EXPECT_EQ(Bits(wide[i]), Bits(expected)) << i;
  }
}

TEST(Convert, EveryBf16IsItsF32AndComesBack) {
  std::vector<uint16_t> narrow(65536), back(65536);
  for (size_t i = 0; i < narrow.size(); ++i) narrow[i] = static_cast<uint16_t>(i);
  std::vector<float> wide(narrow.size());
  WidenBf16(narrow.data(), absl::MakeSpan(wide));
  RoundToBf16(wide, back.data());
  for (size_t i = 0; i < narrow.size(); ++i) {
    EXPECT_EQ(Bits(wide[i]), uint32_t{narrow[i]} << 16);
    if (std::isnan(wide[i]))
      EXPECT_TRUE((back[i] & 0x7fff) > 0x7f80) << i; // quiet now
    else
      EXPECT_EQ(back[i], narrow[i]) << i;
  }
}

TEST(Convert, WidensInPlaceFromTheSecondHalf) {
  std::vector<float> buffer(777);
  auto *half = reinterpret_cast<char *>(buffer.data()) + buffer.size() * 2;
  for (size_t i = 0; i < buffer.size(); ++i) {
    uint16_t value = static_cast<uint16_t>(0x3f80 + i);
    std::memcpy(half + 2 * i, &value, 2);
  }
  WidenBf16(reinterpret_cast<const uint16_t *>(half), absl::MakeSpan(buffer));
  for (size_t i = 0; i < buffer.size(); ++i) EXPECT_EQ(Bits(buffer[i]), (0x3f80 + i) << 16) << i;
}

TEST(Convert, RoundsToTheNearestBf16TiesToEven) {
  const std::pair<uint32_t, uint16_t> cases[] = {
      {0x3f808000, 0x3f80}, {0x3f818000, 0x3f82}, {0x3f808001, 0x3f81},
      {0x3f807fff, 0x3f80},                                             // ties and their sides
      {0x7f7fffff, 0x7f80}, {0xff7fffff, 0xff80}, {0x7f7f7fff, 0x7f7f}, // the largest
      {0x00000001, 0x0000}, {0x80000001, 0x8000}, {0x00008001, 0x0001},
      {0x007fffff, 0x0080},                                             // subnormals
      {0x7f800000, 0x7f80}, {0x7f800001, 0x7fc0}, {0xffffffff, 0xffff}, // infinity, NaN
  };
  for (auto [wide, narrow] : cases) {
    uint16_t got;
    float x = FromBits(wide);
    RoundToBf16({&x, 1}, &got);
    EXPECT_EQ(got, narrow) << std::hex << wide;
  }
}

} // namespace
} // namespace weft
