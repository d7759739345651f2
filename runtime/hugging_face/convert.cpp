#include "runtime/hugging_face/convert.h"

#include <array>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>

namespace weft {
namespace {

uint32_t F16Bits(uint16_t half) {
  uint32_t sign = uint32_t{half} >> 15 << 31, exponent = half >> 10 & 31, fraction = half & 1023;
  if (exponent == 31) return sign | 0x7f800000 | fraction << 13;
  if (exponent > 0) return sign | (exponent + 112) << 23 | fraction << 13;
  if (fraction == 0) return sign;
  int shift = std::countl_zero(fraction) - 21; // a subnormal, normal in f32: its first one becomes implicit
  return sign | static_cast<uint32_t>(113 - shift) << 23 | (fraction << shift & 1023) << 13;
}

std::array<float, 256> E4m3Values() {
  std::array<float, 256> values;
  for (int code = 0; code < 256; ++code) {
    int exponent = code >> 3 & 15, fraction = code & 7;
    float size = exponent == 0 ? std::ldexp(static_cast<float>(fraction), -9)
                               : std::ldexp(static_cast<float>(8 + fraction), exponent - 10);
    if ((code & 127) == 127) size = std::numeric_limits<float>::quiet_NaN();
    values[code] = code < 128 ? size : -size;
  }
  return values;
}

} // namespace

void WidenBf16(const uint16_t *from, absl::Span<float> out) {
  for (size_t i = 0; i < out.size(); ++i) {
    uint32_t bits = uint32_t{from[i]} << 16;
    std::memcpy(&out[i], &bits, 4);
  }
}

void WidenF16(const uint16_t *from, absl::Span<float> out) {
  for (size_t i = 0; i < out.size(); ++i) {
    uint32_t bits = F16Bits(from[i]);
    std::memcpy(&out[i], &bits, 4);
  }
}

void WidenE4m3(const uint8_t *from, absl::Span<float> out) {
  static const std::array<float, 256> values = E4m3Values();
  for (size_t i = 0; i < out.size(); ++i) out[i] = values[from[i]];
}

void RoundToBf16(absl::Span<const float> from, uint16_t *out) {
  for (size_t i = 0; i < from.size(); ++i) {
    uint32_t bits;
    std::memcpy(&bits, &from[i], 4);
    bool nan = (bits & 0x7fffffff) > 0x7f800000;
    // A NaN whose payload lies in the lower half would round to infinity.
    out[i] = static_cast<uint16_t>(nan ? bits >> 16 | 64 : (bits + 0x7fff + (bits >> 16 & 1)) >> 16);
  }
}

} // namespace weft
