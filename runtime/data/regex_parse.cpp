// From a pattern's text to its tree.
#include <optional>

#include "runtime/data/regex.h"
#include "runtime/data/str_cat.h"
#include "runtime/data/unicode.h"

namespace weft {
namespace {

constexpr int kMaxNesting = 64, kMaxCount = 1000;

class Parser {
public:
  explicit Parser(std::string_view pattern) : text_(pattern) {}

  absl::StatusOr<RegexNode> Parse() {
    RegexNode node = Alternatives(0);
    if (error_.empty() && at_ < text_.size()) Refuse("a ) without its (");
    if (!error_.empty()) return absl::InvalidArgumentError(error_);
    return node;
  }

private:
  using Kind = RegexNode::Kind;

  // The first error stands; after it, everything is read as the end of the text.
  void Refuse(std::string_view what) {
    if (error_.empty()) error_ = StrCat(what, " at byte ", at_);
    at_ = text_.size();
  }
  bool AtEnd() const { return at_ >= text_.size(); }
  bool LooksAt(std::string_view s) const { return text_.substr(at_, s.size()) == s; }
  bool Take(std::string_view s) {
    if (!LooksAt(s)) return false;
    at_ += s.size();
    return true;
  }
  uint32_t TakeCodePoint() {
    if (AtEnd()) {
      Refuse("an end too early");
      return 0;
    }
    size_t length;
    const uint32_t point = DecodeUtf8(text_, at_, length);
    if (point == kInvalidCodePoint) {
      Refuse("a byte that is not UTF-8");
      return 0;
    }
    at_ += length;
    return point;
  }

  RegexNode Alternatives(int depth) {
    RegexNode node{.kind = Kind::kAlternatives};
    if (depth > kMaxNesting) {
      Refuse(StrCat("more than ", kMaxNesting, " groups in each other"));
      return node;
    }
    do node.parts.push_back(Sequence(depth));
    while (Take("|"));
    return node;
  }

  RegexNode Sequence(int depth) {
    RegexNode node{.kind = Kind::kSequence};
    const bool any_case = any_case_;
    uint32_t last_literal = 0; // for folding of two letters into one character
    while (!AtEnd() && !LooksAt("|") && !LooksAt(")")) {
      literal_ = 0;
      RegexNode atom = Atom(depth);
      if (any_case_ && literal_ && last_literal) RefuseLigatures(last_literal, literal_);
      const size_t before = at_;
      node.parts.push_back(Quantified(std::move(atom)));
      last_literal = before == at_ ? literal_ : 0;
    }
    any_case_ = any_case;
    return node;
  }

  // Without case, Oniguruma takes "ss" for a sharp s and the like.
  void RefuseLigatures(uint32_t a, uint32_t b) {
    const auto lower = [](uint32_t c) { return c >= 'A' && c <= 'Z' ? c + 32 : c; };
    a = lower(a), b = lower(b);
    if ((a == 's' && (b == 's' || b == 't')) || (a == 'f' && (b == 'f' || b == 'i' || b == 'l')))
      Refuse("letters without case that one character could stand for");
  }

  RegexNode Char(CharSet set) {
    RegexNode node{.kind = Kind::kChar};
    node.set = any_case_ ? set.WithBothCases() : std::move(set);
    return node;
  }

  RegexNode Literal(uint32_t point) {
    if (any_case_ && point >= 128) Refuse("a letter beyond ASCII without case");
    literal_ = point;
    return Char(CharSet::Of(point, point));
  }

  RegexNode Assert(Regex::Instruction::Op op) {
    RegexNode node{.kind = Kind::kAssert};
    node.assertion = op;
    return node;
  }

  RegexNode Atom(int depth) {
    using Op = Regex::Instruction::Op;
    if (Take("(")) return Group(depth);
    if (Take("[")) return Char(Class(0));
    if (Take(".")) return Char(CharSet::Of('\n', '\n').Complement());
    if (Take("^")) return Assert(Op::kLineStart);
    if (Take("$")) return Assert(Op::kLineEnd);
    if (Take("\\A")) return Assert(Op::kTextStart);
    if (Take("\\z")) return Assert(Op::kTextEnd);
    if (LooksAt("*") || LooksAt("+") || LooksAt("?")) {
      Refuse("a repetition of nothing");
      return {};
    }
    if (LooksAt("\\")) {
      if (std::optional<CharSet> set = EscapedSet()) return Char(*std::move(set));
      return Literal(EscapedPoint());
    }
    return Literal(TakeCodePoint());
  }

  RegexNode Group(int depth) {
    const bool any_case = any_case_;
    RegexNode node;
    if (Take("?:")) {
      node = Alternatives(depth + 1);
    } else if (LooksAt("?=") || LooksAt("?!")) {
      node.kind = Kind::kLook;
      node.negative = text_[at_ + 1] == '!';
      at_ += 2;
      node.parts.push_back(Alternatives(depth + 1));
    } else if (LooksAt("?i:") || LooksAt("?-i:")) {
      any_case_ = text_[at_ + 1] == 'i';
      at_ += any_case_ ? 3 : 4;
      node = Alternatives(depth + 1);
    } else if (LooksAt("?")) {
      Refuse(StrCat("(", text_.substr(at_, LooksAt("?<") ? 3 : 2), ", which is not read"));
    } else {
      node = Alternatives(depth + 1);
    }
    any_case_ = any_case;
    if (!Take(")")) Refuse("a ( without its )");
    literal_ = 0;
    return node;
  }

  RegexNode Quantified(RegexNode atom) {
    int least = 1, most = 1;
    const size_t begin = at_;
    const bool counted = LooksAt("{");
    if (Take("*"))
      least = 0, most = -1;
    else if (Take("+"))
      most = -1;
    else if (Take("?"))
      least = 0;
    else if (!counted || !Count(least, most))
      return atom;
    if (atom.kind == Kind::kLook || atom.kind == Kind::kAssert || (most != 1 && atom.MayBeEmpty()))
      Refuse("a repetition of what may be empty");
    RegexNode node{.kind = Kind::kRepeat};
    node.least = least, node.most = most;
    if (counted) { // what follows means something else there: {n,m}+ is a repetition of it, {n}? an option
      if (LooksAt("+") || (least == most && LooksAt("?"))) Refuse("a repetition of a repetition");
      node.lazy = Take("?");
    } else {
      node.lazy = Take("?");
      node.possessive = !node.lazy && Take("+");
    }
    if (LooksAt("*") || LooksAt("+") || LooksAt("?")) Refuse("a repetition of a repetition");
    if (LooksAt("{")) {
      int a, b;
      if (Count(a, b)) Refuse("a repetition of a repetition");
    }
    if (node.possessive && atom.kind != Kind::kChar)
      Refuse(StrCat("the possessive ", text_.substr(begin, 2), " of more than one character"));
    node.parts.push_back(std::move(atom));
    return node;
  }

  // {n} {n,} {,m} {n,m}, or false and nothing taken: a { that is none of these is a letter.
  bool Count(int &least, int &most) {
    const size_t begin = at_++;
    const std::optional<int> a = Number();
    const bool comma = Take(",");
    const std::optional<int> b = comma ? Number() : a;
    if (!Take("}") || (!a && !b)) {
      at_ = begin;
      return false;
    }
    least = a.value_or(0), most = b.value_or(-1);
    if (least > kMaxCount || most > kMaxCount) Refuse(StrCat("a count over ", kMaxCount));
    if (most >= 0 && least > most) Refuse("a count whose end is below its start");
    return true;
  }

  std::optional<int> Number() {
    std::optional<int> n;
    while (!AtEnd() && text_[at_] >= '0' && text_[at_] <= '9') {
      n = std::min(n.value_or(0) * 10 + (text_[at_] - '0'), kMaxCount + 1);
      ++at_;
    }
    return n;
  }

  // \s and the like; nothing, and nothing taken, when the escape is one character.
  std::optional<CharSet> EscapedSet() {
    const char c = at_ + 1 < text_.size() ? text_[at_ + 1] : 0;
    CharSet set;
    switch (c | 0x20) {
    case 's':
      set = CharSet::OfCategories(kSpaces);
      break;
    case 'd':
      set = CharSet::OfCategories(1 << kNd);
      break;
    case 'w':
      set = CharSet::WordCharacters();
      break;
    case 'h':
      set = CharSet::Of('0', '9');
      set.Add('a', 'f');
      set.Add('A', 'F');
      break;
    case 'p':
      return Property();
    default:
      return std::nullopt;
    }
    at_ += 2;
    return c & 0x20 ? set : set.Complement();
  }

  CharSet Property() {
    bool negative = text_[at_ + 1] == 'P';
    at_ += 2;
    const size_t close = text_.find('}', at_);
    if (!Take("{") || close == text_.npos) {
      Refuse("\\p without its {…}");
      return {};
    }
    if (Take("^")) negative = !negative;
    const std::string_view name = text_.substr(at_, close - at_);
    const std::optional<CharSet> set = CharSet::Named(name);
    if (any_case_) Refuse("\\p without case");
    if (!set) {
      Refuse(StrCat("\\p{", name.substr(0, 40), "}, which is not read"));
      return {};
    }
    at_ = close + 1;
    return negative ? set->Complement() : *set;
  }

  // An escape that is one character.
  uint32_t EscapedPoint() {
    ++at_;
    if (AtEnd()) {
      Refuse("a \\ at the end");
      return 0;
    }
    const char c = text_[at_];
    static constexpr std::string_view kNames = "tnrfvae", kPoints = "\t\n\r\f\v\a\x1b";
    if (const size_t i = kNames.find(c); i != kNames.npos) {
      ++at_;
      return static_cast<uint8_t>(kPoints[i]);
    }
    if (c == 'x' || c == 'u') return Hexadecimal();
    if ((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')) {
      Refuse(StrCat("\\", text_.substr(at_, 1), ", which is not read"));
      return 0;
    }
    return TakeCodePoint();
  }

  uint32_t Hexadecimal() {
    const bool u = text_[at_++] == 'u', braces = !u && Take("{");
    const size_t most = u ? 4 : braces ? 8 : 2;
    uint32_t point = 0;
    size_t digits = 0;
    for (; digits < most && !AtEnd(); ++digits, ++at_) {
      const char c = text_[at_], l = static_cast<char>(c | 0x20);
      if (c >= '0' && c <= '9')
        point = point * 16 + static_cast<uint32_t>(c - '0');
      else if (l >= 'a' && l <= 'f')
        point = point * 16 + static_cast<uint32_t>(l - 'a' + 10);
      else
        break;
    }
    const bool closed = !braces || Take("}");
    const bool whole = digits > 0 && closed && (!u || digits == 4);
    // \x80 to \xff would be a byte of a sequence
    if (!whole || point > CharSet::kLast || (point >= 0xd800 && point <= 0xdfff) ||
        (!u && !braces && point > 127)) {
      Refuse("a number that is no code point");
      return 0;
    }
    return point;
  }

  // After its [.
  CharSet Class(int depth) {
    if (depth > kMaxNesting) {
      Refuse("too many classes in each other");
      return {};
    }
    const bool negative = Take("^");
    if (LooksAt("]")) Refuse("a class that starts with ]"); // empty to some engines, a letter to others
    CharSet set, before;                                    // of what follows the last &&, and all before it
    bool intersects = false;
    while (!Take("]")) {
      if (AtEnd()) {
        Refuse("a [ without its ]");
        break;
      }
      if (Take("&&")) {
        before = intersects ? before.Intersection(set) : set;
        set = CharSet(), intersects = true;
      } else if (LooksAt("[:")) {
        Refuse("a class by name, [:…:], which is not read");
      } else if (Take("[")) {
        set.Add(Class(depth + 1));
      } else {
        ClassItem(set);
      }
    }
    if (intersects) set = before.Intersection(set);
    return negative ? set.Complement() : set;
  }

  void ClassItem(CharSet &set) {
    if (LooksAt("\\"))
      if (const std::optional<CharSet> escaped = EscapedSet()) {
        set.Add(*escaped);
        if (LooksAt("-") && !LooksAt("-]")) Refuse("a range that starts with a class");
        return;
      }
    const uint32_t first = LooksAt("\\") ? EscapedPoint() : TakeCodePoint();
    uint32_t last = first;
    if (LooksAt("-") && !LooksAt("-]")) {
      ++at_;
      if (LooksAt("[") || LooksAt("&&")) Refuse("a range without its end");
      if (LooksAt("\\") && EscapedSet()) Refuse("a range that ends with a class");
      last = LooksAt("\\") ? EscapedPoint() : TakeCodePoint();
      if (last < first) Refuse("a range whose end is below its start");
    }
    if (any_case_ && last >= 128) Refuse("a letter beyond ASCII without case");
    if (error_.empty()) set.Add(first, last);
  }

  std::string_view text_;
  size_t at_ = 0;
  std::string error_;
  bool any_case_ = false;
  uint32_t literal_ = 0; // the last atom, where it was a letter
};

} // namespace

bool RegexNode::MayBeEmpty() const {
  switch (kind) {
  case Kind::kChar:
    return false;
  case Kind::kRepeat:
    return least == 0 || parts[0].MayBeEmpty();
  case Kind::kSequence:
    for (const RegexNode &p : parts)
      if (!p.MayBeEmpty()) return false;
    return true;
  case Kind::kAlternatives:
    for (const RegexNode &p : parts)
      if (p.MayBeEmpty()) return true;
    return false;
  default:
    return true;
  }
}

absl::StatusOr<RegexNode> ParseRegex(std::string_view pattern) { return Parser(pattern).Parse(); }

} // namespace weft
