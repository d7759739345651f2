// Letters: case, classes and what can be printed, from ICU.
#include <unicode/locid.h>
#include <unicode/uchar.h>
#include <unicode/unistr.h>
#include <unicode/ustring.h>

#include "absl/strings/str_format.h"
#include "runtime/data/unicode.h"
#include "runtime/text/python_text.h"

namespace weft::python {
namespace {

template <typename Change> std::string Changed(std::string_view text, Change change) {
  icu::UnicodeString wide =
      icu::UnicodeString::fromUTF8(icu::StringPiece(text.data(), static_cast<int32_t>(text.size())));
  change(wide);
  std::string out;
  wide.toUTF8String(out);
  return out;
}

bool IsCased(uint32_t c) { return u_hasBinaryProperty(static_cast<UChar32>(c), UCHAR_CASED); }

// One character in title case, which may become several: ß is Ss.
std::string TitleCharacter(std::string_view character) {
  return Changed(character, [](icu::UnicodeString &s) { s.toTitle(nullptr, icu::Locale::getRoot()); });
}

bool IsAscii(std::string_view text) {
  for (char c : text)
    if (static_cast<uint8_t>(c) >= 0x80) return false;
  return true;
}

template <typename Of> bool AllCased(std::string_view text, Of wrong) {
  bool any = false;
  for (size_t i = 0, length; i < text.size(); i += length) {
    const auto c = static_cast<UChar32>(DecodeUtf8(text, i, length));
    if (wrong(c) || u_istitle(c)) return false;
    any |= static_cast<bool>(IsCased(c));
  }
  return any;
}

} // namespace

std::string Upper(std::string_view text) {
  if (IsAscii(text)) {
    std::string out(text);
    for (char &c : out)
      if (c >= 'a' && c <= 'z') c -= 32;
    return out;
  }
  return Changed(text, [](icu::UnicodeString &s) { s.toUpper(icu::Locale::getRoot()); });
}

std::string Lower(std::string_view text) {
  if (IsAscii(text)) {
    std::string out(text);
    for (char &c : out)
      if (c >= 'A' && c <= 'Z') c += 32;
    return out;
  }
  return Changed(text, [](icu::UnicodeString &s) { s.toLower(icu::Locale::getRoot()); });
}

std::string Capitalize(std::string_view text) {
  if (text.empty()) return "";
  size_t length;
  DecodeUtf8(text, 0, length);
  return TitleCharacter(text.substr(0, length)) + Lower(text.substr(length));
}

std::string Title(std::string_view text) {
  std::string out;
  for (size_t i = 0, length; i < text.size();) {
    if (!IsCased(DecodeUtf8(text, i, length))) {
      out += text.substr(i, length);
      i += length;
      continue;
    }
    out += TitleCharacter(text.substr(i, length));
    const size_t begin = i += length;
    while (i < text.size() && IsCased(DecodeUtf8(text, i, length))) i += length;
    out += Lower(text.substr(begin, i - begin));
  }
  return out;
}

bool IsUpper(std::string_view text) {
  return AllCased(text, [](UChar32 c) { return u_hasBinaryProperty(c, UCHAR_LOWERCASE); });
}
bool IsLower(std::string_view text) {
  return AllCased(text, [](UChar32 c) { return u_hasBinaryProperty(c, UCHAR_UPPERCASE); });
}

bool IsAll(std::string_view text, bool (*of)(uint32_t)) {
  for (size_t i = 0, length; i < text.size(); i += length)
    if (!of(DecodeUtf8(text, i, length))) return false;
  return !text.empty();
}

bool IsDigit(uint32_t c) {
  const int32_t type = u_getIntPropertyValue(static_cast<UChar32>(c), UCHAR_NUMERIC_TYPE);
  return type == U_NT_DECIMAL || type == U_NT_DIGIT;
}
bool IsAlpha(uint32_t c) { return (U_GET_GC_MASK(static_cast<UChar32>(c)) & U_GC_L_MASK) != 0; }
bool IsAlnum(uint32_t c) {
  return IsAlpha(c) || u_getIntPropertyValue(static_cast<UChar32>(c), UCHAR_NUMERIC_TYPE) != U_NT_NONE;
}

std::string Repr(std::string_view text) {
  const char quote = text.find('\'') != text.npos && text.find('"') == text.npos ? '"' : '\'';
  std::string out(1, quote);
  for (size_t i = 0, length; i < text.size(); i += length) {
    const uint32_t c = DecodeUtf8(text, i, length);
    const uint32_t mask = U_GET_GC_MASK(static_cast<UChar32>(c));
    if (c == static_cast<uint32_t>(quote) || c == '\\')
      out += '\\', out += static_cast<char>(c);
    else if (c == '\n' || c == '\r' || c == '\t')
      out += c == '\n' ? "\\n" : c == '\r' ? "\\r" : "\\t";
    else if (c == ' ' || (mask & (U_GC_C_MASK | U_GC_Z_MASK)) == 0)
      out += text.substr(i, length);
    else
      out += c < 0x100     ? absl::StrFormat("\\x%02x", c)
             : c < 0x10000 ? absl::StrFormat("\\u%04x", c)
                           : absl::StrFormat("\\U%08x", c);
  }
  return out += quote;
}

} // namespace weft::python
