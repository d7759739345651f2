// Methods of strings, dicts and lists, and the functions of the language.
#include <algorithm>
#include <functional>

#include "runtime/data/str_cat.h"
#include "runtime/text/jinja_evaluator.h"
#include "runtime/text/jinja_functions.h"
#include "runtime/text/python_text.h"

namespace weft::jinja {
namespace {

using Text = const std::string &;

Value TextOf(Evaluator &evaluator, std::string_view text) {
  return Value::Text(std::string(text), evaluator.budget);
}

Value Texts(Evaluator &evaluator, const std::vector<std::string_view> &parts, Kind kind = Kind::list) {
  List items;
  for (std::string_view part : parts) items.push_back(TextOf(evaluator, part));
  return MakeSequence(kind, std::move(items), evaluator.budget);
}

template <bool left, bool right> Value StripMethod(Evaluator &evaluator, Text self, const Bound &given) {
  const auto chars = given.Text(0);
  return TextOf(evaluator, python::Strip(self, chars ? std::optional<std::string_view>(*chars) : std::nullopt,
                                         left, right));
}

template <auto split> Value SplitMethod(Evaluator &evaluator, Text self, const Bound &given) {
  const auto separator = given.Text(0);
  if (separator && separator->empty()) Fail("split with an empty separator");
  const int64_t most = given.Integer(1, -1);
  evaluator.budget.Charge(static_cast<int64_t>(self.size()));
  return Texts(evaluator,
               split(self, separator ? std::optional<std::string_view>(*separator) : std::nullopt, most));
}

// startswith and endswith: one text, or a tuple of which any will do.
template <bool start> Value AffixMethod(Evaluator &, Text self, const Bound &given) {
  auto matches = [&](const Value &affix) {
    if (!affix.Is(Kind::string))
      Fail(StrCat("a text cannot start or end with a value of type '", KindName(affix), "'"));
    Text text = affix.text();
    if (text.size() > self.size()) return false;
    return self.compare(start ? 0 : self.size() - text.size(), text.size(), text) == 0;
  };
  if (!given[0].Is(Kind::tuple)) return Value::Bool(matches(given[0]));
  for (const Value &affix : given[0].sequence().items)
    if (matches(affix)) return Value::Bool(true);
  return Value::Bool(false);
}

template <bool start> Value RemoveMethod(Evaluator &evaluator, Text self, const Bound &given) {
  const bool has = !given.Text(0)->empty() && AffixMethod<start>(evaluator, self, given).integer;
  const size_t length = has ? given[0].text().size() : 0;
  return TextOf(evaluator, std::string_view(self).substr(start ? length : 0, self.size() - length));
}

Value ReplaceMethod(Evaluator &evaluator, Text self, const Bound &given) {
  const std::string from = *given.Text(0), to = *given.Text(1);
  const int64_t most = given.Integer(2, -1), count = python::CountOf(self, from, most);
  size_t bytes = 0;
  if (__builtin_mul_overflow(static_cast<size_t>(count), to.size(), &bytes) || bytes > SIZE_MAX / 2)
    bytes = SIZE_MAX / 2;
  evaluator.budget.ChargeText(self.size() - static_cast<size_t>(count) * from.size() + bytes);
  evaluator.budget.Charge(static_cast<int64_t>(self.size()));
  return Value::Constant(python::Replace(self, from, to, most));
}

Value JoinMethod(Evaluator &evaluator, Text self, const Bound &given) {
  std::string out;
  bool first = true;
  for (const Value &item : Iterate(given[0], evaluator.budget)) {
    if (!item.Is(Kind::string)) Fail(StrCat("join takes texts, got '", KindName(item), "'"));
    if (!std::exchange(first, false)) out += self;
    out += item.text();
    evaluator.budget.ChargeText(out.size());
  }
  return TextOf(evaluator, out);
}

template <bool right, bool must> Value FindText(Evaluator &evaluator, Text self, const Bound &given) {
  const std::string part = *given.Text(0);
  evaluator.budget.Charge(static_cast<int64_t>(self.size() / 4));
  const size_t at = right ? self.rfind(part) : self.find(part);
  if (at == self.npos && must) Fail("a text that is looked for with index is not there");
  return Value::Integer(at == self.npos ? -1 : python::Length(std::string_view(self).substr(0, at)));
}

template <bool right> Value PartitionMethod(Evaluator &evaluator, Text self, const Bound &given) {
  const std::string part = *given.Text(0);
  if (part.empty()) Fail("partition with an empty separator");
  const std::string_view text = self;
  const size_t at = right ? text.rfind(part) : text.find(part);
  if (at == text.npos)
    return Texts(evaluator,
                 right ? std::vector<std::string_view>{"", "", text}
                       : std::vector<std::string_view>{text, "", ""},
                 Kind::tuple);
  return Texts(evaluator, {text.substr(0, at), part, text.substr(at + part.size())}, Kind::tuple);
}

template <auto change> Value Changed(Evaluator &evaluator, Text self, const Bound &) {
  evaluator.budget.Charge(static_cast<int64_t>(self.size()) / 8);
  return TextOf(evaluator, change(self));
}
template <auto holds> Value Whether(Evaluator &evaluator, Text self, const Bound &) {
  evaluator.budget.Charge(static_cast<int64_t>(self.size()) / 8);
  return Value::Bool(holds(self));
}
template <auto of> Value All(Evaluator &evaluator, Text self, const Bound &) {
  evaluator.budget.Charge(static_cast<int64_t>(self.size()) / 8);
  return Value::Bool(python::IsAll(self, of));
}

struct StringMethod {
  const char *name, *parameters;
  Value (*call)(Evaluator &, Text self, const Bound &);
};
const StringMethod kStringMethods[] = {
    {"strip", "chars", StripMethod<true, true>},
    {"lstrip", "chars", StripMethod<true, false>},
    {"rstrip", "chars", StripMethod<false, true>},
    {"split", "sep,maxsplit", SplitMethod<python::Split>},
    {"rsplit", "sep,maxsplit", SplitMethod<python::RightSplit>},
    {"splitlines", "keepends",
     [](Evaluator &e, Text self, const Bound &given) {
       e.budget.Charge(static_cast<int64_t>(self.size()));
       return Texts(e, python::SplitLines(self, given.Flag(0)));
     }},
    {"startswith", "prefix", AffixMethod<true>},
    {"endswith", "suffix", AffixMethod<false>},
    {"removeprefix", "prefix", RemoveMethod<true>},
    {"removesuffix", "suffix", RemoveMethod<false>},
    {"replace", "old,new,count", ReplaceMethod},
    {"join", "iterable", JoinMethod},
    {"find", "sub", FindText<false, false>},
    {"rfind", "sub", FindText<true, false>},
    {"index", "sub", FindText<false, true>},
    {"rindex", "sub", FindText<true, true>},
    {"count", "sub",
     [](Evaluator &e, Text self, const Bound &given) {
       e.budget.Charge(static_cast<int64_t>(self.size()) / 4);
       return Value::Integer(python::CountOf(self, *given.Text(0)));
     }},
    {"partition", "sep", PartitionMethod<false>},
    {"rpartition", "sep", PartitionMethod<true>},
    {"upper", "", Changed<python::Upper>},
    {"lower", "", Changed<python::Lower>},
    {"title", "", Changed<python::Title>},
    {"capitalize", "", Changed<python::Capitalize>},
    {"isupper", "", Whether<python::IsUpper>},
    {"islower", "", Whether<python::IsLower>},
    {"isspace", "", All<python::IsSpace>},
    {"isdigit", "", All<python::IsDigit>},
    {"isalpha", "", All<python::IsAlpha>},
    {"isalnum", "", All<python::IsAlnum>},
};

// Names that Python's types have and that are not read.
const std::vector<std::string_view> kStringRefused = {
    "casefold", "center",    "encode",    "expandtabs",   "format",      "format_map",
    "isascii",  "isdecimal", "isnumeric", "isidentifier", "isprintable", "istitle",
    "ljust",    "maketrans", "rjust",     "swapcase",     "translate",   "zfill"};
const std::vector<std::string_view> kNumberRefused = {
    "as_integer_ratio", "bit_count", "bit_length", "conjugate", "denominator", "from_bytes", "imag",
    "numerator",        "real",      "to_bytes",   "fromhex",   "hex",         "is_integer"};

bool Among(const std::vector<std::string_view> &names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

Value CallDictMethod(Evaluator &evaluator, const Value &self, const std::string &name,
                     const Arguments &arguments) {
  const Dict &dict = self.dict();
  if (name == "get") {
    const Bound given("get", "key,default", arguments);
    const Value *found = dict.Find(given[0]);
    return found ? *found : given.Or(1, Value::None());
  }
  const Bound none(name, "", arguments);
  if (name == "copy") return self;
  List items;
  for (const auto &[key, value] : dict.entries)
    items.push_back(name == "keys"     ? key
                    : name == "values" ? value
                                       : MakeSequence(Kind::tuple, {key, value}, evaluator.budget));
  return MakeSequence(Kind::view, std::move(items), evaluator.budget);
}

Value CallListMethod(Evaluator &evaluator, const Value &self, const std::string &name,
                     const Arguments &arguments) {
  if (name == "copy") {
    const Bound none(name, "", arguments);
    return self;
  }
  const Bound given(name, "value", arguments);
  const List &items = self.sequence().items;
  int64_t count = 0;
  for (size_t i = 0; i < items.size(); ++i) {
    if (!Equal(items[i], given[0], evaluator.budget)) continue;
    if (name == "index") return Value::Integer(static_cast<int64_t>(i));
    ++count;
  }
  if (name == "index") Fail("a value that is looked for with index is not in the list");
  return Value::Integer(count);
}

Value Range(Evaluator &evaluator, const Arguments &arguments) {
  if (!arguments.keywords.empty() || arguments.positional.empty() || arguments.positional.size() > 3)
    Fail("range takes one to three whole numbers");
  int64_t parts[3] = {0, 0, 1};
  const size_t given = arguments.positional.size();
  for (size_t i = 0; i < given; ++i) {
    const Value &part = arguments.positional[i];
    if (!part.IsWhole()) Fail(StrCat("range takes whole numbers, got '", KindName(part), "'"));
    parts[given == 1 ? 1 : i] = part.integer;
  }
  const auto [begin, end, step] = parts;
  if (step == 0) Fail("the step of range is 0");
  const bool any = step > 0 ? begin < end : begin > end;
  const uint64_t span = step > 0 ? static_cast<uint64_t>(end) - static_cast<uint64_t>(begin)
                                 : static_cast<uint64_t>(begin) - static_cast<uint64_t>(end),
                 stride = step > 0 ? static_cast<uint64_t>(step) : -static_cast<uint64_t>(step);
  const uint64_t count = any ? (span - 1) / stride + 1 : 0;
  if (count > static_cast<uint64_t>(evaluator.budget.limits.range))
    throw Error{
        StrCat("a range has ", count, " numbers when ", evaluator.budget.limits.range, " is the most"), 0,
        false, true};
  List items;
  for (uint64_t i = 0; i < count; ++i)
    items.push_back(
        Value::Integer(static_cast<int64_t>(static_cast<uint64_t>(begin) + i * static_cast<uint64_t>(step))));
  return MakeSequence(Kind::range, std::move(items), evaluator.budget);
}

} // namespace

std::optional<Value> FindMethod(const Value &object, const std::string &name) {
  auto method = [&] {
    auto made = std::make_shared<Method>();
    made->self = object, made->name = name;
    return Value::Of(Kind::method, std::move(made));
  };
  auto unsafe = [&] {
    return Value::Undefined(StrCat("a template may not use ", name.substr(0, 100), " of a value of type '",
                                   KindName(object), "'"));
  };
  if (name.size() > 4 && name.rfind("__", 0) == 0 && name.compare(name.size() - 2, 2, "__") == 0)
    return unsafe();
  bool refused = false;
  switch (object.kind) {
  case Kind::string:
    for (const StringMethod &m : kStringMethods)
      if (name == m.name) return method();
    refused = Among(kStringRefused, name);
    break;
  case Kind::dict:
    if (Among({"get", "items", "keys", "values", "copy"}, name)) return method();
    if (Among({"clear", "pop", "popitem", "setdefault", "update"}, name)) return unsafe();
    refused = name == "fromkeys";
    break;
  case Kind::list:
    if (Among({"append", "clear", "extend", "insert", "pop", "remove", "reverse", "sort"}, name))
      return unsafe();
    if (name == "copy") return method();
    [[fallthrough]];
  case Kind::tuple:
    if (Among({"count", "index"}, name)) return method();
    break;
  case Kind::boolean:
  case Kind::integer:
  case Kind::real:
    refused = Among(kNumberRefused, name);
    break;
  case Kind::range:
    refused = Among({"start", "stop", "step", "count", "index"}, name);
    break;
  case Kind::view:
    refused = Among({"isdisjoint", "mapping"}, name);
    break;
  case Kind::macro:
    refused =
        Among({"name", "arguments", "catch_kwargs", "catch_varargs", "caller", "explicit_caller"}, name);
    break;
  default:
    break;
  }
  if (refused) Fail(StrCat(name, " of a value of type '", KindName(object), "' is not read"));
  return std::nullopt;
}

Value CallMethod(Evaluator &evaluator, const Method &method, const Arguments &arguments) {
  if (method.self.Is(Kind::dict)) return CallDictMethod(evaluator, method.self, method.name, arguments);
  if (!method.self.Is(Kind::string)) return CallListMethod(evaluator, method.self, method.name, arguments);
  if (method.self.markup) Fail(StrCat(method.name, " of a text that passed through safe is not read"));
  for (const StringMethod &m : kStringMethods)
    if (method.name == m.name) {
      evaluator.budget.ChargeText(method.self.text().size());
      return m.call(evaluator, method.self.text(), Bound(m.name, m.parameters, arguments));
    }
  Fail(StrCat(method.name, " is not read"));
}

bool IsFunction(std::string_view name) {
  return Among({"range", "dict", "namespace", "raise_exception", "strftime_now"}, name);
}

Value CallFunction(Evaluator &evaluator, const std::string &name, const Arguments &arguments) {
  if (name == "range") return Range(evaluator, arguments);
  if (name == "namespace") return evaluator.MakeNamespace(arguments);
  if (name == "dict") {
    auto dict = std::make_shared<Dict>();
    if (arguments.positional.size() > 1) Fail("dict takes one dict, and named values");
    for (const Value &from : arguments.positional) {
      if (!from.Is(Kind::dict)) Fail(StrCat("dict takes a dict, got '", KindName(from), "'"));
      for (const auto &[key, value] : from.dict().entries) dict->Set(key, value, evaluator.budget);
    }
    for (const auto &[key, value] : arguments.keywords)
      dict->Set(Value::Constant(key), value, evaluator.budget);
    return Value::Of(Kind::dict, std::move(dict));
  }
  if (name == "strftime_now")
    return TextOf(evaluator, evaluator.FormatNow(*Bound(name, "format", arguments).Text(0)));
  const Bound given(name, "message", arguments);
  throw Error{ToText(given[0], evaluator.budget).substr(0, 4096), evaluator.line(), true};
}

} // namespace weft::jinja
