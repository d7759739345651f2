// UTF-8 decoding and the three character classes that the tokenizer's split rule asks about.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace weft {

// What `DecodeUtf8` gives for a byte that starts no valid sequence; it is no code point.
inline constexpr uint32_t kInvalidCodePoint = 0xffffffff;

// Decodes the sequence at text[at] (at < text.size()), strictly: no overlong forms, surrogates or values
// above U+10FFFF. `length` is its bytes; an invalid byte gives kInvalidCodePoint and length 1.
inline uint32_t DecodeUtf8(std::string_view text, size_t at, size_t &length) {
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

// Appends the UTF-8 form of `code_point`; surrogates and values above U+10FFFF become U+FFFD.
void AppendUtf8(uint32_t code_point, std::string &out);

bool IsValidUtf8(std::string_view text);

// The properties below are those of Unicode 16, from a table of our own: the same on every machine, whatever
// its ICU. kInvalidCodePoint, and so a byte that is not UTF-8, has those of U+FFFD.

// General categories; kCcSpace are the control characters that are White_Space.
// clang-format off
enum Category : uint8_t {
  kCn, kLu, kLl, kLt, kLm, kLo, kMn, kMc, kMe, kNd, kNl, kNo, kPc, kPd, kPs, kPe,
  kPi, kPf, kPo, kSm, kSc, kSk, kSo, kZs, kZl, kZp, kCc, kCf, kCo, kCcSpace
};
// clang-format on
inline constexpr int kNumCategories = 30;

Category CategoryOf(uint32_t code_point);
// A set of them has a bit for each.
inline uint32_t CategoryBit(uint32_t code_point) { return uint32_t{1} << CategoryOf(code_point); }
inline constexpr uint32_t kLetters = 1 << kLu | 1 << kLl | 1 << kLt | 1 << kLm | 1 << kLo;
inline constexpr uint32_t kMarks = 1 << kMn | 1 << kMc | 1 << kMe;
inline constexpr uint32_t kNumbers = 1 << kNd | 1 << kNl | 1 << kNo;
inline constexpr uint32_t kPunctuation =
    1 << kPc | 1 << kPd | 1 << kPs | 1 << kPe | 1 << kPi | 1 << kPf | 1 << kPo;
inline constexpr uint32_t kSymbols = 1 << kSm | 1 << kSc | 1 << kSk | 1 << kSo;
inline constexpr uint32_t kSpaces = 1 << kZs | 1 << kZl | 1 << kZp | 1 << kCcSpace; // White_Space, \s
inline constexpr uint32_t kAnyCategory = (uint32_t{1} << kNumCategories) - 1;

bool IsHan(uint32_t code_point); // of the script

// \w: letters, marks, decimal digits, connectors, and what else is Alphabetic or joins letters.
bool IsWordCharacter(uint32_t code_point);

} // namespace weft
