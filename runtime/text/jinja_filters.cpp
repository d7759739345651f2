// Filters of texts and numbers, and how filters are found and applied; jinja_list_filters.cpp has those of
// lists.
#include <algorithm>
#include <cmath>

#include "absl/strings/str_format.h"
#include "runtime/data/str_cat.h"
#include "runtime/data/unicode.h"
#include "runtime/text/jinja_evaluator.h"
#include "runtime/text/jinja_functions.h"
#include "runtime/text/python_text.h"

namespace weft::jinja {
namespace {

// What a filter of texts works on: str(value).
std::string TextOf(Evaluator &evaluator, const Value &value) {
  std::string text = ToText(value, evaluator.budget);
  evaluator.budget.Charge(static_cast<int64_t>(text.size() / 8));
  return text;
}

template <auto change> Value Changed(Evaluator &evaluator, const Value &input, const Bound &) {
  return Value::Text(change(TextOf(evaluator, input)), evaluator.budget);
}

Value Trim(Evaluator &evaluator, const Value &input, const Bound &given) {
  const auto chars = given.Text(0);
  return Value::Text(
      std::string(python::Strip(TextOf(evaluator, input),
                                chars ? std::optional<std::string_view>(*chars) : std::nullopt, true, true)),
      evaluator.budget);
}

// A word starts after a hyphen, a space or an opening bracket, whatever else is in it; unlike str.title.
std::string TitleWords(std::string_view text) {
  std::string out;
  for (size_t i = 0, length; i < text.size();) {
    auto breaks = [&](size_t at) {
      const uint32_t c = DecodeUtf8(text, at, length);
      return python::IsSpace(c) || c == '-' || c == '(' || c == '{' || c == '[' || c == '<';
    };
    size_t end = i;
    while (end < text.size() && breaks(end)) end += length;
    out += text.substr(i, end - i);
    if (end == text.size()) break;
    const size_t first = end;
    breaks(end);
    const size_t rest = end += length;
    while (end < text.size() && !breaks(end)) end += length;
    out += python::Upper(text.substr(first, rest - first)) + python::Lower(text.substr(rest, end - rest));
    i = end;
  }
  return out;
}

Value ReplaceFilter(Evaluator &evaluator, const Value &input, const Bound &given) {
  Budget &budget = evaluator.budget;
  Arguments arguments;
  arguments.positional = {Value::Text(ToText(given[0], budget), budget),
                          Value::Text(ToText(given[1], budget), budget)};
  if (given.Has(2) && !given[2].Is(Kind::none)) arguments.positional.push_back(given[2]);
  Method replace;
  replace.self = Value::Text(TextOf(evaluator, input), budget), replace.name = "replace";
  return CallMethod(evaluator, replace, arguments);
}

Value Indent(Evaluator &evaluator, const Value &input, const Bound &given) {
  Budget &budget = evaluator.budget;
  if (!input.Is(Kind::string)) Fail(StrCat("indent takes a text, got '", KindName(input), "'"));
  std::string indent = "    ";
  if (given.Has(0) && given[0].Is(Kind::string)) {
    indent = given[0].text();
  } else if (given.Has(0)) {
    const int64_t width = std::max<int64_t>(given.Integer(0), 0);
    budget.ChargeText(static_cast<size_t>(width));
    indent = std::string(static_cast<size_t>(width), ' ');
  }
  const bool blank = given.Flag(2);
  budget.Charge(static_cast<int64_t>(input.text().size()));
  const std::string text = input.text() + "\n";
  std::string out;
  bool first = true;
  for (std::string_view line : python::SplitLines(text, false)) {
    if (!first) out += '\n';
    if (first ? given.Flag(1) : blank || !line.empty()) out += indent;
    out += line;
    first = false;
    if (out.size() > budget.limits.text_bytes) budget.ChargeText(out.size());
  }
  return Value::Text(std::move(out), budget);
}

Value ToJsonFilter(Evaluator &evaluator, const Value &input, const Bound &given) {
  JsonStyle style;
  style.ascii = given.Flag(0);
  if (given.Has(1) && !given[1].Is(Kind::none)) {
    style.indented = true, style.item_separator = ",";
    if (given[1].Is(Kind::string)) {
      style.indent = given[1].text();
    } else {
      const int64_t width = std::max<int64_t>(given.Integer(1), 0);
      if (width > 1000) Fail(StrCat("tojson indents by ", width, " when 1000 is the most"));
      style.indent = std::string(static_cast<size_t>(width), ' ');
    }
  }
  if (given.Has(2) && !given[2].Is(Kind::none)) {
    const auto separators = Iterate(given[2], evaluator.budget);
    if (separators.size() != 2 || !separators[0].Is(Kind::string) || !separators[1].Is(Kind::string))
      Fail("tojson takes two texts as separators");
    style.item_separator = separators[0].text(), style.key_separator = separators[1].text();
  }
  style.sort_keys = given.Flag(3);
  return Value::Text(ToJson(input, style, evaluator.budget), evaluator.budget);
}

Value WholePart(double value) {
  if (!(std::abs(value) < 9.2e18)) Fail("int gets a number beyond 64 bits");
  return Value::Integer(static_cast<int64_t>(value));
}

Value IntFilter(Evaluator &evaluator, const Value &input, const Bound &given) {
  const Value fallback = given.Or(0, Value::Integer(0));
  if (input.Is(Kind::undefined)) Fail(input.text());
  if (input.IsWhole()) return Value::Integer(input.integer);
  if (input.Is(Kind::real)) return std::isnan(input.real) ? fallback : WholePart(input.real);
  if (!input.Is(Kind::string)) return fallback;
  if (const auto value = python::ToInteger(input.text(), given.Integer(1, 10))) return Value::Integer(*value);
  const auto value = python::ToReal(input.text());
  return value && std::isfinite(*value) ? WholePart(*value) : fallback;
}

Value FloatFilter(Evaluator &, const Value &input, const Bound &given) {
  if (input.Is(Kind::undefined)) Fail(input.text());
  if (input.IsWhole()) return Value::Real(static_cast<double>(input.integer));
  if (input.Is(Kind::real)) return input;
  if (input.Is(Kind::string))
    if (const auto value = python::ToReal(input.text())) return Value::Real(*value);
  return given.Or(0, Value::Real(0));
}

Value Round(Evaluator &, const Value &input, const Bound &given) {
  const int64_t precision = given.Integer(0, 0);
  const std::string method = given.Has(1) ? given.Text(1).value_or("") : "common";
  if (!input.IsNumber()) Fail(StrCat("round takes a number, got '", KindName(input), "'"));
  if (precision < 0 || precision > 15) Fail("round takes a precision of 0 to 15 digits");
  const double value = input.Is(Kind::real) ? input.real : static_cast<double>(input.integer);
  if (method == "common") {
    if (input.IsWhole()) return Value::Integer(input.integer);
    if (!std::isfinite(value)) return input;
    return Value::Real(*python::ToReal(absl::StrFormat("%.*f", static_cast<int>(precision), value)));
  }
  if (method != "ceil" && method != "floor") Fail("round takes common, ceil or floor");
  const double scale = std::pow(10.0, static_cast<double>(precision)), scaled = value * scale;
  return Value::Real((method == "ceil" ? std::ceil(scaled) : std::floor(scaled)) / scale);
}

Value Abs(Evaluator &evaluator, const Value &input, const Bound &) {
  if (input.Is(Kind::real)) return Value::Real(std::abs(input.real));
  if (!input.IsWhole()) Fail(StrCat("abs takes a number, got '", KindName(input), "'"));
  return input.integer < 0 ? Binary(evaluator, "-", Value::Integer(0), input) : Value::Integer(input.integer);
}

Value Default(Evaluator &, const Value &input, const Bound &given) {
  const bool replaced = input.Is(Kind::undefined) || (given.Flag(1) && !IsTrue(input));
  return replaced ? given.Or(0, Value::Constant("")) : input;
}

Value String(Evaluator &evaluator, const Value &input, const Bound &) {
  return input.Is(Kind::string) ? input : Value::Text(ToText(input, evaluator.budget), evaluator.budget);
}

Value Safe(Evaluator &evaluator, const Value &input, const Bound &given) {
  Value value = String(evaluator, input, given);
  value.markup = true;
  return value;
}

} // namespace

const std::vector<FilterEntry> kTextFilters = {
    {"abs", "", Abs},
    {"capitalize", "", Changed<python::Capitalize>},
    {"d", "default_value,boolean", Default},
    {"default", "default_value,boolean", Default},
    {"float", "default", FloatFilter},
    {"indent", "width,first,blank", Indent},
    {"int", "default,base", IntFilter},
    {"lower", "", Changed<python::Lower>},
    {"replace", "old,new,count", ReplaceFilter},
    {"round", "precision,method", Round},
    {"safe", "", Safe},
    {"string", "", String},
    {"title", "", Changed<TitleWords>},
    {"tojson", "ensure_ascii,indent,separators,sort_keys", ToJsonFilter},
    {"trim", "chars", Trim},
    {"upper", "", Changed<python::Upper>},
};

const FilterEntry *FindFilter(std::string_view name) {
  for (const auto *table : {&kTextFilters, &kListFilters})
    for (const FilterEntry &entry : *table)
      if (name == entry.name) return &entry;
  return nullptr;
}

Value ApplyFilter(Evaluator &evaluator, const FilterEntry &filter, const Value &input,
                  const Arguments &arguments) {
  static constexpr std::string_view plain[] = {"safe",  "string",  "tojson", "length",
                                               "count", "default", "d",      "list"};
  if (input.markup && std::find(std::begin(plain), std::end(plain), filter.name) == std::end(plain))
    Fail(StrCat("the filter ", filter.name, " after safe is not read"));
  evaluator.budget.Charge(1);
  if (filter.apply_raw) return filter.apply_raw(evaluator, input, arguments);
  return filter.apply(evaluator, input, Bound(filter.name, filter.parameters, arguments));
}

} // namespace weft::jinja
