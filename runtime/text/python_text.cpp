#include "runtime/text/python_text.h"

#include <algorithm>
#include <charconv>
#include <cmath>

#include "absl/strings/numbers.h"
#include "absl/strings/str_format.h"
#include "runtime/data/unicode.h"

namespace weft::python {
namespace {

bool IsStart(char c) { return (static_cast<uint8_t>(c) & 0xc0) != 0x80; }

// The code point that ends before `end`, and where it begins.
uint32_t Before(std::string_view text, size_t &end) {
  do --end;
  while (end > 0 && !IsStart(text[end]));
  size_t length;
  return DecodeUtf8(text, end, length);
}

// Text without underscores where Python allows them (between digits), or none.
std::optional<std::string> WithoutUnderscores(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '_') {
      out += text[i];
      continue;
    }
    auto digit = [&](size_t at) { return at < text.size() && std::isalnum(static_cast<uint8_t>(text[at])); };
    if (i == 0 || !digit(i - 1) || !digit(i + 1)) return std::nullopt;
  }
  return out;
}

} // namespace

int64_t Length(std::string_view text) { return std::count_if(text.begin(), text.end(), IsStart); }

std::vector<std::string_view> Characters(std::string_view text) {
  std::vector<std::string_view> out;
  for (size_t i = 0, length; i < text.size(); i += length) {
    DecodeUtf8(text, i, length);
    out.push_back(text.substr(i, length));
  }
  return out;
}

bool IsSpace(uint32_t c) {
  return (c >= 9 && c <= 13) || (c >= 0x1c && c <= 0x20) || c == 0x85 || c == 0xa0 || c == 0x1680 ||
         (c >= 0x2000 && c <= 0x200a) || c == 0x2028 || c == 0x2029 || c == 0x202f || c == 0x205f ||
         c == 0x3000;
}

std::string_view Strip(std::string_view text, std::optional<std::string_view> chars, bool left, bool right) {
  auto goes = [&](std::string_view character, uint32_t code_point) {
    return chars ? chars->find(character) != chars->npos : IsSpace(code_point);
  };
  size_t length;
  while (left && !text.empty()) {
    const uint32_t code_point = DecodeUtf8(text, 0, length);
    if (!goes(text.substr(0, length), code_point)) break;
    text.remove_prefix(length);
  }
  while (right && !text.empty()) {
    size_t begin = text.size();
    const uint32_t code_point = Before(text, begin);
    if (!goes(text.substr(begin), code_point)) break;
    text = text.substr(0, begin);
  }
  return text;
}

std::vector<std::string_view> Split(std::string_view text, std::optional<std::string_view> separator,
                                    int64_t most) {
  std::vector<std::string_view> out;
  if (separator) {
    size_t at;
    for (; most != 0 && (at = text.find(*separator)) != text.npos; --most) {
      out.push_back(text.substr(0, at));
      text.remove_prefix(at + separator->size());
    }
    out.push_back(text);
    return out;
  }
  text = Strip(text, std::nullopt, true, false);
  for (; !text.empty() && most != 0; --most) {
    size_t end = 0, length;
    while (end < text.size() && !IsSpace(DecodeUtf8(text, end, length))) end += length;
    out.push_back(text.substr(0, end));
    text = Strip(text.substr(end), std::nullopt, true, false);
  }
  if (!text.empty()) out.push_back(text); // with the spaces at its end, as Python leaves them
  return out;
}

std::vector<std::string_view> RightSplit(std::string_view text, std::optional<std::string_view> separator,
                                         int64_t most) {
  std::vector<std::string_view> out;
  if (separator) {
    size_t at;
    for (; most != 0 && (at = text.rfind(*separator)) != text.npos; --most) {
      out.push_back(text.substr(at + separator->size()));
      text = text.substr(0, at);
    }
    out.push_back(text);
  } else {
    text = Strip(text, std::nullopt, false, true);
    for (; !text.empty() && most != 0; --most) {
      size_t begin = text.size();
      while (begin > 0) {
        size_t at = begin;
        if (IsSpace(Before(text, at))) break;
        begin = at;
      }
      out.push_back(text.substr(begin));
      text = Strip(text.substr(0, begin), std::nullopt, false, true);
    }
    if (!text.empty()) out.push_back(text);
  }
  std::reverse(out.begin(), out.end());
  return out;
}

std::vector<std::string_view> SplitLines(std::string_view text, bool keep_ends) {
  std::vector<std::string_view> out;
  size_t begin = 0;
  for (size_t i = 0, length; i < text.size(); i += length) {
    const uint32_t c = DecodeUtf8(text, i, length);
    const bool ends =
        (c >= 10 && c <= 13) || (c >= 0x1c && c <= 0x1e) || c == 0x85 || c == 0x2028 || c == 0x2029;
    if (!ends) continue;
    size_t end = i + length;
    if (c == '\r' && end < text.size() && text[end] == '\n') ++end;
    out.push_back(text.substr(begin, (keep_ends ? end : i) - begin));
    begin = end;
    length = end - i;
  }
  if (begin < text.size()) out.push_back(text.substr(begin));
  return out;
}

int64_t CountOf(std::string_view text, std::string_view part, int64_t most) {
  int64_t count = 0;
  if (part.empty()) {
    count = Length(text) + 1;
    return most < 0 ? count : std::min(count, most);
  }
  for (size_t at = 0; count != most && (at = text.find(part, at)) != text.npos; at += part.size()) ++count;
  return count;
}

std::string Replace(std::string_view text, std::string_view from, std::string_view to, int64_t most) {
  std::string out;
  if (from.empty()) { // before each character and at the end
    for (std::string_view character : Characters(text)) {
      if (most != 0) out += to, --most;
      out += character;
    }
    if (most != 0) out += to;
    return out;
  }
  size_t begin = 0, at;
  for (; most != 0 && (at = text.find(from, begin)) != text.npos; --most) {
    out += text.substr(begin, at - begin);
    out += to;
    begin = at + from.size();
  }
  return out += text.substr(begin);
}

std::string Repr(double value) {
  if (std::isnan(value)) return "nan";
  if (std::isinf(value)) return value < 0 ? "-inf" : "inf";
  char digits[64];
  auto end = std::to_chars(digits, digits + sizeof digits, value, std::chars_format::scientific).ptr;
  const std::string_view shortest(digits, end - digits);
  const size_t e = shortest.find('e');
  int exponent = 0;
  std::from_chars(shortest.data() + e + (shortest[e + 1] == '+' ? 2 : 1), end, exponent);
  if (exponent < -4 || exponent >= 16)
    return std::string(shortest.substr(0, e)) +
           absl::StrFormat("e%c%02d", exponent < 0 ? '-' : '+', std::abs(exponent));
  end = std::to_chars(digits, digits + sizeof digits, value, std::chars_format::fixed).ptr;
  std::string out(digits, end - digits);
  return out.find('.') == out.npos ? out + ".0" : out;
}

std::optional<int64_t> ToInteger(std::string_view text, int64_t base) {
  text = Strip(text, std::nullopt, true, true);
  const bool negative = !text.empty() && text[0] == '-';
  if (!text.empty() && (text[0] == '-' || text[0] == '+')) text.remove_prefix(1);
  if (base != 0 && (base < 2 || base > 36)) return std::nullopt;
  if (text.size() > 2 && text[0] == '0') {
    const char c = static_cast<char>(std::tolower(static_cast<uint8_t>(text[1])));
    const int64_t named = c == 'x' ? 16 : c == 'o' ? 8 : c == 'b' ? 2 : 0;
    if (named != 0 && (base == 0 || base == named)) {
      base = named;
      text.remove_prefix(2);
      if (text[0] == '_') text.remove_prefix(1);
    }
  }
  const std::optional<std::string> digits = WithoutUnderscores(text);
  if (!digits || digits->empty() || (*digits)[0] == '-' || (*digits)[0] == '+') return std::nullopt;
  if (base == 0) {
    if ((*digits)[0] == '0' && digits->find_first_not_of('0') != digits->npos) return std::nullopt;
    base = 10;
  }
  const std::string signed_digits = (negative ? "-" : "") + *digits;
  int64_t value = 0;
  const char *last = signed_digits.data() + signed_digits.size();
  const auto [end, error] = std::from_chars(signed_digits.data(), last, value, static_cast<int>(base));
  if (error != std::errc() || end != last) return std::nullopt;
  return value;
}

std::optional<double> ToReal(std::string_view text) {
  const std::optional<std::string> plain = WithoutUnderscores(Strip(text, std::nullopt, true, true));
  double value = 0;
  // Hexadecimal floats, which SimpleAtod reads, are none of Python's.
  if (!plain || plain->find_first_of("xX(") != plain->npos || !absl::SimpleAtod(*plain, &value))
    return std::nullopt;
  return value;
}

SliceRange ResolveSlice(int64_t length, std::optional<int64_t> begin, std::optional<int64_t> end,
                        int64_t step) {
  const int64_t low = step < 0 ? -1 : 0, high = step < 0 ? length - 1 : length;
  auto clamp = [&](int64_t at) { return at < 0 ? std::max(at + length, low) : std::min(at, high); };
  const int64_t first = begin ? clamp(*begin) : step < 0 ? high : low;
  const int64_t stop = end ? clamp(*end) : step < 0 ? low : high;
  const int64_t span = step < 0 ? first - stop : stop - first;
  if (span <= 0) return {first, 0, step};
  const uint64_t stride = step < 0 ? -static_cast<uint64_t>(step) : static_cast<uint64_t>(step);
  return {first, static_cast<int64_t>((static_cast<uint64_t>(span) - 1) / stride + 1), step};
}

} // namespace weft::python
