#include "runtime/data/unicode.h"

#include <vector>

namespace weft {
namespace {

struct CodePointRange {
  uint32_t first, last;
};

#include "runtime/data/unicode_ranges.inc"

// One byte a code point: 1.1 MB, made once, so that a look-up costs one load.
std::vector<CharClass> MakeClasses() {
  std::vector<CharClass> classes(0x110000, CharClass::kOther);
  auto fill = [&](const auto &ranges, CharClass c) {
    for (const CodePointRange &r : ranges)
      for (uint32_t p = r.first; p <= r.last; ++p) classes[p] = c;
  };
  fill(kLetterRanges, CharClass::kLetter);
  fill(kNumberRanges, CharClass::kNumber);
  fill(kSpaceRanges, CharClass::kSpace);
  return classes;
}

} // namespace

uint32_t DecodeUtf8(std::string_view text, size_t at, size_t &length) {
  const auto byte = [&](size_t i) -> uint32_t { return static_cast<uint8_t>(text[i]); };
  const uint32_t lead = byte(at);
  length = 1;
  if (lead < 0x80) return lead;
  const size_t count = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
  if (lead < 0xc2 || lead > 0xf4 || text.size() - at < count) return kInvalidCodePoint;
  uint32_t point = lead & (0x7f >> count);
  for (size_t i = 1; i < count; ++i) {
    const uint32_t b = byte(at + i);
    if ((b & 0xc0) != 0x80) return kInvalidCodePoint;
    point = point << 6 | (b & 0x3f);
  }
  const bool overlong = point < (count == 2 ? 0x80u : count == 3 ? 0x800u : 0x10000u);
  if (overlong || point > 0x10ffff || (point >= 0xd800 && point <= 0xdfff)) return kInvalidCodePoint;
  length = count;
  return point;
}

void AppendUtf8(uint32_t p, std::string &out) {
  if (p > 0x10ffff || (p >= 0xd800 && p <= 0xdfff)) p = 0xfffd;
  if (p < 0x80) {
    out += static_cast<char>(p);
  } else if (p < 0x800) {
    out += static_cast<char>(0xc0 | p >> 6);
    out += static_cast<char>(0x80 | (p & 0x3f));
  } else if (p < 0x10000) {
    out += static_cast<char>(0xe0 | p >> 12);
    out += static_cast<char>(0x80 | (p >> 6 & 0x3f));
    out += static_cast<char>(0x80 | (p & 0x3f));
  } else {
    out += static_cast<char>(0xf0 | p >> 18);
    out += static_cast<char>(0x80 | (p >> 12 & 0x3f));
    out += static_cast<char>(0x80 | (p >> 6 & 0x3f));
    out += static_cast<char>(0x80 | (p & 0x3f));
  }
}

bool IsValidUtf8(std::string_view text) {
  for (size_t at = 0, length = 0; at < text.size(); at += length)
    if (DecodeUtf8(text, at, length) == kInvalidCodePoint) return false;
  return true;
}

CharClass ClassOf(uint32_t code_point) {
  static const std::vector<CharClass> classes = MakeClasses();
  return code_point < classes.size() ? classes[code_point] : CharClass::kOther;
}

} // namespace weft
