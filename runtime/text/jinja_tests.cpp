// What `x is …` asks.
#include <iterator>

#include "runtime/data/str_cat.h"
#include "runtime/text/jinja_evaluator.h"
#include "runtime/text/jinja_functions.h"
#include "runtime/text/python_text.h"

namespace weft::jinja {
namespace {

// Whether a value's kind is one of these.
template <Kind... kinds> bool IsKind(Evaluator &, const Value &v, const List &) {
  return (v.Is(kinds) || ...);
}

int64_t Remainder(Evaluator &evaluator, const Value &value, const Value &by, int64_t expected) {
  return Equal(Binary(evaluator, "%", value, by), Value::Integer(expected), evaluator.budget);
}

template <const char *symbol> bool Compares(Evaluator &evaluator, const Value &v, const List &given) {
  return Compare(evaluator, symbol, v, given[0]);
}
constexpr char kEq[] = "==", kNe[] = "!=", kLt[] = "<", kLe[] = "<=", kGt[] = ">", kGe[] = ">=", kIn[] = "in";

bool SameAs(Evaluator &, const Value &v, const List &given) {
  const Value &other = given[0];
  if (v.kind != other.kind) return false;
  if (v.Is(Kind::none)) return true;
  if (v.Is(Kind::boolean)) return v.integer == other.integer;
  if (v.Is(Kind::integer) || v.Is(Kind::real) || v.Is(Kind::string))
    Fail("sameas of two numbers or texts depends on where Python keeps them\nhint: eq compares values");
  return v.object<Object>() == other.object<Object>();
}

template <bool (*holds)(std::string_view)> bool Text(Evaluator &evaluator, const Value &v, const List &) {
  return holds(ToText(v, evaluator.budget));
}

const TestEntry kTests[] = {
    {"!=", 1, Compares<kNe>},
    {"<", 1, Compares<kLt>},
    {"<=", 1, Compares<kLe>},
    {"==", 1, Compares<kEq>},
    {">", 1, Compares<kGt>},
    {">=", 1, Compares<kGe>},
    {"boolean", 0, IsKind<Kind::boolean>},
    {"callable", 0, IsKind<Kind::undefined, Kind::macro, Kind::function, Kind::method, Kind::loop>},
    {"defined", 0, [](Evaluator &, const Value &v, const List &) { return !v.Is(Kind::undefined); }},
    {"divisibleby", 1,
     [](Evaluator &e, const Value &v, const List &by) { return Remainder(e, v, by[0], 0) != 0; }},
    {"eq", 1, Compares<kEq>},
    {"equalto", 1, Compares<kEq>},
    {"escaped", 0, [](Evaluator &, const Value &v, const List &) { return v.markup; }},
    {"even", 0,
     [](Evaluator &e, const Value &v, const List &) { return Remainder(e, v, Value::Integer(2), 0) != 0; }},
    {"false", 0,
     [](Evaluator &, const Value &v, const List &) { return v.Is(Kind::boolean) && v.integer == 0; }},
    {"float", 0, IsKind<Kind::real>},
    {"ge", 1, Compares<kGe>},
    {"greaterthan", 1, Compares<kGt>},
    {"gt", 1, Compares<kGt>},
    {"in", 1, Compares<kIn>},
    {"integer", 0, IsKind<Kind::integer>},
    {"iterable", 0,
     IsKind<Kind::undefined, Kind::string, Kind::list, Kind::tuple, Kind::range, Kind::view, Kind::generator,
            Kind::dict, Kind::loop>},
    {"le", 1, Compares<kLe>},
    {"lessthan", 1, Compares<kLt>},
    {"lower", 0, Text<python::IsLower>},
    {"lt", 1, Compares<kLt>},
    {"mapping", 0, IsKind<Kind::dict>},
    {"ne", 1, Compares<kNe>},
    {"none", 0, IsKind<Kind::none>},
    {"number", 0, IsKind<Kind::boolean, Kind::integer, Kind::real>},
    {"odd", 0,
     [](Evaluator &e, const Value &v, const List &) { return Remainder(e, v, Value::Integer(2), 1) != 0; }},
    {"sameas", 1, SameAs},
    {"sequence", 0, IsKind<Kind::undefined, Kind::string, Kind::list, Kind::tuple, Kind::range, Kind::dict>},
    {"string", 0, IsKind<Kind::string>},
    {"true", 0,
     [](Evaluator &, const Value &v, const List &) { return v.Is(Kind::boolean) && v.integer == 1; }},
    {"undefined", 0, IsKind<Kind::undefined>},
    {"upper", 0, Text<python::IsUpper>},
};

} // namespace

const TestEntry *FindTest(std::string_view name) {
  for (const TestEntry &entry : kTests)
    if (name == entry.name) return &entry;
  return nullptr;
}

bool ApplyTest(Evaluator &evaluator, const TestEntry &test, const Value &value, const List &arguments) {
  evaluator.budget.Charge(1);
  return test.holds(evaluator, value, arguments);
}

} // namespace weft::jinja
