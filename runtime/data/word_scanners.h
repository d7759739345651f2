// Hand-written scanners for the regular expressions of well-known tokenizers: each gives the end of the word
// that starts at text[at], at < text.size(), which is greater than `at`. They are what encoding spends its
// time in, hence inline and with a way of their own for ASCII.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#include "runtime/data/unicode.h"

namespace weft {

struct ScannedChar {
  uint32_t bit; // of its category
  size_t length;
};

// By byte, for ASCII.
inline constexpr struct AsciiBits {
  uint32_t bit[128] = {};
  constexpr AsciiBits() {
    for (int c = 0; c < 128; ++c) {
      const bool space = c == ' ', blank = c >= 9 && c <= 13, letter = (c | 32) >= 'a' && (c | 32) <= 'z';
      const bool symbol = c == '$' || c == '+' || c == '<' || c == '=' || c == '>' || c == '^' || c == '`' ||
                          c == '|' || c == '~';
      bit[c] = space                  ? 1u << kZs
               : blank                ? 1u << kCcSpace
               : c < 32 || c == 127   ? 1u << kCc
               : letter               ? (c & 32 ? 1u << kLl : 1u << kLu)
               : c >= '0' && c <= '9' ? 1u << kNd
               : symbol               ? 1u << kSm // what kind of symbol or punctuation, no rule asks
                                      : 1u << kPo;
    }
  }
} kAsciiBits;

inline ScannedChar CharAt(std::string_view text, size_t at) {
  const auto b = static_cast<unsigned char>(text[at]);
  if (b < 0x80) return {kAsciiBits.bit[b], 1};
  size_t length;
  const uint32_t point = DecodeUtf8(text, at, length);
  return {CategoryBit(point), length};
}

inline bool IsBreak(char c) { return c == '\r' || c == '\n'; }
inline bool IsAsciiLetter(char c) { return static_cast<unsigned char>((c | 0x20) - 'a') < 26; }

// The end of the run of characters of `categories` that starts at `at`, which may be empty.
inline size_t RunEnd(std::string_view text, size_t at, uint32_t categories) {
  while (at < text.size()) {
    const ScannedChar c = CharAt(text, at);
    if (!(c.bit & categories)) break;
    at += c.length;
  }
  return at;
}

inline size_t AsciiLettersEnd(std::string_view text, size_t at) {
#if defined(__SSE2__)
  while (at + 16 <= text.size()) {
    const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i *>(text.data() + at));
    // 'a' … 'z' become the 26 least of signed bytes
    const __m128i shifted = _mm_add_epi8(_mm_or_si128(bytes, _mm_set1_epi8(0x20)), _mm_set1_epi8(128 - 'a'));
    const int letters = _mm_movemask_epi8(_mm_cmplt_epi8(shifted, _mm_set1_epi8(-128 + 26)));
    if (letters != 0xffff) return at + static_cast<size_t>(__builtin_ctz(~letters));
    at += 16;
  }
#endif
  while (at < text.size() && IsAsciiLetter(text[at])) ++at;
  return at;
}

inline size_t LettersEnd(std::string_view text, size_t at, uint32_t categories = kLetters) {
  at = AsciiLettersEnd(text, at);
  return at < text.size() && (text[at] & 0x80) ? RunEnd(text, at, categories) : at;
}

// \p{N}{1,most} where there is one, else all up to the next.
inline size_t NumbersEnd(std::string_view text, size_t at, size_t most) {
  const bool numbers = (CharAt(text, at).bit & kNumbers) != 0;
  for (size_t n = 0; at < text.size() && (!numbers || n < most); ++n) {
    const ScannedChar c = CharAt(text, at);
    if (((c.bit & kNumbers) != 0) != numbers) break;
    at += c.length;
  }
  return at;
}

// The length of a contraction after the apostrophe at text[at], or 0. Without case, U+017F (a long s) is an s
// too: simple case folding makes it so, and Oniguruma follows it.
inline size_t Contraction(std::string_view text, size_t at, bool any_case) {
  const std::string_view rest = text.substr(at + 1);
  auto letter = [&](size_t i) -> char {
    if (i >= rest.size()) return 0;
    const char c = rest[i];
    return any_case && c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c;
  };
  switch (letter(0)) {
  case 's':
  case 't':
  case 'm':
  case 'd':
    return 2;
  case 'r':
  case 'v':
    return letter(1) == 'e' ? 3 : 0;
  case 'l':
    return letter(1) == 'l' ? 3 : 0;
  default:
    return any_case && rest.substr(0, 2) == "\xc5\xbf" ? 3 : 0;
  }
}

// \s+(?!\S)|\s+ : all the blanks at the end of the text; else all but the last, which the next word may take;
// a single one stands alone. `at` where there is no blank.
inline size_t BlanksEnd(std::string_view text, size_t at) {
  size_t last = at, end = at;
  while (end < text.size()) {
    const ScannedChar c = CharAt(text, end);
    if (!(c.bit & kSpaces)) break;
    last = end;
    end += c.length;
  }
  return end == text.size() || last == at ? end : last;
}

// \s*[\r\n]+|\s+(?!\S)|\s+ : blanks up to their last line break, or as above.
inline size_t LinesEnd(std::string_view text, size_t at) {
  size_t after_break = at;
  for (size_t i = at; i < text.size();) {
    const ScannedChar c = CharAt(text, i);
    if (!(c.bit & kSpaces)) break;
    i += c.length;
    if (IsBreak(text[i - 1])) after_break = i;
  }
  return after_break > at ? after_break : BlanksEnd(text, at);
}

//  ?[categories]+[\r\n]* , or `at`.
inline size_t SymbolsEnd(std::string_view text, size_t at, uint32_t categories) {
  const size_t symbols = text[at] == ' ' ? at + 1 : at;
  size_t end = RunEnd(text, symbols, categories);
  if (end == symbols) return at;
  while (end < text.size() && IsBreak(text[end])) ++end;
  return end;
}

inline size_t Llama3OtherWordEnd(std::string_view text, size_t at, size_t max_digits) {
  const ScannedChar first = CharAt(text, at);
  const size_t next = at + first.length;
  if (text[at] == '\'')
    if (const size_t length = Contraction(text, at, true)) return at + length;

  // [^\r\n\p{L}\p{N}]?\p{L}+
  if (first.bit & kLetters) return LettersEnd(text, next);
  if (!(first.bit & kNumbers) && !IsBreak(text[at]) && next < text.size()) {
    const ScannedChar second = CharAt(text, next);
    if (second.bit & kLetters) return LettersEnd(text, next + second.length);
  }
  if (first.bit & kNumbers) return NumbersEnd(text, at, max_digits);
  if (const size_t end = SymbolsEnd(text, at, ~(kLetters | kNumbers | kSpaces)); end > at) return end;
  return LinesEnd(text, at);
}

inline size_t Llama3WordEnd(std::string_view text, size_t at, size_t max_digits) {
  // Most words: letters with or without a space before them.
  if (text[at] == ' ') {
    if (at + 1 < text.size() && IsAsciiLetter(text[at + 1])) return LettersEnd(text, at + 2);
  } else if (IsAsciiLetter(text[at])) {
    return LettersEnd(text, at + 1);
  }
  return Llama3OtherWordEnd(text, at, max_digits);
}

inline size_t Gpt2WordEnd(std::string_view text, size_t at) {
  if (text[at] == '\'')
    if (const size_t length = Contraction(text, at, false)) return at + length;
  const size_t body = text[at] == ' ' ? at + 1 : at;
  if (body < text.size()) {
    if (IsAsciiLetter(text[body])) return LettersEnd(text, body + 1);
    const ScannedChar c = CharAt(text, body);
    for (uint32_t categories : {kLetters, kNumbers, ~(kLetters | kNumbers | kSpaces)})
      if (c.bit & categories) return RunEnd(text, body + c.length, categories);
  }
  return BlanksEnd(text, at);
}

// DeepSeek-V3's first two steps: the end of the piece that starts at `at`. It holds 1 to 3 numbers, or
// Chinese and Japanese (U+4E00 to U+9FA5, U+3040 to U+30FF), or neither.
inline size_t DeepSeekPieceEnd(std::string_view text, size_t at) {
  enum { kNumber, kCjk, kOther };
  const auto kind = [&](size_t i, size_t &length) {
    const auto b = static_cast<unsigned char>(text[i]);
    length = 1;
    if (b < 0x80) return b >= '0' && b <= '9' ? kNumber : kOther;
    const uint32_t p = DecodeUtf8(text, i, length);
    if ((p >= 0x4e00 && p <= 0x9fa5) || (p >= 0x3040 && p <= 0x30ff)) return kCjk;
    return CategoryBit(p) & kNumbers ? kNumber : kOther;
  };
  size_t length;
  const auto first = kind(at, length);
  if (first == kNumber) return NumbersEnd(text, at, 3);
  do at += length;
  while (at < text.size() && kind(at, length) == first);
  return at;
}

// Its third step, within a piece.
inline size_t DeepSeekWordEnd(std::string_view text, size_t at) {
  constexpr uint32_t kWord = kLetters | kMarks, kSign = kPunctuation | kSymbols;
  const auto begins_word = [&](size_t i) { return i < text.size() && (CharAt(text, i).bit & kWord) != 0; };
  // Whether [^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+ matches at i with its option taken.
  const auto leads_word = [&](size_t i, const ScannedChar &c) {
    return !(c.bit & (kLetters | kSign)) && !IsBreak(text[i]) && begins_word(i + c.length);
  };
  if (text[at] == ' ' && at + 1 < text.size() && IsAsciiLetter(text[at + 1]))
    return LettersEnd(text, at + 2, kWord);
  const ScannedChar first = CharAt(text, at);
  const size_t next = at + first.length;
  // [!-/:-@\[-`{-~][A-Za-z]+
  if (!(text[at] & 0x80) && (first.bit & kSign) && next < text.size() && IsAsciiLetter(text[next]))
    return AsciiLettersEnd(text, next);
  if ((first.bit & kWord) || leads_word(at, first)) return LettersEnd(text, next, kWord);
  if (const size_t end = SymbolsEnd(text, at, kSign); end > at) return end;
  if (first.bit & kSpaces) return LinesEnd(text, at);
  // Nothing matches here: a piece up to where something does.
  size_t end = next;
  while (end < text.size()) {
    const ScannedChar c = CharAt(text, end);
    if ((c.bit & (kWord | kSign | kSpaces)) || leads_word(end, c)) break;
    end += c.length;
  }
  return end;
}

} // namespace weft
