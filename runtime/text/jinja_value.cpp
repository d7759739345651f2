#include "runtime/text/jinja_value.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_format.h"
#include "runtime/data/str_cat.h"
#include "runtime/data/unicode.h"
#include "runtime/text/python_text.h"

namespace weft::jinja {

void Fail(std::string message) { throw Error{std::move(message)}; }

void Budget::Charge(int64_t steps) {
  if (steps > left_) throw Error{StrCat("it takes more than ", limits.steps, " steps"), 0, false, true};
  left_ -= steps;
}

void Budget::ChargeText(size_t bytes) {
  if (bytes > limits.text_bytes)
    throw Error{StrCat("a text of ", bytes, " bytes is made when ", limits.text_bytes, " is the most"), 0,
                false, true};
  Charge(static_cast<int64_t>(bytes / 32 + 1));
}

Deeper::Deeper(Budget &budget) : budget_(budget) {
  if (budget.depth_ >= budget.limits.depth)
    throw Error{StrCat("it nests deeper than ", budget.limits.depth, " levels"), 0, false, true};
  ++budget.depth_;
}

Value Value::None() {
  Value v;
  v.kind = Kind::none;
  return v;
}
Value Value::Bool(bool value) {
  Value v;
  v.kind = Kind::boolean, v.integer = value;
  return v;
}
Value Value::Integer(int64_t value) {
  Value v;
  v.kind = Kind::integer, v.integer = value;
  return v;
}
Value Value::Real(double value) {
  Value v;
  v.kind = Kind::real, v.real = value;
  return v;
}
Value Value::Text(std::string value, Budget &budget) {
  budget.ChargeText(value.size());
  return Constant(std::move(value));
}
Value Value::Constant(std::string value) {
  return Of(Kind::string, std::make_shared<TextObject>(std::move(value)));
}
Value Value::Undefined(std::string why) {
  return Of(Kind::undefined, std::make_shared<TextObject>(std::move(why)));
}
Value Value::Of(Kind kind, std::shared_ptr<Object> object) {
  Value v;
  v.kind = kind, v.object_ = std::move(object);
  return v;
}

const std::string &Value::text() const {
  static const std::string none = "the value is undefined";
  return object_ ? static_cast<const TextObject &>(*object_).value : none;
}
const Sequence &Value::sequence() const { return static_cast<const Sequence &>(*object_); }
const Dict &Value::dict() const { return static_cast<const Dict &>(*object_); }

namespace {

int DepthOf(const Value &value) {
  if (value.Is(Kind::method)) return DepthOf(value.object<const Method>()->self);
  return value.IsSequence() ? value.sequence().depth : value.Is(Kind::dict) ? value.dict().depth : 0;
}

void CheckNesting(int depth, Budget &budget) {
  if (depth > budget.limits.nesting)
    throw Error{StrCat("lists nest deeper than ", budget.limits.nesting, " levels"), 0, false, true};
}

bool Same(const Value &a, const Value &b) { return a.object<Object>() == b.object<Object>(); }

// Exact on x86-64, whose long double holds every 64-bit integer.
long double Number(const Value &v) { return v.Is(Kind::real) ? static_cast<long double>(v.real) : v.integer; }

} // namespace

Value MakeSequence(Kind kind, List items, Budget &budget) {
  budget.Charge(static_cast<int64_t>(items.size()) + 1);
  auto sequence = std::make_shared<Sequence>();
  for (const Value &item : items) sequence->depth = std::max(sequence->depth, DepthOf(item) + 1);
  CheckNesting(sequence->depth, budget);
  sequence->items = std::move(items);
  return Value::Of(kind, std::move(sequence));
}

std::string KeyOf(const Value &value) {
  switch (value.kind) {
  case Kind::undefined:
    return "u";
  case Kind::none:
    return "N";
  case Kind::boolean:
  case Kind::integer:
    return StrCat("n", value.integer);
  case Kind::real:
    if (std::abs(value.real) < 9e18 && value.real == std::trunc(value.real))
      return StrCat("n", static_cast<int64_t>(value.real));
    return "f" + python::Repr(value.real);
  case Kind::string:
    return "s" + value.text();
  default:
    Fail(StrCat("a value of type '", KindName(value), "' cannot be a key"));
  }
}

const Value *Dict::Find(const Value &key) const {
  const auto it = index.find(KeyOf(key));
  return it == index.end() ? nullptr : &entries[it->second].second;
}

void Dict::Set(Value key, Value value, Budget &budget) {
  budget.Charge(4);
  depth = std::max(depth, DepthOf(value) + 1);
  CheckNesting(depth, budget);
  const auto [it, added] = index.try_emplace(KeyOf(key), entries.size());
  if (added)
    entries.emplace_back(std::move(key), std::move(value));
  else
    entries[it->second].second = std::move(value);
}

const Value *Namespace::Find(std::string_view name) const {
  for (const auto &[key, value] : attributes)
    if (key == name) return &value;
  return nullptr;
}

void Namespace::Set(std::string_view name, Value value, Budget &budget) {
  budget.Charge(static_cast<int64_t>(attributes.size() / 16) + 1);
  if (name.substr(0, 1) == "_")
    Fail(StrCat("a namespace has no name with an underscore first, such as ", name));
  for (auto &[key, old] : attributes)
    if (key == name) {
      old = std::move(value);
      return;
    }
  attributes.emplace_back(std::string(name), std::move(value));
}

const char *KindName(const Value &value) {
  static const char *const names[] = {"Undefined", "NoneType", "bool",     "int",       "float",      "str",
                                      "list",      "tuple",    "range",    "dict view", "generator",  "dict",
                                      "Namespace", "Macro",    "function", "method",    "LoopContext"};
  return names[static_cast<int>(value.kind)];
}

bool IsTrue(const Value &value) {
  switch (value.kind) {
  case Kind::undefined:
  case Kind::none:
    return false;
  case Kind::boolean:
  case Kind::integer:
    return value.integer != 0;
  case Kind::real:
    return value.real != 0;
  case Kind::string:
    return !value.text().empty();
  case Kind::list:
  case Kind::tuple:
  case Kind::range:
  case Kind::view:
    return !value.sequence().items.empty();
  case Kind::dict:
    return !value.dict().entries.empty();
  default:
    return true;
  }
}

std::string ToText(const Value &value, Budget &budget) {
  if (value.Is(Kind::string)) return value.text();
  if (value.Is(Kind::undefined)) return "";
  return ToRepr(value, budget);
}

std::string ToRepr(const Value &value, Budget &budget) {
  Deeper deeper(budget);
  budget.Charge(1);
  std::string out;
  auto add = [&](std::string_view text) {
    budget.Charge(static_cast<int64_t>(text.size() / 32));
    if (out.size() + text.size() > budget.limits.text_bytes) budget.ChargeText(out.size() + text.size());
    out += text;
  };
  switch (value.kind) {
  case Kind::undefined:
    return "Undefined";
  case Kind::none:
    return "None";
  case Kind::boolean:
    return value.integer ? "True" : "False";
  case Kind::integer:
    return StrCat(value.integer);
  case Kind::real:
    return python::Repr(value.real);
  case Kind::string:
    budget.ChargeText(value.text().size());
    return value.markup ? StrCat("Markup(", python::Repr(value.text()), ")") : python::Repr(value.text());
  case Kind::list:
  case Kind::tuple: {
    const List &items = value.sequence().items;
    add(value.Is(Kind::list) ? "[" : "(");
    for (size_t i = 0; i < items.size(); ++i) {
      if (i > 0) add(", ");
      add(ToRepr(items[i], budget));
    }
    add(value.Is(Kind::list) ? "]" : items.size() == 1 ? ",)" : ")");
    return out;
  }
  case Kind::dict: {
    add("{");
    for (const auto &[key, element] : value.dict().entries) {
      if (out.size() > 1) add(", ");
      add(ToRepr(key, budget));
      add(": ");
      add(ToRepr(element, budget));
    }
    add("}");
    return out;
  }
  default:
    Fail(StrCat("a value of type '", KindName(value), "' cannot be printed",
                value.IsSequence() ? "\nhint: | list makes a list of it" : ""));
  }
}

bool Equal(const Value &a, const Value &b, Budget &budget) {
  Deeper deeper(budget);
  budget.Charge(1);
  if (a.IsNumber() && b.IsNumber()) return Number(a) == Number(b);
  if (a.kind != b.kind) return false;
  switch (a.kind) {
  case Kind::undefined:
  case Kind::none:
    return true;
  case Kind::string:
    budget.Charge(static_cast<int64_t>(std::min(a.text().size(), b.text().size()) / 32));
    return a.text() == b.text();
  case Kind::list:
  case Kind::tuple:
  case Kind::range: {
    const List &left = a.sequence().items, &right = b.sequence().items;
    if (left.size() != right.size()) return false;
    for (size_t i = 0; i < left.size(); ++i)
      if (!Equal(left[i], right[i], budget)) return false;
    return true;
  }
  case Kind::dict: {
    const Dict &left = a.dict(), &right = b.dict();
    if (left.entries.size() != right.entries.size()) return false;
    for (const auto &[key, element] : left.entries) {
      const Value *other = right.Find(key);
      if (!other || !Equal(element, *other, budget)) return false;
    }
    return true;
  }
  default:
    return Same(a, b);
  }
}

bool Less(const Value &a, const Value &b, Budget &budget) {
  Deeper deeper(budget);
  budget.Charge(1);
  if (a.IsNumber() && b.IsNumber()) return Number(a) < Number(b);
  if (a.Is(Kind::undefined)) Fail(a.text());
  if (b.Is(Kind::undefined)) Fail(b.text());
  if (a.kind == b.kind && a.Is(Kind::string)) {
    budget.Charge(static_cast<int64_t>(std::min(a.text().size(), b.text().size()) / 32));
    return a.text() < b.text(); // bytes of UTF-8 are ordered as code points are
  }
  if (a.kind == b.kind && (a.Is(Kind::list) || a.Is(Kind::tuple))) {
    const List &left = a.sequence().items, &right = b.sequence().items;
    for (size_t i = 0; i < std::min(left.size(), right.size()); ++i)
      if (!Equal(left[i], right[i], budget)) return Less(left[i], right[i], budget);
    return left.size() < right.size();
  }
  Fail(StrCat("values of type '", KindName(a), "' and '", KindName(b), "' have no order"));
}

Elements Iterate(const Value &value, Budget &budget) {
  if (value.IsSequence()) {
    if (value.Is(Kind::generator) && std::exchange(value.sequence().used, true))
      Fail(
          "what a filter such as map or select gives is gone through twice\nhint: | list makes a list of it");
    return Elements(value.object<const Sequence>());
  }
  List items;
  if (value.Is(Kind::string)) {
    budget.Charge(static_cast<int64_t>(value.text().size()) * 2); // a small text for each
    for (std::string_view character : python::Characters(value.text()))
      items.push_back(Value::Constant(std::string(character)));
  } else if (value.Is(Kind::dict)) {
    for (const auto &entry : value.dict().entries) items.push_back(entry.first);
  } else if (!value.Is(Kind::undefined)) {
    Fail(StrCat("a value of type '", KindName(value), "' has no elements to go through"));
  }
  return Elements(MakeSequence(Kind::list, std::move(items), budget).object<const Sequence>());
}

bool Contains(const Value &container, const Value &item, Budget &budget) {
  if (container.Is(Kind::string)) {
    if (!item.Is(Kind::string))
      Fail(StrCat("a value of type '", KindName(item), "' is looked for in a string"));
    budget.Charge(static_cast<int64_t>(container.text().size() / 8));
    return container.text().find(item.text()) != std::string::npos;
  }
  if (container.Is(Kind::dict)) return container.dict().Find(item) != nullptr;
  for (const Value &element : Iterate(container, budget))
    if (Equal(element, item, budget)) return true;
  return false;
}

} // namespace weft::jinja
