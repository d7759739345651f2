// A set of code points, as sorted ranges that neither meet nor overlap.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

namespace weft {

class CharSet {
public:
  struct Range {
    uint32_t first, last;
  };
  static constexpr uint32_t kLast = 0x10ffff;

  CharSet() = default;
  static CharSet Of(uint32_t first, uint32_t last);
  static CharSet OfCategories(uint32_t bits); // of unicode.h
  // \p{name}: a general category or a group of them (L, Lu, Letter is not read), Han, or Any. Nothing for
  // another.
  static std::optional<CharSet> Named(std::string_view name);
  static CharSet WordCharacters(); // \w

  void Add(uint32_t first, uint32_t last);
  void Add(const CharSet &other);
  CharSet Complement() const;
  CharSet Intersection(const CharSet &other) const;
  // With the other case of ASCII letters, as simple folding has it: s with U+017F too, k with U+212A.
  CharSet WithBothCases() const;

  bool Contains(uint32_t code_point) const {
    return code_point < 128 ? ascii_[code_point >> 6] >> (code_point & 63) & 1 : ContainsWide(code_point);
  }
  bool empty() const { return ranges_.empty(); }
  const std::vector<Range> &ranges() const { return ranges_; }

private:
  explicit CharSet(std::vector<Range> ranges);
  bool ContainsWide(uint32_t code_point) const;
  std::vector<Range> ranges_;
  uint64_t ascii_[2] = {};
};

} // namespace weft
