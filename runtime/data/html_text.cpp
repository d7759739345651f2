#include "runtime/data/html_text.h"

#include <algorithm>
#include <cstdint>
#include <iterator>
#include <map>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "runtime/data/unicode.h"

namespace weft {
namespace {

struct Entity {
  std::string_view name;
  uint32_t code_point;
};

#include "runtime/data/html_entities.inc"

constexpr std::string_view kBlockTags[] = {
    "address", "article", "aside", "blockquote", "body",       "caption", "center",  "dd",      "details",
    "div",     "dl",      "dt",    "fieldset",   "figcaption", "figure",  "footer",  "form",    "h1",
    "h2",      "h3",      "h4",    "h5",         "h6",         "header",  "hr",      "html",    "li",
    "main",    "nav",     "ol",    "option",     "p",          "pre",     "section", "summary", "table",
    "tbody",   "tfoot",   "thead", "tr",         "ul"};
constexpr std::string_view kTightTags[] = {"dd", "dt", "li", "tr"};
// Their content is no text at all: it ends at the closing tag, whatever stands between.
constexpr std::string_view kRawTags[] = {"script", "style",  "textarea", "title",
                                         "xmp",    "iframe", "noembed",  "noframes"};
constexpr std::string_view kDroppedTags[] = {"audio",  "button", "canvas", "datalist", "footer",
                                             "head",   "map",    "math",   "nav",      "noscript",
                                             "object", "select", "svg",    "template", "video"};
constexpr std::string_view kNavigationWords[] = {"breadcrumb", "breadcrumbs", "nav",       "navbar",
                                                 "navfooter",  "navheader",   "navigation"};

template <typename Range> bool IsOneOf(std::string_view name, const Range &names) {
  return std::find(std::begin(names), std::end(names), name) != std::end(names);
}

char Lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c; }
bool IsAlpha(char c) { return Lower(c) >= 'a' && Lower(c) <= 'z'; }
bool IsAlnum(char c) { return IsAlpha(c) || (c >= '0' && c <= '9'); }
bool IsBlank(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

std::string Lowered(std::string_view text) {
  std::string out(text);
  std::transform(out.begin(), out.end(), out.begin(), Lower);
  return out;
}

// The Windows-1252 characters 0x80 … 0x9f; the others are Latin-1's.
constexpr uint16_t kWindows1252[32] = {0x20ac, 0x81,   0x201a, 0x192,  0x201e, 0x2026, 0x2020, 0x2021,
                                       0x2c6,  0x2030, 0x160,  0x2039, 0x152,  0x8d,   0x17d,  0x8f,
                                       0x90,   0x2018, 0x2019, 0x201c, 0x201d, 0x2022, 0x2013, 0x2014,
                                       0x2dc,  0x2122, 0x161,  0x203a, 0x153,  0x9d,   0x17e,  0x178};

// Decodes the character reference at text[at] == '&' into `out` and returns its length, or 0 when it is none.
size_t DecodeEntity(std::string_view text, size_t at, std::string &out) {
  size_t i = at + 1;
  uint32_t point = 0;
  if (i < text.size() && text[i] == '#') {
    const bool hex = ++i < text.size() && Lower(text[i]) == 'x';
    const size_t first = i += hex;
    for (; i < text.size(); ++i) {
      const char c = Lower(text[i]);
      const int digit = c >= '0' && c <= '9' ? c - '0' : hex && c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
      if (digit < 0) break;
      point = std::min<uint32_t>(point * (hex ? 16 : 10) + static_cast<uint32_t>(digit), 0x110000);
    }
    if (i == first) return 0;
    if (point >= 0x80 && point < 0xa0) point = kWindows1252[point - 0x80];
    if (point == 0) point = 0xfffd;
  } else {
    while (i < text.size() && IsAlnum(text[i]) && i - at <= 10) ++i;
    const std::string_view name = text.substr(at + 1, i - at - 1);
    const auto it = std::lower_bound(std::begin(kEntities), std::end(kEntities), name,
                                     [](const Entity &e, std::string_view n) { return e.name < n; });
    if (it == std::end(kEntities) || it->name != name) return 0;
    point = it->code_point;
    // Without its semicolon "&copy" is still one, but "&ampere" was no match above and "?a=1&lt=2" is a
    // query.
    if (i == text.size() || text[i] != ';') {
      if (i < text.size() && text[i] == '=') return 0;
    }
  }
  if (i < text.size() && text[i] == ';') ++i;
  if (point == 0xa0) point = ' ';            // a space that only forbids a line break
  if (point != 0xad) AppendUtf8(point, out); // a place where a word may break
  return i - at;
}

struct Tag {
  std::string name; // lower case
  bool closing = false, link = false, navigation = false;
  size_t end = 0; // after '>'
};

// Whether a class, id or role has one of the words that say navigation: "book-navigation" has.
bool SaysNavigation(std::string_view value) {
  for (size_t at = 0; at < value.size();) {
    size_t end = at;
    while (end < value.size() && IsAlnum(value[end])) ++end;
    if (IsOneOf(Lowered(value.substr(at, end - at)), kNavigationWords)) return true;
    at = end + 1;
  }
  return false;
}

// Reads the tag at html[at] == '<'. Where there is none (it is cut off, or no name follows) returns false,
// and the text up to tag.end is to be taken as it is: going on from there keeps a page of broken tags linear.
bool ReadTag(std::string_view html, size_t at, Tag &tag) {
  size_t i = at + 1;
  tag = Tag();
  if (i < html.size() && html[i] == '/') tag.closing = true, ++i;
  tag.end = i;
  if (i >= html.size() || !IsAlpha(html[i])) return false;
  const size_t first = i;
  while (i < html.size() && !IsBlank(html[i]) && html[i] != '>' && html[i] != '/') ++i;
  tag.name = Lowered(html.substr(first, i - first));
  while (true) {
    while (i < html.size() && (IsBlank(html[i]) || html[i] == '/')) ++i;
    tag.end = i;
    if (i >= html.size()) return false;
    if (html[i] == '>') break;
    const size_t key_first = i++;
    while (i < html.size() && !IsBlank(html[i]) && html[i] != '=' && html[i] != '>' && html[i] != '/') ++i;
    const std::string key = Lowered(html.substr(key_first, i - key_first));
    size_t after = i;
    while (after < html.size() && IsBlank(html[after])) ++after;
    std::string_view value;
    if (after < html.size() && html[after] == '=') {
      i = after + 1;
      while (i < html.size() && IsBlank(html[i])) ++i;
      if (i < html.size() && (html[i] == '"' || html[i] == '\'')) {
        const size_t quote = html.find(html[i], i + 1);
        if (quote == html.npos) {
          tag.end = i + 1;
          return false;
        }
        value = html.substr(i + 1, quote - i - 1);
        i = quote + 1;
      } else {
        const size_t value_first = i;
        while (i < html.size() && !IsBlank(html[i]) && html[i] != '>') ++i;
        value = html.substr(value_first, i - value_first);
      }
    }
    if (key == "href") tag.link = tag.name == "a";
    if (key == "class" || key == "id" || key == "role") tag.navigation |= SaysNavigation(value);
  }
  // Only a block within the page can be navigation; what holds the whole page is not.
  tag.navigation &= IsOneOf(tag.name, kBlockTags) && tag.name != "html" && tag.name != "body" &&
                    tag.name != "main" && tag.name != "article";
  tag.end = i + 1;
  return true;
}

class Scanner {
public:
  Scanner(std::string_view html, bool drop_navigation) : html_(html), drop_navigation_(drop_navigation) {}

  std::vector<HtmlBlock> Run() {
    Tag tag;
    for (size_t at = 0; at < html_.size();) {
      const char c = html_[at];
      if (c == '<') {
        if (const size_t end = DeclarationEnd(at)) {
          at = end;
        } else if (ReadTag(html_, at, tag)) {
          at = Handle(tag);
        } else {
          Text(html_.substr(at, tag.end - at));
          at = tag.end;
        }
      } else if (c == '&') {
        decoded_.clear();
        const size_t length = DecodeEntity(html_, at, decoded_);
        Text(length ? std::string_view(decoded_) : "&");
        at += std::max<size_t>(length, 1);
      } else {
        size_t end = at;
        while (end < html_.size() && html_[end] != '<' && html_[end] != '&') ++end;
        Text(html_.substr(at, end - at));
        at = end;
      }
    }
    EndBlock();
    return std::move(blocks_);
  }

private:
  // The end of a comment, <!doctype> or <?xml?> at `at`, or 0.
  size_t DeclarationEnd(size_t at) {
    const std::string_view rest = html_.substr(at, 4);
    if (rest.size() < 2 || (rest[1] != '!' && rest[1] != '?')) return 0;
    const std::string_view closer = rest == "<!--" ? "-->" : ">";
    size_t &none_from =
        closer.size() == 3 ? no_comment_end_ : no_tag_end_; // found once, not searched for again
    const size_t end = at < none_from ? html_.find(closer, at + 2) : html_.npos;
    if (end != html_.npos) return end + closer.size();
    none_from = std::min(none_from, at);
    return std::min(html_.size(),
                    html_.find('\n', at)); // unclosed, it ends with its line: nothing after it is lost
  }

  // Acts on a tag and returns where to go on.
  size_t Handle(const Tag &tag) {
    const std::string_view name = tag.name;
    if (!tag.closing &&
        (IsOneOf(name, kRawTags) || IsOneOf(name, kDroppedTags) || (tag.navigation && drop_navigation_)))
      if (const size_t end = ElementEnd(tag)) {
        if (!IsOneOf(name, kRawTags)) EndBlock();
        return end;
      }
    if (name == "br") {
      Text("\n", true);
    } else if (name == "td" || name == "th" || name == "img") {
      Text(" ");
    } else if (name == "a") {
      in_link_ = !tag.closing && (tag.link || in_link_);
    } else if (IsOneOf(name, kBlockTags)) {
      EndBlock();
      if (name == "pre") preformatted_ = !tag.closing;
      tight_ = !tag.closing && IsOneOf(name, kTightTags);
    }
    return tag.end;
  }

  // The end of the element that `tag` opens, its own name nested, or 0 when nothing closes it: then it is not
  // dropped, so that a forgotten closing tag does not take the rest of the page along.
  size_t ElementEnd(const Tag &tag) {
    const auto [it, first_time] = last_close_.try_emplace(tag.name, 0);
    if (first_time) it->second = LastClose(tag.name);
    if (it->second <= tag.end) return 0;
    if (IsOneOf(tag.name, kRawTags)) return RawEnd(tag);
    int64_t depth = 1;
    Tag inner;
    for (size_t at = tag.end; (at = html_.find('<', at)) != html_.npos;) {
      if (const size_t end = DeclarationEnd(at)) {
        at = end;
        continue;
      }
      const bool is_tag = ReadTag(html_, at, inner);
      at = inner.end;
      if (!is_tag) continue;
      if (inner.name == tag.name && (depth += inner.closing ? -1 : 1) == 0) return inner.end;
      // A head that is never closed ends where the body starts.
      if (tag.name == "head" && inner.name == "body") return inner.end;
      if (!inner.closing && IsOneOf(inner.name, kRawTags))
        if (const size_t end = ElementEnd(inner)) at = end;
    }
    it->second = std::min(it->second, tag.end); // not closed from here on, so not searched for again
    return 0;
  }

  // After the first closing tag of a raw element, whatever stands before it.
  size_t RawEnd(const Tag &tag) {
    for (size_t at = tag.end; (at = html_.find("</", at)) != html_.npos; at += 2)
      if (Lowered(html_.substr(at + 2, tag.name.size())) == tag.name) {
        const size_t end = html_.find('>', at);
        return end == html_.npos ? html_.size() : end + 1;
      }
    return 0;
  }

  // After the start of the last closing tag of `name`, or 0.
  size_t LastClose(std::string_view name) const {
    if (name == "head") return html_.size(); // may be closed by <body>
    for (size_t at = html_.size(); at > 0 && (at = html_.rfind("</", at - 1)) != html_.npos;)
      if (Lowered(html_.substr(at + 2, name.size())) == name) return at + 1;
    return 0;
  }

  void Text(std::string_view text, bool line_break = false) {
    for (char c : text) {
      if (IsBlank(c) && !preformatted_ && !line_break) {
        // Collapsed, and none at a line's start.
        if (!text_.empty() && text_.back() != ' ' && text_.back() != '\n') text_ += ' ';
        continue;
      }
      if (c == '\r') continue;
      if (c == '\n')
        while (!text_.empty() && (text_.back() == ' ' || text_.back() == '\t')) text_.pop_back();
      text_ += c;
      if (IsAlnum(c) || (c & 0x80)) ++(in_link_ ? linked_ : plain_);
    }
  }

  void EndBlock() {
    const size_t first = preformatted_ ? text_.find_first_not_of("\n") : text_.find_first_not_of(" \n");
    const size_t last = text_.find_last_not_of(" \t\n");
    if (first != text_.npos && last != text_.npos) {
      blocks_.push_back(
          {text_.substr(first, last + 1 - first), tight_ && after_tight_, linked_ > 9 * plain_});
      after_tight_ = tight_;
    }
    text_.clear();
    linked_ = plain_ = 0;
    in_link_ = false; // a link that is not closed ends with its block
  }

  std::string_view html_;
  bool drop_navigation_;
  std::vector<HtmlBlock> blocks_;
  std::string text_, decoded_;     // the block so far; one entity
  int64_t linked_ = 0, plain_ = 0; // its letters and digits, within links and outside
  bool in_link_ = false, preformatted_ = false;
  bool tight_ = false, after_tight_ = false; // this block, and the one before, is an item of a list or a row
  size_t no_comment_end_ = std::string_view::npos, no_tag_end_ = std::string_view::npos; // none from there on
  std::map<std::string, size_t> last_close_; // by tag: no closing tag starts at or after it
};

// Where a page is not UTF-8 and says that it is a Western single-byte encoding, or says nothing: as UTF-8. A
// no-break space becomes a space.
std::string ToUtf8(std::string_view html) {
  const std::string start = Lowered(html.substr(0, 2048));
  const bool says_utf8 =
      start.find("charset=utf-8") != start.npos || start.find("charset=\"utf-8\"") != start.npos;
  const bool as_is = says_utf8 || IsValidUtf8(html);
  std::string out;
  out.reserve(html.size());
  for (size_t i = 0; i < html.size(); ++i) {
    const auto b = static_cast<uint8_t>(html[i]);
    const auto next = i + 1 < html.size() ? static_cast<uint8_t>(html[i + 1]) : 0;
    if (as_is && b == 0xc2 && next == 0xa0) {
      out += ' ';
      ++i;
    } else if (as_is) {
      out += html[i];
    } else if (b == 0xa0) {
      out += ' ';
    } else {
      AppendUtf8(b >= 0x80 && b < 0xa0 ? kWindows1252[b - 0x80] : b, out);
    }
  }
  return out;
}

size_t TextBytes(const std::vector<HtmlBlock> &blocks) {
  size_t bytes = 0;
  for (const HtmlBlock &b : blocks) bytes += b.text.size();
  return bytes;
}

} // namespace

std::vector<HtmlBlock> HtmlBlocks(std::string_view html) {
  const std::string page = ToUtf8(html);
  std::vector<HtmlBlock> without = Scanner(page, true).Run(), with = Scanner(page, false).Run();
  return 2 * TextBytes(without) < TextBytes(with) ? with : without;
}

std::vector<std::string> PagesToText(const std::vector<std::string_view> &pages) {
  std::vector<std::vector<HtmlBlock>> blocks;
  for (std::string_view page : pages) blocks.push_back(HtmlBlocks(page));

  absl::flat_hash_map<std::string, size_t> pages_with;
  for (const auto &page : blocks) {
    absl::flat_hash_set<std::string> seen;
    for (const HtmlBlock &b : page)
      if (seen.insert(b.text).second) ++pages_with[b.text];
  }

  std::vector<std::string> texts;
  for (const auto &page : blocks) {
    const auto is_prose = [](const HtmlBlock &b) { return !b.linked; };
    const auto first = std::find_if(page.begin(), page.end(), is_prose);
    const auto last = std::find_if(page.rbegin(), std::make_reverse_iterator(first), is_prose).base();
    std::string text;
    for (auto it = first; it != last;) {
      const auto run = std::find_if(it, last, is_prose); // the end of a run of links, empty at prose
      if (run - it >= 3) {
        it = run;
        continue;
      }
      if (pages.size() < 4 || 2 * pages_with[it->text] <= pages.size()) {
        if (!text.empty()) text += it->tight ? "\n" : "\n\n";
        text += it->text;
      }
      ++it;
    }
    if (!text.empty()) text += '\n';
    texts.push_back(std::move(text));
  }
  return texts;
}

} // namespace weft
