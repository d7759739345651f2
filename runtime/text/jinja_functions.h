// The filters, tests, methods and functions of the template language, by name.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "runtime/text/jinja_value.h"

namespace weft::jinja {

class Evaluator;

struct Arguments {
  List positional;
  std::vector<std::pair<std::string, Value>> keywords;
};

// Arguments by parameter; what was not given is none.
class Bound {
public:
  Bound(std::string_view what, std::string_view parameters, const Arguments &arguments);
  bool Has(size_t i) const { return values_[i].has_value(); }
  const Value &operator[](size_t i) const; // fails if it was not given
  Value Or(size_t i, Value fallback) const { return values_[i] ? *values_[i] : fallback; }
  bool Flag(size_t i, bool fallback = false) const { return values_[i] ? IsTrue(*values_[i]) : fallback; }
  int64_t Integer(size_t i, std::optional<int64_t> fallback = std::nullopt) const;
  // none for none, too, as Python's parameters of type str | None.
  std::optional<std::string> Text(size_t i) const;

private:
  [[noreturn]] void Wrong(size_t i, const char *expected) const;
  std::string_view what_;
  std::vector<std::string_view> names_;
  std::vector<std::optional<Value>> values_;
};

struct FilterEntry {
  const char *name;
  const char *parameters; // "indent,separators"; null: the filter binds its arguments itself
  Value (*apply)(Evaluator &, const Value &input, const Bound &);
  Value (*apply_raw)(Evaluator &, const Value &input, const Arguments &) = nullptr;
};
struct TestEntry {
  const char *name;
  size_t arguments;
  bool (*holds)(Evaluator &, const Value &value, const List &);
};

// Null for a name that is not read.
const FilterEntry *FindFilter(std::string_view name);
const TestEntry *FindTest(std::string_view name);
Value ApplyFilter(Evaluator &, const FilterEntry &, const Value &input, const Arguments &);
bool ApplyTest(Evaluator &, const TestEntry &, const Value &value, const List &arguments);

// Parts of the tables, by file.
extern const std::vector<FilterEntry> kTextFilters, kListFilters;

// x[y], and the elements that x.y finds: an undefined value where there is none.
Value GetItem(Evaluator &, const Value &object, const Value &key);
Value GetAttribute(Evaluator &, const Value &object, const std::string &name);
// What Python's type has under a name: a method, or an undefined value that says why it may not be used.
std::optional<Value> FindMethod(const Value &object, const std::string &name);
Value CallMethod(Evaluator &, const Method &method, const Arguments &arguments);
Value CallFunction(Evaluator &, const std::string &name, const Arguments &arguments);
bool IsFunction(std::string_view name);

Value Binary(Evaluator &, const std::string &symbol, const Value &left, const Value &right);
bool Compare(Evaluator &, const std::string &symbol, const Value &left, const Value &right);
Value Slice(Evaluator &, const Value &object, const Value &begin, const Value &end, const Value &step);

} // namespace weft::jinja
