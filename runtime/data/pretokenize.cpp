#include "runtime/data/pretokenize.h"

#include "runtime/data/unicode.h"

namespace weft {
namespace {

constexpr std::string_view kLlama3Regex =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr std::string_view kQwen2Regex =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr std::string_view kGpt2Regex =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";

struct Char {
  CharClass cls;
  size_t length;
};

Char CharAt(std::string_view text, size_t at) {
  const auto b = static_cast<unsigned char>(text[at]);
  if (b < 0x80) { // the common case without a table
    const bool letter = static_cast<unsigned char>((b | 0x20) - 'a') < 26;
    const bool digit = static_cast<unsigned char>(b - '0') < 10;
    const bool space = b == ' ' || static_cast<unsigned char>(b - '\t') < 5;
    return {letter  ? CharClass::kLetter
            : digit ? CharClass::kNumber
            : space ? CharClass::kSpace
                    : CharClass::kOther,
            1};
  }
  size_t length;
  const uint32_t point = DecodeUtf8(text, at, length);
  return {ClassOf(point), length};
}

bool IsBreak(char c) { return c == '\r' || c == '\n'; }

// The end of the run of `cls` that starts at `at`, which may be empty.
size_t RunEnd(std::string_view text, size_t at, CharClass cls) {
  while (at < text.size()) {
    const Char c = CharAt(text, at);
    if (c.cls != cls) break;
    at += c.length;
  }
  return at;
}

// The length of a contraction after the apostrophe at text[at], or 0. Without case, U+017F (a long s) is an s
// too: simple case folding makes it so, and Oniguruma follows it.
size_t Contraction(std::string_view text, size_t at, bool any_case) {
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
// a single one stands alone.
size_t BlanksEnd(std::string_view text, size_t at) {
  size_t last = at, end = at;
  while (end < text.size()) {
    const Char c = CharAt(text, end);
    if (c.cls != CharClass::kSpace) break;
    last = end;
    end += c.length;
  }
  return end == text.size() || last == at ? end : last;
}

size_t Llama3WordEnd(std::string_view text, size_t at, int max_digits) {
  const Char first = CharAt(text, at);
  const size_t next = at + first.length;
  if (text[at] == '\'')
    if (const size_t length = Contraction(text, at, true)) return at + length;

  // [^\r\n\p{L}\p{N}]?\p{L}+
  if (first.cls == CharClass::kLetter) return RunEnd(text, next, CharClass::kLetter);
  if (first.cls != CharClass::kNumber && !IsBreak(text[at]) && next < text.size()) {
    const Char second = CharAt(text, next);
    if (second.cls == CharClass::kLetter) return RunEnd(text, next + second.length, CharClass::kLetter);
  }

  if (first.cls == CharClass::kNumber) { // \p{N}{1,3}
    size_t end = next;
    for (int digits = 1; digits < max_digits && end < text.size(); ++digits) {
      const Char c = CharAt(text, end);
      if (c.cls != CharClass::kNumber) break;
      end += c.length;
    }
    return end;
  }

  //  ?[^\s\p{L}\p{N}]+[\r\n]*
  const size_t symbols = text[at] == ' ' ? next : at;
  size_t end = RunEnd(text, symbols, CharClass::kOther);
  if (end > symbols) {
    while (end < text.size() && IsBreak(text[end])) ++end;
    return end;
  }

  // \s*[\r\n]+ : up to the last line break of the blanks
  size_t after_break = at;
  for (size_t i = at; i < text.size();) {
    const Char c = CharAt(text, i);
    if (c.cls != CharClass::kSpace) break;
    i += c.length;
    if (IsBreak(text[i - 1])) after_break = i;
  }
  return after_break > at ? after_break : BlanksEnd(text, at);
}

size_t Gpt2WordEnd(std::string_view text, size_t at) {
  if (text[at] == '\'')
    if (const size_t length = Contraction(text, at, false)) return at + length;
  const size_t body = text[at] == ' ' ? at + 1 : at;
  if (body < text.size()) {
    const Char c = CharAt(text, body);
    if (c.cls != CharClass::kSpace) return RunEnd(text, body + c.length, c.cls);
  }
  return BlanksEnd(text, at);
}

} // namespace

std::string_view SplitRegex(Split split) {
  switch (split) {
  case Split::kLlama3:
    return kLlama3Regex;
  case Split::kQwen2:
    return kQwen2Regex;
  case Split::kGpt2:
    return kGpt2Regex;
  }
  return kLlama3Regex;
}

std::optional<Split> SplitFromRegex(std::string_view regex) {
  for (Split split : {Split::kLlama3, Split::kQwen2, Split::kGpt2})
    if (regex == SplitRegex(split)) return split;
  return std::nullopt;
}

size_t WordEnd(Split split, std::string_view text, size_t at) {
  switch (split) {
  case Split::kLlama3:
    return Llama3WordEnd(text, at, 3);
  case Split::kQwen2:
    return Llama3WordEnd(text, at, 1);
  case Split::kGpt2:
    return Gpt2WordEnd(text, at);
  }
  return text.size();
}

} // namespace weft
