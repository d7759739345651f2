// Values from JSON, and json.dumps.
#include <algorithm>
#include <cmath>

#include "absl/strings/str_format.h"
#include "runtime/data/str_cat.h"
#include "runtime/data/unicode.h"
#include "runtime/text/jinja_value.h"
#include "runtime/text/python_text.h"

namespace weft::jinja {

Value FromJson(const nlohmann::ordered_json &json, Budget &budget) {
  Deeper deeper(budget);
  using Type = nlohmann::detail::value_t;
  auto text = [&](const std::string &s) {
    if (!IsValidUtf8(s)) Fail("a text is not valid UTF-8");
    return Value::Text(s, budget);
  };
  switch (json.type()) {
  case Type::boolean:
    return Value::Bool(json.get<bool>());
  case Type::number_integer:
    return Value::Integer(json.get<int64_t>());
  case Type::number_unsigned:
    if (json.get<uint64_t>() > INT64_MAX)
      Fail(StrCat("the number ", json.get<uint64_t>(), " is beyond 64 bits"));
    return Value::Integer(json.get<int64_t>());
  case Type::number_float:
    return Value::Real(json.get<double>());
  case Type::string:
    return text(json.get_ref<const std::string &>());
  case Type::array: {
    List items;
    for (const auto &element : json) items.push_back(FromJson(element, budget));
    return MakeSequence(Kind::list, std::move(items), budget);
  }
  case Type::object: {
    auto dict = std::make_shared<Dict>();
    for (const auto &[key, element] : json.items()) dict->Set(text(key), FromJson(element, budget), budget);
    return Value::Of(Kind::dict, std::move(dict));
  }
  default:
    return Value::None();
  }
}

namespace {

class JsonWriter {
public:
  JsonWriter(const JsonStyle &style, Budget &budget) : style_(style), budget_(budget) {}
  std::string out;

  void Write(const Value &value) {
    Deeper deeper(budget_);
    budget_.Charge(1);
    switch (value.kind) {
    case Kind::string:
      return Quote(value.text());
    case Kind::none:
      return Add("null");
    case Kind::boolean:
      return Add(value.integer ? "true" : "false");
    case Kind::integer:
      return Add(StrCat(value.integer));
    case Kind::real:
      return Add(Real(value.real));
    case Kind::list:
    case Kind::tuple: {
      const List &items = value.sequence().items;
      Open('[');
      for (size_t i = 0; i < items.size(); ++i) {
        if (i > 0) Add(style_.item_separator);
        Line();
        Write(items[i]);
      }
      return Close(']', items.empty());
    }
    case Kind::dict:
      return WriteDict(value.dict());
    default:
      Fail(StrCat("a value of type '", KindName(value), "' has no JSON",
                  value.IsSequence() ? "\nhint: | list makes a list of it" : ""));
    }
  }

private:
  static std::string Real(double value) {
    if (std::isnan(value)) return "NaN";
    if (std::isinf(value)) return value < 0 ? "-Infinity" : "Infinity";
    return python::Repr(value);
  }
  static std::string KeyText(const Value &key) {
    if (key.Is(Kind::string)) return key.text();
    if (key.Is(Kind::none)) return "null";
    if (key.Is(Kind::boolean)) return key.integer ? "true" : "false";
    if (key.Is(Kind::integer)) return StrCat(key.integer);
    if (key.Is(Kind::real)) return Real(key.real);
    Fail(StrCat("a key of type '", KindName(key), "' has no JSON"));
  }
  void WriteDict(const Dict &dict) {
    std::vector<const std::pair<Value, Value> *> entries;
    for (const auto &entry : dict.entries) entries.push_back(&entry);
    budget_.Charge(static_cast<int64_t>(entries.size()));
    if (style_.sort_keys)
      std::stable_sort(entries.begin(), entries.end(),
                       [&](const auto *a, const auto *b) { return Less(a->first, b->first, budget_); });
    Open('{');
    for (size_t i = 0; i < entries.size(); ++i) {
      if (i > 0) Add(style_.item_separator);
      Line();
      Quote(KeyText(entries[i]->first));
      Add(style_.key_separator);
      Write(entries[i]->second);
    }
    Close('}', entries.empty());
  }
  void Open(char c) { Add({&c, 1}), ++level_; }
  void Close(char c, bool empty) {
    --level_;
    if (!empty) Line();
    Add({&c, 1});
  }
  void Line() {
    if (!style_.indented) return;
    Add("\n");
    for (int i = 0; i < level_; ++i) Add(style_.indent);
  }
  void Add(std::string_view text) {
    budget_.Charge(static_cast<int64_t>(text.size() / 32));
    if (out.size() + text.size() > budget_.limits.text_bytes) budget_.ChargeText(out.size() + text.size());
    out += text;
  }
  void Quote(std::string_view text) {
    Add("\"");
    std::string quoted;
    for (size_t i = 0, length; i < text.size(); i += length) {
      const uint32_t c = DecodeUtf8(text, i, length);
      static constexpr std::string_view special = "\"\\\n\r\t\f\b", letters = "\"\\nrtfb";
      if (const size_t at = c < 0x80 ? special.find(static_cast<char>(c)) : special.npos; at != special.npos)
        quoted += '\\', quoted += letters[at];
      else if (c < 0x20 || (style_.ascii && c >= 0x80 && c < 0x10000))
        quoted += absl::StrFormat("\\u%04x", c);
      else if (style_.ascii && c >= 0x10000)
        quoted += absl::StrFormat("\\u%04x\\u%04x", 0xd800 + ((c - 0x10000) >> 10),
                                  0xdc00 + ((c - 0x10000) & 0x3ff));
      else
        quoted += text.substr(i, length);
    }
    Add(quoted);
    Add("\"");
  }

  const JsonStyle &style_;
  Budget &budget_;
  int level_ = 0;
};

} // namespace

std::string ToJson(const Value &value, const JsonStyle &style, Budget &budget) {
  JsonWriter writer(style, budget);
  writer.Write(value);
  return std::move(writer.out);
}

} // namespace weft::jinja
