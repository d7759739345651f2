#include "runtime/text/jinja_lexer.h"

#include <algorithm>
#include <optional>

#include "runtime/data/str_cat.h"
#include "runtime/data/unicode.h"
#include "runtime/text/jinja_value.h"
#include "runtime/text/python_text.h"

namespace weft::jinja {
namespace {

bool IsDigit(char c) { return c >= '0' && c <= '9'; }
bool IsNameStart(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }

// Lines end in "\n", and a last one is left out, as jinja2 does before it looks at anything else.
std::string NormalLines(std::string_view source) {
  std::string out;
  for (size_t i = 0; i < source.size(); ++i) {
    if (source[i] == '\r') {
      out += '\n';
      if (i + 1 < source.size() && source[i + 1] == '\n') ++i;
    } else {
      out += source[i];
    }
  }
  if (!out.empty() && out.back() == '\n') out.pop_back();
  return out;
}

class Lexer {
public:
  explicit Lexer(std::string_view source) : text_(NormalLines(source)), source_(text_) {}

  std::vector<Token> Run() {
    while (at_ < source_.size()) Data();
    Add(TokenKind::end);
    return std::move(tokens_);
  }

private:
  [[noreturn]] void Refuse(std::string message) { throw Error{std::move(message), line_}; }
  Token &Add(TokenKind kind, std::string text = "") {
    tokens_.push_back({kind, line_, std::move(text)});
    return tokens_.back();
  }
  void Move(size_t to) {
    line_ += static_cast<int>(std::count(source_.begin() + at_, source_.begin() + to, '\n'));
    at_ = to;
  }
  bool Starts(std::string_view what, size_t at) const {
    return at < source_.size() && source_.substr(at, what.size()) == what;
  }
  size_t SkipSpace(size_t at) const {
    size_t length;
    while (at < source_.size() && python::IsSpace(DecodeUtf8(source_, at, length))) at += length;
    return at;
  }

  // Text up to the next tag, which may trim it: "{%-" all space before, "{%" what precedes it on its line.
  void AddData(size_t end, char sign, bool trims) {
    std::string_view data = source_.substr(at_, end - at_);
    if (sign == '-') {
      data = python::Strip(data, std::nullopt, false, true);
    } else if (sign != '+' && trims) {
      const size_t line = data.rfind('\n') + 1; // npos + 1 = 0
      if ((line > 0 || line_starting_) && python::Strip(data.substr(line), std::nullopt, true, false).empty())
        data = data.substr(0, line);
    }
    if (!data.empty()) Add(TokenKind::data, std::string(data));
    Move(end);
  }
  char SignAt(size_t at) const {
    return at < source_.size() && (source_[at] == '-' || source_[at] == '+') ? source_[at] : 0;
  }
  // After a tag's end: "-" takes all space, a block's newline goes.
  void FinishTag(size_t end, char sign, bool block) {
    size_t to = end;
    if (sign == '-')
      to = SkipSpace(end);
    else if (sign != '+' && block && Starts("\n", end))
      ++to;
    Move(to);
    line_starting_ = source_[to - 1] == '\n';
  }

  void Data() {
    size_t tag = at_;
    for (;; ++tag) {
      tag = source_.find('{', tag);
      if (tag == source_.npos || tag + 1 == source_.size()) {
        Add(TokenKind::data, std::string(source_.substr(at_)));
        return Move(source_.size());
      }
      if (source_[tag + 1] == '%' || source_[tag + 1] == '{' || source_[tag + 1] == '#') break;
    }
    const char kind = source_[tag + 1], sign = SignAt(tag + 2);
    AddData(tag, sign, kind != '{');
    const size_t begin = tag + 2 + (sign ? 1 : 0);
    if (kind == '#') return Comment(begin);
    if (kind == '%' && Raw(begin)) return;
    Add(kind == '%' ? TokenKind::block_begin : TokenKind::output_begin);
    Move(begin);
    Tag(kind == '%');
  }

  void Comment(size_t begin) {
    const size_t end = source_.find("#}", begin);
    if (end == source_.npos) Refuse("a comment {# has no end #}");
    FinishTag(end + 2, end > begin ? SignAt(end - 1) : '\0', true);
  }

  // {% raw %} … {% endraw %}: the text between as it is.
  bool Raw(size_t begin) {
    size_t at = SkipSpace(begin);
    if (!Starts("raw", at)) return false;
    at = SkipSpace(at + 3);
    const bool strips = Starts("-%}", at);
    if (!strips && !Starts("%}", at)) return false;
    at = strips ? SkipSpace(at + 3) : at + 2;
    Move(at);
    line_starting_ = source_[at - 1] == '\n';
    for (size_t tag = at; (tag = source_.find("{%", tag)) != source_.npos; tag += 2) {
      const char sign = SignAt(tag + 2);
      size_t end = SkipSpace(tag + 2 + (sign ? 1 : 0));
      if (!Starts("endraw", end)) continue;
      end = SkipSpace(end + 6);
      const char last = SignAt(end);
      if (last) ++end;
      if (!Starts("%}", end)) continue;
      AddData(tag, sign, true);
      FinishTag(end + 2, last, true);
      return true;
    }
    Refuse("{% raw %} has no {% endraw %}");
  }

  // The tokens of a tag, up to and with its end.
  void Tag(bool block) {
    std::string open; // brackets, each as what closes it
    for (;;) {
      Move(SkipSpace(at_));
      if (at_ == source_.size()) Refuse(StrCat("a tag has no end ", block ? "%}" : "}}"));
      const std::string_view end = block ? "%}" : "}}";
      const char sign = SignAt(at_);
      const bool signed_end = sign && (sign == '-' || block) && Starts(end, at_ + 1);
      if (open.empty() && (signed_end || Starts(end, at_))) {
        Add(block ? TokenKind::block_end : TokenKind::output_end);
        return FinishTag(at_ + (signed_end ? 3 : 2), signed_end ? sign : '\0', block);
      }
      const char c = source_[at_];
      if (IsDigit(c))
        Number();
      else if (IsNameStart(c))
        Name();
      else if (c == '"' || c == '\'')
        String(c);
      else
        Symbol(open);
    }
  }

  size_t Digits(size_t at, std::string_view allowed) const { // with single underscores between them
    const size_t begin = at;
    while (at < source_.size() && (allowed.find(source_[at]) != allowed.npos ||
                                   (source_[at] == '_' && at > begin && at + 1 < source_.size() &&
                                    allowed.find(source_[at + 1]) != allowed.npos)))
      ++at;
    return at;
  }

  void Number() {
    constexpr std::string_view decimal = "0123456789";
    size_t end = Digits(at_, decimal), real = end;
    if (at_ == 0 || source_[at_ - 1] != '.') {
      if (Starts(".", end) && Digits(end + 1, decimal) > end + 1) real = Digits(end + 1, decimal);
      if (real < source_.size() && (source_[real] == 'e' || source_[real] == 'E')) {
        const size_t exponent = real + 1 + (SignAt(real + 1) ? 1 : 0), last = Digits(exponent, decimal);
        if (last > exponent) real = last;
      }
    }
    if (real > end) {
      const auto value = python::ToReal(source_.substr(at_, real - at_));
      if (!value) Refuse("a number is beyond what a float holds");
      Add(TokenKind::real).real = *value;
      return Move(real);
    }
    if (source_[at_] == '0') {
      end = Digits(at_, "0");
      const char prefix = at_ + 1 < source_.size() ? static_cast<char>(source_[at_ + 1] | 0x20) : ' ';
      const std::string_view allowed = prefix == 'x'   ? "0123456789abcdefABCDEF"
                                       : prefix == 'o' ? "01234567"
                                       : prefix == 'b' ? "01"
                                                       : "";
      const size_t first = at_ + 2 + (Starts("_", at_ + 2) ? 1 : 0);
      if (!allowed.empty() && Digits(first, allowed) > first) end = Digits(first, allowed);
    }
    const auto value = python::ToInteger(source_.substr(at_, end - at_), 0);
    if (!value)
      Refuse(
          StrCat("the number ", source_.substr(at_, std::min<size_t>(end - at_, 40)), " is beyond 64 bits"));
    Add(TokenKind::integer).integer = *value;
    Move(end);
  }

  void Name() {
    size_t end = at_;
    while (end < source_.size() && (IsNameStart(source_[end]) || IsDigit(source_[end]))) ++end;
    Add(TokenKind::name, std::string(source_.substr(at_, end - at_)));
    Move(end);
  }

  void String(char quote) {
    size_t end = at_ + 1;
    while (end < source_.size() && source_[end] != quote) end += source_[end] == '\\' ? 2 : 1;
    if (end >= source_.size()) Refuse(StrCat("a string has no end ", std::string(1, quote)));
    Add(TokenKind::string, Unescape(source_.substr(at_ + 1, end - at_ - 1)));
    Move(end + 1);
  }

  // As Python's literals; an escape that it does not know stays as it is.
  std::string Unescape(std::string_view text) {
    std::string out;
    for (size_t i = 0; i < text.size(); ++i) {
      if (text[i] != '\\') {
        out += text[i];
        continue;
      }
      const char c = text[++i]; // a string does not end in an odd backslash
      static constexpr std::string_view simple = "\n\\'\"abfnrtv";
      static constexpr std::string_view values("\0\\'\"\a\b\f\n\r\t\v", 11);
      if (const size_t known = simple.find(c); known != simple.npos) {
        if (c != '\n') out += values[known];
      } else if (c >= '0' && c <= '7') {
        size_t n = 1;
        while (n < 3 && i + n < text.size() && text[i + n] >= '0' && text[i + n] <= '7') ++n;
        AppendUtf8(static_cast<uint32_t>(*python::ToInteger(text.substr(i, n), 8)), out);
        i += n - 1;
      } else if (c == 'x' || c == 'u' || c == 'U') {
        const size_t n = c == 'x' ? 2 : c == 'u' ? 4 : 8;
        const std::string_view digits = text.substr(i + 1, n);
        const bool valid =
            digits.size() == n && digits.find_first_not_of("0123456789abcdefABCDEF") == digits.npos;
        const int64_t code = valid ? *python::ToInteger(digits, 16) : -1;
        if (code < 0 || code > 0x10ffff || (code >= 0xd800 && code < 0xe000))
          Refuse(
              StrCat("the escape \\", std::string(1, c), " needs ", n, " hexadecimal digits of a character"));
        AppendUtf8(static_cast<uint32_t>(code), out);
        i += n;
      } else if (c == 'N' || static_cast<uint8_t>(c) >= 0x80) {
        Refuse("the escape \\N, and a backslash before a character beyond ASCII, are not read");
      } else {
        out += '\\', out += c;
      }
    }
    return out;
  }

  void Symbol(std::string &open) {
    static constexpr std::string_view two[] = {"//", "**", "==", "!=", ">=", "<="};
    const std::string_view next = source_.substr(at_, 2);
    const bool pair = std::find(std::begin(two), std::end(two), next) != std::end(two);
    const char c = next[0];
    if (!pair && std::string_view("+-/*%~[](){}><=.:|,;").find(c) == std::string_view::npos)
      Refuse(StrCat("unexpected character ", python::Repr(python::Characters(source_.substr(at_, 4))[0])));
    if (c == '(' || c == '[' || c == '{') open += c == '(' ? ')' : c == '[' ? ']' : '}';
    if (c == ')' || c == ']' || c == '}') {
      if (open.empty() || open.back() != c)
        Refuse(StrCat("unexpected ", std::string(1, c), open.empty() ? "" : ", expected ",
                      open.empty() ? "" : open.substr(open.size() - 1)));
      open.pop_back();
    }
    Add(TokenKind::symbol, std::string(next.substr(0, pair ? 2 : 1)));
    Move(at_ + (pair ? 2 : 1));
  }

  const std::string text_;
  const std::string_view source_;
  size_t at_ = 0;
  int line_ = 1;
  bool line_starting_ = true;
  std::vector<Token> tokens_;
};

} // namespace

std::vector<Token> Tokenize(std::string_view source) { return Lexer(source).Run(); }

} // namespace weft::jinja
