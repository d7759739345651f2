#include "runtime/data/unicode.h"

#include <algorithm>
#include <array>
#include <cassert>
#include <iterator>
#include <map>
#include <vector>

namespace weft {
namespace {

struct CategoryRange {
  uint32_t first, last;
  Category category;
};
struct CodePointRange {
  uint32_t first, last;
};

#include "runtime/data/unicode_ranges.inc"

// A byte a code point, in blocks of 256 of which equal ones are kept once: a look-up is two loads, and what
// text in one script touches fits the nearest cache.
struct Categories {
  uint8_t block_of[0x1100]; // by the code point's upper bits
  std::vector<std::array<Category, 256>> blocks;

  Categories() {
    std::vector<Category> all(0x110000, kCn);
    for (const CategoryRange &r : kCategoryRanges)
      for (uint32_t p = r.first; p <= r.last; ++p) all[p] = r.category;
    for (const CodePointRange &r : kSpaceRanges)
      for (uint32_t p = r.first; p <= r.last; ++p)
        if (all[p] == kCc) all[p] = kCcSpace;
    std::map<std::array<Category, 256>, uint8_t> known;
    for (size_t b = 0; b < std::size(block_of); ++b) {
      std::array<Category, 256> block;
      std::copy_n(all.begin() + b * 256, 256, block.begin());
      const auto [it, is_new] = known.emplace(block, static_cast<uint8_t>(blocks.size()));
      if (is_new) blocks.push_back(block);
      block_of[b] = it->second;
    }
    assert(blocks.size() <= 256);
  }
};

template <size_t n> bool IsIn(const CodePointRange (&ranges)[n], uint32_t p) {
  const CodePointRange *r =
      std::lower_bound(ranges, ranges + n, p, [](const CodePointRange &x, uint32_t v) { return x.last < v; });
  return r != ranges + n && p >= r->first;
}

} // namespace

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

Category CategoryOf(uint32_t code_point) {
  static const Categories categories;
  if (code_point >= 0x110000) code_point = 0xfffd;
  return categories.blocks[categories.block_of[code_point >> 8]][code_point & 255];
}

bool IsHan(uint32_t code_point) { return IsIn(kHanRanges, code_point); }

bool IsWordCharacter(uint32_t p) {
  if (CategoryBit(p) & (kLetters | kMarks | 1 << kNd | 1 << kNl | 1 << kPc)) return true;
  return p == 0x200c || p == 0x200d ||
         (p >= 0x24b6 && p <= 0x24e9) || // circled letters, and squared ones below
         (p >= 0x1f130 && p <= 0x1f149) || (p >= 0x1f150 && p <= 0x1f169) || (p >= 0x1f170 && p <= 0x1f189);
}

} // namespace weft
