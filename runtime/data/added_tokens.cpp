#include "runtime/data/added_tokens.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "runtime/data/unicode.h"

namespace weft {
namespace {

// The start of the character that ends at `end`, which is above 0.
size_t CharBefore(std::string_view text, size_t end) {
  for (size_t back = 1, length; back <= 4 && back <= end; ++back)
    if (DecodeUtf8(text.substr(0, end), end - back, length) != kInvalidCodePoint && length == back)
      return end - back;
  return end - 1;
}

} // namespace

AddedTokenMatcher::AddedTokenMatcher(std::vector<const AddedToken *> tokens,
                                     const std::vector<std::string> &texts) {
  for (size_t i = 0; i < tokens.size(); ++i) {
    entries_.push_back({texts[i], tokens[i]});
    has_plain_ |= !tokens[i]->special;
  }
  std::stable_sort(entries_.begin(), entries_.end(),
                   [](const Entry &a, const Entry &b) { return a.text < b.text; });
  entries_.erase(std::unique(entries_.begin(), entries_.end(),
                             [](const Entry &a, const Entry &b) { return a.text == b.text; }),
                 entries_.end());
  int starts = 0;
  for (const Entry &e : entries_) {
    const auto b = static_cast<unsigned char>(e.text[0]);
    if (!std::exchange(starts_[b], true)) ++starts, only_start_ = b;
  }
  if (starts != 1) only_start_ = -1;
}

bool AddedTokenMatcher::Find(std::string_view text, size_t from, Found &found) const {
  if (entries_.empty()) return false;
  for (size_t at = from;; ++at) {
    if (only_start_ >= 0) {
      const void *p =
          at < text.size() ? std::memchr(text.data() + at, only_start_, text.size() - at) : nullptr;
      at = p ? static_cast<size_t>(static_cast<const char *>(p) - text.data()) : text.size();
    } else {
      while (at < text.size() && !starts_[static_cast<unsigned char>(text[at])]) ++at;
    }
    if (at >= text.size()) return false;
    // The entries that begin as the text does, byte by byte; the shortest of them comes first.
    auto first = entries_.begin(), last = entries_.end();
    const Entry *longest = nullptr;
    for (size_t length = 0; first != last; ++length) {
      if (first->text.size() == length) {
        longest = &*first;
        if (++first == last) break;
      }
      if (at + length == text.size()) break;
      const char c = text[at + length];
      const auto less = [length](const Entry &e, char b) {
        return static_cast<unsigned char>(e.text[length]) < static_cast<unsigned char>(b);
      };
      first = std::lower_bound(first, last, c, less);
      last = std::upper_bound(first, last, c, [length](char b, const Entry &e) {
        return static_cast<unsigned char>(b) < static_cast<unsigned char>(e.text[length]);
      });
    }
    if (longest) {
      found = {longest->token, at, at + longest->text.size()};
      return true;
    }
  }
}

bool AddedTokenMatcher::Widen(std::string_view text, const AddedToken &token, size_t done, size_t &begin,
                              size_t &end) {
  size_t length;
  if (token.single_word) {
    const bool before = begin > 0 && IsWordCharacter(DecodeUtf8(text, CharBefore(text, begin), length));
    const bool after = end < text.size() && IsWordCharacter(DecodeUtf8(text, end, length));
    if (before || after) return false;
  }
  const auto is_space = [&](size_t at) { return (CategoryBit(DecodeUtf8(text, at, length)) & kSpaces) != 0; };
  if (token.lstrip) {
    while (begin > done) {
      const size_t at = CharBefore(text, begin);
      if (at < done || !is_space(at)) break;
      begin = at;
    }
    begin = std::max(begin, done);
  }
  if (token.rstrip)
    while (end < text.size() && is_space(end)) end += length;
  return true;
}

} // namespace weft
