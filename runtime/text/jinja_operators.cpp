// Operators and subscripts, with Python's meaning.
#include <algorithm>
#include <cmath>

#include "runtime/data/str_cat.h"
#include "runtime/text/jinja_evaluator.h"
#include "runtime/text/jinja_functions.h"
#include "runtime/text/python_text.h"

namespace weft::jinja {
namespace {

[[noreturn]] void Mismatch(const std::string &symbol, const Value &left, const Value &right) {
  if (left.Is(Kind::undefined)) Fail(left.text());
  if (right.Is(Kind::undefined)) Fail(right.text());
  Fail(StrCat(symbol, " does not take values of type '", KindName(left), "' and '", KindName(right), "'"));
}

double Real(const Value &v) { return v.Is(Kind::real) ? v.real : static_cast<double>(v.integer); }

[[noreturn]] void Overflow(const std::string &symbol) {
  Fail(StrCat("the result of ", symbol, " is beyond 64 bits"));
}

Value Power(int64_t base, int64_t exponent) {
  if (exponent < 0) {
    if (base == 0) Fail("0 has no negative power");
    return Value::Real(std::pow(static_cast<double>(base), static_cast<double>(exponent)));
  }
  int64_t result = 1;
  if (base == 0 || base == 1) return Value::Integer(exponent == 0 ? 1 : base);
  if (base == -1) return Value::Integer(exponent % 2 == 0 ? 1 : -1);
  for (; exponent > 0; --exponent)
    if (__builtin_mul_overflow(result, base, &result)) Overflow("**");
  return Value::Integer(result);
}

// The quotient and remainder whose sign is the divisor's.
Value WholeDivision(const std::string &symbol, int64_t a, int64_t b) {
  if (b == 0) Fail("division by zero");
  if (b == -1) {
    if (symbol == "%") return Value::Integer(0);
    if (a == INT64_MIN) Overflow(symbol);
    return Value::Integer(-a);
  }
  int64_t quotient = a / b, rest = a % b;
  if (rest != 0 && (rest < 0) != (b < 0)) --quotient, rest += b;
  return Value::Integer(symbol == "//" ? quotient : rest);
}

Value RealDivision(const std::string &symbol, double a, double b) {
  if (b == 0) Fail("division by zero");
  double rest = std::fmod(a, b), quotient = (a - rest) / b;
  if (rest != 0) {
    if ((b < 0) != (rest < 0)) rest += b, quotient -= 1;
  } else {
    rest = std::copysign(0.0, b);
  }
  if (symbol == "%") return Value::Real(rest);
  if (quotient == 0) return Value::Real(std::copysign(0.0, a / b));
  double whole = std::floor(quotient);
  if (quotient - whole > 0.5) whole += 1;
  return Value::Real(whole);
}

Value Arithmetic(const std::string &symbol, const Value &left, const Value &right) {
  if (left.IsWhole() && right.IsWhole()) {
    const int64_t a = left.integer, b = right.integer;
    int64_t result = 0;
    if (symbol == "+" || symbol == "-" || symbol == "*") {
      if (symbol == "+"   ? __builtin_add_overflow(a, b, &result)
          : symbol == "-" ? __builtin_sub_overflow(a, b, &result)
                          : __builtin_mul_overflow(a, b, &result))
        Overflow(symbol);
      return Value::Integer(result);
    }
    if (symbol == "**") return Power(a, b);
    if (symbol != "/") return WholeDivision(symbol, a, b);
  }
  const double a = Real(left), b = Real(right);
  if (symbol == "+") return Value::Real(a + b);
  if (symbol == "-") return Value::Real(a - b);
  if (symbol == "*") return Value::Real(a * b);
  if (symbol == "//" || symbol == "%") return RealDivision(symbol, a, b);
  if (symbol == "/") {
    if (b == 0) Fail("division by zero");
    return Value::Real(a / b);
  }
  if (a < 0 && b != std::trunc(b)) Fail("a negative number has no such power");
  if (a == 0 && b < 0) Fail("0 has no negative power");
  const double power = std::pow(a, b);
  if (std::isinf(power) && !std::isinf(a) && !std::isinf(b))
    Fail("the result of ** is beyond what a float holds");
  return Value::Real(power);
}

// A text or list, `times` times.
Value Repeat(Budget &budget, const Value &what, int64_t times) {
  times = std::max<int64_t>(times, 0);
  if (what.Is(Kind::string)) {
    size_t bytes = 0;
    if (__builtin_mul_overflow(what.text().size(), static_cast<size_t>(times), &bytes)) bytes = SIZE_MAX;
    budget.ChargeText(bytes);
    std::string out;
    out.reserve(bytes);
    for (int64_t i = 0; i < times && !what.text().empty(); ++i) out += what.text();
    return Value::Constant(std::move(out));
  }
  const List &items = what.sequence().items;
  int64_t count = 0;
  if (__builtin_mul_overflow(static_cast<int64_t>(items.size()), times, &count)) count = INT64_MAX;
  budget.Charge(count);
  List out;
  for (int64_t i = 0; i < times && !items.empty(); ++i) out.insert(out.end(), items.begin(), items.end());
  return MakeSequence(what.kind, std::move(out), budget);
}

bool IsListOrTuple(const Value &v) { return v.Is(Kind::list) || v.Is(Kind::tuple); }

// The character at a position, which may count from the end.
std::optional<std::string_view> CharacterAt(const std::string &text, int64_t at) {
  if (at < 0) at += python::Length(text);
  if (at < 0) return std::nullopt;
  for (size_t i = 0; i < text.size(); --at) {
    size_t end = i + 1;
    while (end < text.size() && (static_cast<uint8_t>(text[end]) & 0xc0) == 0x80) ++end;
    if (at == 0) return std::string_view(text).substr(i, end - i);
    i = end;
  }
  return std::nullopt;
}

std::optional<Value> Item(Evaluator &evaluator, const Value &object, const Value &key) {
  if (object.Is(Kind::dict)) {
    const bool hashable = key.kind <= Kind::string;
    const Value *found = hashable ? object.dict().Find(key) : nullptr;
    return found ? std::optional<Value>(*found) : std::nullopt;
  }
  if (!key.IsWhole()) return std::nullopt;
  if (object.Is(Kind::string)) {
    evaluator.budget.Charge(static_cast<int64_t>(object.text().size() / 16));
    const auto character = CharacterAt(object.text(), key.integer);
    return character ? std::optional<Value>(Value::Constant(std::string(*character))) : std::nullopt;
  }
  if (IsListOrTuple(object) || object.Is(Kind::range)) {
    const List &items = object.sequence().items;
    const int64_t size = static_cast<int64_t>(items.size()),
                  at = key.integer < 0 ? key.integer + size : key.integer;
    if (at >= 0 && at < size) return items[at];
  }
  return std::nullopt;
}

Value Missing(const Value &object, const std::string &name) {
  return Value::Undefined(StrCat("a value of type '", KindName(object), "' has no ", name.substr(0, 100)));
}

std::optional<Value> Attribute(Evaluator &evaluator, const Value &object, const std::string &name) {
  if (object.Is(Kind::loop)) return evaluator.LoopAttribute(object, name);
  if (object.Is(Kind::name_space)) {
    const Value *found = object.object<const Namespace>()->Find(name);
    return found ? std::optional<Value>(*found) : std::nullopt;
  }
  return FindMethod(object, name);
}

} // namespace

Value Binary(Evaluator &evaluator, const std::string &symbol, const Value &left, const Value &right) {
  Budget &budget = evaluator.budget;
  if (left.IsNumber() && right.IsNumber()) return Arithmetic(symbol, left, right);
  if (left.markup || right.markup)
    Fail(
        StrCat(symbol, " on a text that passed through safe, which would escape the other one, is not read"));
  if (symbol == "+" && left.kind == right.kind) {
    if (left.Is(Kind::string)) {
      budget.ChargeText(left.text().size() + right.text().size());
      return Value::Constant(left.text() + right.text());
    }
    if (IsListOrTuple(left)) {
      List items = left.sequence().items;
      const List &more = right.sequence().items;
      budget.Charge(static_cast<int64_t>(items.size() + more.size()));
      items.insert(items.end(), more.begin(), more.end());
      return MakeSequence(left.kind, std::move(items), budget);
    }
  }
  if (symbol == "*") {
    if (right.IsWhole() && (left.Is(Kind::string) || IsListOrTuple(left)))
      return Repeat(budget, left, right.integer);
    if (left.IsWhole() && (right.Is(Kind::string) || IsListOrTuple(right)))
      return Repeat(budget, right, left.integer);
  }
  if (symbol == "%" && left.Is(Kind::string)) Fail("% on a text is not read\nhint: ~ joins texts");
  Mismatch(symbol, left, right);
}

bool Compare(Evaluator &evaluator, const std::string &symbol, const Value &left, const Value &right) {
  Budget &budget = evaluator.budget;
  if (symbol == "==") return Equal(left, right, budget);
  if (symbol == "!=") return !Equal(left, right, budget);
  if (symbol == "in") return Contains(right, left, budget);
  if (symbol == "not in") return !Contains(right, left, budget);
  if (symbol == "<") return Less(left, right, budget);
  if (symbol == ">") return Less(right, left, budget);
  const Value &low = symbol == "<=" ? left : right, &high = symbol == "<=" ? right : left;
  return Less(low, high, budget) || Equal(low, high, budget);
}

Value Slice(Evaluator &evaluator, const Value &object, const Value &begin, const Value &end,
            const Value &step) {
  Budget &budget = evaluator.budget;
  if (object.Is(Kind::undefined)) Fail(object.text());
  if (!object.Is(Kind::string) && !IsListOrTuple(object) && !object.Is(Kind::range))
    Fail(StrCat("a value of type '", KindName(object), "' cannot be sliced"));
  for (const Value *bound : {&begin, &end, &step})
    if (!bound->Is(Kind::none) && !bound->IsWhole())
      Fail(StrCat("a slice takes whole numbers, got '", KindName(*bound), "'"));
  auto part = [](const Value &v) {
    return v.Is(Kind::none) ? std::nullopt : std::optional<int64_t>(v.integer);
  };
  const auto from = part(begin), to = part(end), by = part(step);
  if (by && *by == 0) Fail("the step of a slice is 0");
  if (object.Is(Kind::string)) {
    budget.Charge(static_cast<int64_t>(object.text().size()) / 4);
    const auto characters = python::Characters(object.text());
    const auto range =
        python::ResolveSlice(static_cast<int64_t>(characters.size()), from, to, by.value_or(1));
    std::string out;
    for (int64_t i = 0; i < range.count; ++i) out += characters[range.begin + i * range.step];
    return Value::Text(std::move(out), budget);
  }
  const List &items = object.sequence().items;
  const auto range = python::ResolveSlice(static_cast<int64_t>(items.size()), from, to, by.value_or(1));
  budget.Charge(range.count);
  List out;
  for (int64_t i = 0; i < range.count; ++i) out.push_back(items[range.begin + i * range.step]);
  return MakeSequence(object.kind, std::move(out), budget);
}

Value GetItem(Evaluator &evaluator, const Value &object, const Value &key) {
  if (object.Is(Kind::undefined)) Fail(object.text());
  if (auto item = Item(evaluator, object, key)) return *std::move(item);
  if (key.Is(Kind::string))
    if (auto found = Attribute(evaluator, object, key.text())) return *std::move(found);
  return Missing(object, key.Is(Kind::string) ? key.text() : "such element");
}

Value GetAttribute(Evaluator &evaluator, const Value &object, const std::string &name) {
  if (object.Is(Kind::undefined)) Fail(object.text());
  if (auto found = Attribute(evaluator, object, name)) return *std::move(found);
  if (object.Is(Kind::dict))
    if (const Value *found = object.dict().Find(Value::Constant(name))) return *found;
  return Missing(object, name);
}

} // namespace weft::jinja
