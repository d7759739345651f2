// Arguments by parameter.
#include <algorithm>

#include "runtime/data/str_cat.h"
#include "runtime/text/jinja_functions.h"
#include "runtime/text/python_text.h"

namespace weft::jinja {

Bound::Bound(std::string_view what, std::string_view parameters, const Arguments &arguments) : what_(what) {
  if (!parameters.empty()) names_ = python::Split(parameters, ",", -1);
  values_.resize(names_.size());
  if (arguments.positional.size() > names_.size())
    Fail(StrCat(what, " takes at most ", names_.size(), " arguments, got ", arguments.positional.size()));
  std::copy(arguments.positional.begin(), arguments.positional.end(), values_.begin());
  for (const auto &[name, value] : arguments.keywords) {
    const size_t i = std::find(names_.begin(), names_.end(), name) - names_.begin();
    if (i == names_.size()) Fail(StrCat(what, " takes no argument ", name.substr(0, 100)));
    if (values_[i]) Fail(StrCat(what, " takes the argument ", name, " once"));
    values_[i] = value;
  }
}

const Value &Bound::operator[](size_t i) const {
  if (!values_[i]) Fail(StrCat(what_, " needs the argument ", names_[i]));
  return *values_[i];
}

void Bound::Wrong(size_t i, const char *expected) const {
  if (values_[i]->Is(Kind::undefined)) Fail(values_[i]->text());
  Fail(StrCat(what_, " takes ", expected, " as ", names_[i], ", got '", KindName(*values_[i]), "'"));
}

int64_t Bound::Integer(size_t i, std::optional<int64_t> fallback) const {
  if (!values_[i] && fallback) return *fallback;
  if (!(*this)[i].IsWhole()) Wrong(i, "a whole number");
  return values_[i]->integer;
}

std::optional<std::string> Bound::Text(size_t i) const {
  if (!values_[i] || values_[i]->Is(Kind::none)) return std::nullopt;
  if (!values_[i]->Is(Kind::string)) Wrong(i, "a text");
  return values_[i]->text();
}

} // namespace weft::jinja
