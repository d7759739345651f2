// Filters of lists and dicts.
#include <algorithm>
#include <unordered_set>

#include "runtime/data/str_cat.h"
#include "runtime/text/jinja_evaluator.h"
#include "runtime/text/jinja_functions.h"
#include "runtime/text/python_text.h"

namespace weft::jinja {
namespace {

Value Generator(Evaluator &evaluator, List items) {
  return MakeSequence(Kind::generator, std::move(items), evaluator.budget);
}

// Looks up "a.b.0" in an item, as its subscripts would.
class AttributePath {
public:
  explicit AttributePath(const Value &attribute) {
    if (attribute.Is(Kind::none)) return;
    if (!attribute.Is(Kind::string)) {
      parts_.push_back(attribute);
      return;
    }
    for (std::string_view part : python::Split(attribute.text(), ".", -1)) {
      const auto number = python::IsAll(part, python::IsDigit) ? python::ToInteger(part, 10) : std::nullopt;
      parts_.push_back(number ? Value::Integer(*number) : Value::Constant(std::string(part)));
    }
  }
  Value Of(Evaluator &evaluator, Value item, const Value *fallback = nullptr) const {
    for (const Value &part : parts_) {
      item = GetItem(evaluator, item, part);
      if (fallback && !fallback->Is(Kind::none) && item.Is(Kind::undefined)) item = *fallback;
    }
    return item;
  }

private:
  List parts_;
};

// A text in lower case, where case does not count.
Value KeyFor(Evaluator &evaluator, const Value &value, bool case_sensitive) {
  if (case_sensitive || !value.Is(Kind::string)) return value;
  return Value::Text(python::Lower(value.text()), evaluator.budget);
}

Value Length(Evaluator &evaluator, const Value &input, const Bound &) {
  switch (input.kind) {
  case Kind::undefined:
    return Value::Integer(0);
  case Kind::string:
    evaluator.budget.Charge(static_cast<int64_t>(input.text().size() / 32));
    return Value::Integer(python::Length(input.text()));
  case Kind::list:
  case Kind::tuple:
  case Kind::range:
  case Kind::view:
    return Value::Integer(static_cast<int64_t>(input.sequence().items.size()));
  case Kind::dict:
    return Value::Integer(static_cast<int64_t>(input.dict().entries.size()));
  default:
    Fail(StrCat("a value of type '", KindName(input), "' has no length",
                input.Is(Kind::generator) ? "\nhint: | list makes a list of it" : ""));
  }
}

Value First(Evaluator &evaluator, const Value &input, const Bound &) {
  const auto items = Iterate(input, evaluator.budget);
  return items.size() == 0 ? Value::Undefined("there is no first element") : items[0];
}

Value Last(Evaluator &evaluator, const Value &input, const Bound &) {
  if (input.Is(Kind::generator))
    Fail("last does not take what another filter gives\nhint: | list makes a list of it");
  const auto items = Iterate(input, evaluator.budget);
  return items.size() == 0 ? Value::Undefined("there is no last element") : items[items.size() - 1];
}

Value ListFilter(Evaluator &evaluator, const Value &input, const Bound &) {
  const Elements items = Iterate(input, evaluator.budget);
  return MakeSequence(Kind::list, List(items.begin(), items.end()), evaluator.budget);
}

Value Join(Evaluator &evaluator, const Value &input, const Bound &given) {
  Budget &budget = evaluator.budget;
  const std::string between = given.Has(0) ? ToText(given[0], budget) : "";
  const AttributePath path(given.Or(1, Value::None()));
  std::string out;
  bool first = true;
  for (const Value &item : Iterate(input, budget)) {
    if (!std::exchange(first, false)) out += between;
    out += ToText(path.Of(evaluator, item), budget);
    budget.Charge(static_cast<int64_t>(between.size() / 32) + 1);
    if (out.size() > budget.limits.text_bytes) budget.ChargeText(out.size());
  }
  return Value::Text(std::move(out), budget);
}

Value Items(Evaluator &evaluator, const Value &input, const Bound &) {
  List items;
  if (!input.Is(Kind::undefined)) {
    if (!input.Is(Kind::dict)) Fail(StrCat("items takes a dict, got '", KindName(input), "'"));
    for (const auto &[key, value] : input.dict().entries)
      items.push_back(MakeSequence(Kind::tuple, {key, value}, evaluator.budget));
  }
  return Generator(evaluator, std::move(items));
}

Value Reverse(Evaluator &evaluator, const Value &input, const Bound &) {
  if (input.Is(Kind::string))
    return Slice(evaluator, input, Value::None(), Value::None(), Value::Integer(-1));
  const Elements given = Iterate(input, evaluator.budget);
  List items(std::make_reverse_iterator(given.end()), std::make_reverse_iterator(given.begin()));
  return input.Is(Kind::generator) ? MakeSequence(Kind::list, std::move(items), evaluator.budget)
                                   : Generator(evaluator, std::move(items));
}

Value Map(Evaluator &evaluator, const Value &input, const Arguments &arguments) {
  List out;
  if (!IsTrue(input)) return Generator(evaluator, {});
  if (arguments.positional.empty()) {
    const Bound given("map", "attribute,default", arguments);
    const AttributePath path(given[0]);
    const Value fallback = given.Or(1, Value::None());
    for (const Value &item : Iterate(input, evaluator.budget))
      out.push_back(path.Of(evaluator, item, &fallback));
    return Generator(evaluator, std::move(out));
  }
  const Value &name = arguments.positional[0];
  const FilterEntry *filter = name.Is(Kind::string) ? FindFilter(name.text()) : nullptr;
  if (!filter)
    Fail(StrCat("map gets the filter ", name.Is(Kind::string) ? name.text().substr(0, 100) : KindName(name),
                ", which is not read"));
  const Arguments rest{List(arguments.positional.begin() + 1, arguments.positional.end()),
                       arguments.keywords};
  Deeper deeper(evaluator.budget);
  for (const Value &item : Iterate(input, evaluator.budget))
    out.push_back(ApplyFilter(evaluator, *filter, item, rest));
  return Generator(evaluator, std::move(out));
}

template <bool wanted, bool by_attribute>
Value Select(Evaluator &evaluator, const Value &input, const Arguments &arguments) {
  if (!IsTrue(input)) return Generator(evaluator, {});
  if (!arguments.keywords.empty()) Fail("select and its like take no named arguments");
  const List &given = arguments.positional;
  if (by_attribute && given.empty()) Fail("selectattr and rejectattr need the name of an attribute");
  const AttributePath path(by_attribute ? given[0] : Value::None());
  const size_t at = by_attribute ? 1 : 0;
  const TestEntry *test = nullptr;
  List rest;
  if (given.size() > at) {
    test = given[at].Is(Kind::string) ? FindTest(given[at].text()) : nullptr;
    if (!test)
      Fail(StrCat("a filter gets the test ", ToText(given[at], evaluator.budget).substr(0, 100),
                  ", which is not read"));
    rest.assign(given.begin() + static_cast<int64_t>(at) + 1, given.end());
    if (rest.size() != test->arguments)
      Fail(StrCat("the test ", test->name, " takes ", test->arguments, " arguments, got ", rest.size()));
  }
  List out;
  for (const Value &item : Iterate(input, evaluator.budget)) {
    const Value value = path.Of(evaluator, item);
    if ((test ? ApplyTest(evaluator, *test, value, rest) : IsTrue(value)) == wanted) out.push_back(item);
  }
  return Generator(evaluator, std::move(out));
}

// By the values of `key`, which may be several.
template <typename Key> List Sorted(Evaluator &evaluator, const Elements &items, bool reverse, Key key) {
  std::vector<std::pair<Value, size_t>> keyed;
  for (size_t i = 0; i < items.size(); ++i) keyed.emplace_back(key(items[i]), i);
  std::stable_sort(keyed.begin(), keyed.end(), [&](const auto &a, const auto &b) {
    return reverse ? Less(b.first, a.first, evaluator.budget) : Less(a.first, b.first, evaluator.budget);
  });
  List out;
  for (const auto &entry : keyed) out.push_back(items[entry.second]);
  return out;
}

Value Sort(Evaluator &evaluator, const Value &input, const Bound &given) {
  std::vector<AttributePath> paths;
  if (given.Has(2) && given[2].Is(Kind::string))
    for (std::string_view name : python::Split(given[2].text(), ",", -1))
      paths.emplace_back(Value::Constant(std::string(name)));
  else
    paths.emplace_back(given.Or(2, Value::None()));
  const bool case_sensitive = given.Flag(1);
  auto key = [&](const Value &item) {
    List keys;
    for (const AttributePath &path : paths)
      keys.push_back(KeyFor(evaluator, path.Of(evaluator, item), case_sensitive));
    return MakeSequence(Kind::list, std::move(keys), evaluator.budget);
  };
  return MakeSequence(Kind::list, Sorted(evaluator, Iterate(input, evaluator.budget), given.Flag(0), key),
                      evaluator.budget);
}

Value DictSort(Evaluator &evaluator, const Value &input, const Bound &given) {
  if (!input.Is(Kind::dict)) Fail(StrCat("dictsort takes a dict, got '", KindName(input), "'"));
  const std::string by = given.Has(1) ? given.Text(1).value_or("") : "key";
  if (by != "key" && by != "value") Fail("dictsort sorts by key or value");
  List items;
  for (const auto &[key, value] : input.dict().entries)
    items.push_back(MakeSequence(Kind::tuple, {key, value}, evaluator.budget));
  auto key = [&](const Value &item) {
    return KeyFor(evaluator, item.sequence().items[by == "value"], given.Flag(0));
  };
  const Elements pairs =
      Iterate(MakeSequence(Kind::list, std::move(items), evaluator.budget), evaluator.budget);
  return MakeSequence(Kind::list, Sorted(evaluator, pairs, given.Flag(2), key), evaluator.budget);
}

Value Unique(Evaluator &evaluator, const Value &input, const Bound &given) {
  const AttributePath path(given.Or(1, Value::None()));
  std::unordered_set<std::string> seen;
  List out;
  for (const Value &item : Iterate(input, evaluator.budget)) {
    evaluator.budget.Charge(4);
    if (seen.insert(KeyOf(KeyFor(evaluator, path.Of(evaluator, item), given.Flag(0)))).second)
      out.push_back(item);
  }
  return Generator(evaluator, std::move(out));
}

template <bool most> Value Extreme(Evaluator &evaluator, const Value &input, const Bound &given) {
  const AttributePath path(given.Or(1, Value::None()));
  const auto items = Iterate(input, evaluator.budget);
  if (items.size() == 0) return Value::Undefined("there is no element to choose from");
  auto key = [&](const Value &item) { return KeyFor(evaluator, path.Of(evaluator, item), given.Flag(0)); };
  const Value *best = &items[0];
  Value best_key = key(*best);
  for (size_t i = 1; i < items.size(); ++i) {
    Value next = key(items[i]);
    if (most ? !Less(best_key, next, evaluator.budget) : !Less(next, best_key, evaluator.budget)) continue;
    best = &items[i], best_key = std::move(next);
  }
  return *best;
}

Value Sum(Evaluator &evaluator, const Value &input, const Bound &given) {
  const AttributePath path(given.Or(0, Value::None()));
  Value sum = given.Or(1, Value::Integer(0));
  if (sum.Is(Kind::string)) Fail("sum does not join texts\nhint: join does");
  for (const Value &item : Iterate(input, evaluator.budget))
    sum = Binary(evaluator, "+", sum, path.Of(evaluator, item));
  return sum;
}

} // namespace

const std::vector<FilterEntry> kListFilters = {
    {"count", "", Length},
    {"dictsort", "case_sensitive,by,reverse", DictSort},
    {"first", "", First},
    {"items", "", Items},
    {"join", "d,attribute", Join},
    {"last", "", Last},
    {"length", "", Length},
    {"list", "", ListFilter},
    {"map", nullptr, nullptr, Map},
    {"max", "case_sensitive,attribute", Extreme<true>},
    {"min", "case_sensitive,attribute", Extreme<false>},
    {"reject", nullptr, nullptr, Select<false, false>},
    {"rejectattr", nullptr, nullptr, Select<false, true>},
    {"reverse", "", Reverse},
    {"select", nullptr, nullptr, Select<true, false>},
    {"selectattr", nullptr, nullptr, Select<true, true>},
    {"sort", "reverse,case_sensitive,attribute", Sort},
    {"sum", "attribute,start", Sum},
    {"unique", "case_sensitive,attribute", Unique},
};

} // namespace weft::jinja
