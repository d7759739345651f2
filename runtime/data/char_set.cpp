#include "runtime/data/char_set.h"

#include <algorithm>
#include <cstddef>
#include <utility>

#include "runtime/data/unicode.h"

namespace weft {
namespace {

// The code points for which `holds`.
template <typename Predicate> std::vector<CharSet::Range> Where(Predicate holds) {
  std::vector<CharSet::Range> ranges;
  for (uint32_t p = 0; p <= CharSet::kLast; ++p) {
    if (!holds(p)) continue;
    if (!ranges.empty() && ranges.back().last + 1 == p)
      ranges.back().last = p;
    else
      ranges.push_back({p, p});
  }
  return ranges;
}

} // namespace

CharSet::CharSet(std::vector<Range> ranges) {
  std::sort(ranges.begin(), ranges.end(), [](Range a, Range b) { return a.first < b.first; });
  for (const Range &r : ranges)
    if (!ranges_.empty() && r.first <= ranges_.back().last + 1)
      ranges_.back().last = std::max(ranges_.back().last, r.last);
    else
      ranges_.push_back(r);
  for (const Range &r : ranges_)
    for (uint32_t p = r.first; p <= r.last && p < 128; ++p) ascii_[p >> 6] |= uint64_t{1} << (p & 63);
}

CharSet CharSet::Of(uint32_t first, uint32_t last) { return CharSet(std::vector<Range>{{first, last}}); }

CharSet CharSet::OfCategories(uint32_t bits) {
  return CharSet(Where([&](uint32_t p) { return (CategoryBit(p) & bits) != 0; }));
}

CharSet CharSet::WordCharacters() { return CharSet(Where(IsWordCharacter)); }

std::optional<CharSet> CharSet::Named(std::string_view name) {
  static constexpr std::pair<std::string_view, uint32_t> kNames[] = {
      {"L", kLetters},  {"M", kMarks},
      {"N", kNumbers},  {"P", kPunctuation},
      {"S", kSymbols},  {"Z", 1 << kZs | 1 << kZl | 1 << kZp},
      {"Lu", 1 << kLu}, {"Ll", 1 << kLl},
      {"Lt", 1 << kLt}, {"Lm", 1 << kLm},
      {"Lo", 1 << kLo}, {"Mn", 1 << kMn},
      {"Mc", 1 << kMc}, {"Me", 1 << kMe},
      {"Nd", 1 << kNd}, {"Nl", 1 << kNl},
      {"No", 1 << kNo}, {"Pc", 1 << kPc},
      {"Pd", 1 << kPd}, {"Ps", 1 << kPs},
      {"Pe", 1 << kPe}, {"Pi", 1 << kPi},
      {"Pf", 1 << kPf}, {"Po", 1 << kPo},
      {"Sm", 1 << kSm}, {"Sc", 1 << kSc},
      {"Sk", 1 << kSk}, {"So", 1 << kSo},
      {"Zs", 1 << kZs}, {"Zl", 1 << kZl},
      {"Zp", 1 << kZp}, {"Cc", 1 << kCc | 1 << kCcSpace},
      {"Cf", 1 << kCf}, {"Any", kAnyCategory},
  };
  for (const auto &[known, bits] : kNames)
    if (name == known) return OfCategories(bits);
  if (name == "Han") return CharSet(Where(IsHan));
  return std::nullopt;
}

void CharSet::Add(uint32_t first, uint32_t last) { Add(Of(first, last)); }

void CharSet::Add(const CharSet &other) {
  std::vector<Range> all = ranges_;
  all.insert(all.end(), other.ranges_.begin(), other.ranges_.end());
  *this = CharSet(std::move(all));
}

CharSet CharSet::Complement() const {
  std::vector<Range> gaps;
  uint32_t next = 0;
  for (const Range &r : ranges_) {
    if (r.first > next) gaps.push_back({next, r.first - 1});
    next = r.last + 1;
  }
  if (next <= kLast) gaps.push_back({next, kLast});
  return CharSet(std::move(gaps));
}

CharSet CharSet::Intersection(const CharSet &other) const {
  CharSet either = Complement(); // de Morgan
  either.Add(other.Complement());
  return either.Complement();
}

CharSet CharSet::WithBothCases() const {
  std::vector<Range> all = ranges_;
  for (uint32_t letter = 'a'; letter <= 'z'; ++letter) {
    const uint32_t upper = letter - 32, third = letter == 's' ? 0x17f : letter == 'k' ? 0x212a : letter;
    if (!Contains(letter) && !Contains(upper) && !Contains(third)) continue;
    for (uint32_t p : {letter, upper, third}) all.push_back({p, p});
  }
  return CharSet(std::move(all));
}

bool CharSet::ContainsWide(uint32_t p) const {
  const auto r = std::lower_bound(ranges_.begin(), ranges_.end(), p,
                                  [](const Range &x, uint32_t v) { return x.last < v; });
  return r != ranges_.end() && p >= r->first;
}

} // namespace weft
