// Expressions, names and calls; jinja_statements.cpp has statements.
#include "runtime/text/jinja_evaluator.h"

#include <algorithm>

#include "runtime/data/str_cat.h"
#include "runtime/text/jinja_loop.h"

namespace weft::jinja {

Evaluator::Evaluator(const Tree &tree, Budget &budget, const std::tm &now)
    : budget(budget), tree_(tree), now_(now), root_(tree.names.size()) {
  const auto loop = std::find(tree.names.begin(), tree.names.end(), "loop");
  if (loop != tree.names.end()) loop_id_ = static_cast<int>(loop - tree.names.begin());
}

Evaluator::~Evaluator() {
  for (const auto &name_space : namespaces_) name_space->attributes.clear();
}

void Evaluator::SetVariable(std::string_view name, Value value) {
  const auto it = std::find(tree_.names.begin(), tree_.names.end(), name);
  if (it != tree_.names.end()) root_[it - tree_.names.begin()] = std::move(value);
}

Value Evaluator::EvaluateName(const Expression &expression) {
  size_t i = locals_.size();
  for (; i > frame_.base; --i)
    if (locals_[i - 1].first == expression.id) break;
  budget.Charge(static_cast<int64_t>((locals_.size() - i) / 16));
  if (i > frame_.base) return locals_[i - 1].second;
  if (const auto &value = root_[expression.id]) return *value;
  if (IsFunction(expression.text)) {
    auto function = std::make_shared<Method>();
    function->name = expression.text;
    return Value::Of(Kind::function, std::move(function));
  }
  return UndefinedName(expression);
}

Value Evaluator::UndefinedName(const Expression &expression) {
  return Value::Undefined(StrCat("'", expression.text.substr(0, 100), "' is undefined"));
}

Value Evaluator::Evaluate(const Expression &e) {
  Deeper deeper(budget);
  budget.Charge(1);
  line_ = e.line;
  switch (e.op) {
  case Op::constant:
    return e.value;
  case Op::name:
    return EvaluateName(e);
  case Op::list:
    return EvaluateItems(e, Kind::list);
  case Op::tuple:
    return EvaluateItems(e, Kind::tuple);
  case Op::dict:
    return EvaluateDict(e);
  case Op::negate:
  case Op::plus:
    return EvaluateSign(e);
  case Op::logical_not:
    return Value::Bool(!IsTrue(Evaluate(*e.children[0])));
  case Op::logical_and:
  case Op::logical_or: {
    Value left = Evaluate(*e.children[0]);
    return IsTrue(left) == (e.op == Op::logical_or) ? left : Evaluate(*e.children[1]);
  }
  case Op::binary:
    return EvaluateBinary(e);
  case Op::concat:
    return EvaluateConcat(e);
  case Op::compare:
    return EvaluateCompare(e);
  case Op::conditional:
    return EvaluateConditional(e);
  case Op::attribute: {
    const Value object = Evaluate(*e.children[0]);
    line_ = e.line;
    return GetAttribute(*this, object, e.text);
  }
  case Op::item: {
    const Value object = Evaluate(*e.children[0]), key = Evaluate(*e.children[1]);
    line_ = e.line;
    return GetItem(*this, object, key);
  }
  case Op::slice:
    return EvaluateSlice(e);
  case Op::call:
    return EvaluateCall(e);
  case Op::filter:
    return EvaluateFilter(e, nullptr);
  case Op::test:
    return EvaluateTest(e);
  }
  return {};
}

Value Evaluator::EvaluateItems(const Expression &e, Kind kind) {
  List items;
  for (const ExpressionPtr &child : e.children) items.push_back(Evaluate(*child));
  return MakeSequence(kind, std::move(items), budget);
}

Value Evaluator::EvaluateDict(const Expression &e) {
  auto dict = std::make_shared<Dict>();
  for (size_t i = 0; i < e.children.size(); i += 2) {
    Value key = Evaluate(*e.children[i]);
    dict->Set(std::move(key), Evaluate(*e.children[i + 1]), budget);
  }
  return Value::Of(Kind::dict, std::move(dict));
}

Value Evaluator::EvaluateSign(const Expression &e) {
  const Value value = Evaluate(*e.children[0]);
  line_ = e.line;
  if (value.Is(Kind::real)) return Value::Real(e.op == Op::negate ? -value.real : value.real);
  if (e.op == Op::negate) return Binary(*this, "-", Value::Integer(0), value);
  return Binary(*this, "+", Value::Integer(0), value);
}

Value Evaluator::EvaluateBinary(const Expression &e) {
  const Value left = Evaluate(*e.children[0]), right = Evaluate(*e.children[1]);
  line_ = e.line;
  return Binary(*this, e.text, left, right);
}

Value Evaluator::EvaluateConcat(const Expression &e) {
  std::string text;
  for (const ExpressionPtr &child : e.children) {
    text += ToText(Evaluate(*child), budget);
    if (text.size() > budget.limits.text_bytes) budget.ChargeText(text.size());
  }
  return Value::Text(std::move(text), budget);
}

// a < b < c holds when both do; c is not looked at when the first does not.
Value Evaluator::EvaluateCompare(const Expression &e) {
  Value left = Evaluate(*e.children[0]);
  for (size_t i = 0; i < e.symbols.size(); ++i) {
    Value right = Evaluate(*e.children[i + 1]);
    line_ = e.line;
    if (!Compare(*this, e.symbols[i], left, right)) return Value::Bool(false);
    left = std::move(right);
  }
  return Value::Bool(true);
}

Value Evaluator::EvaluateConditional(const Expression &e) {
  if (IsTrue(Evaluate(*e.children[0]))) return Evaluate(*e.children[1]);
  if (e.children[2]) return Evaluate(*e.children[2]);
  return Value::Undefined("an inline if was false and has no else");
}

Value Evaluator::EvaluateSlice(const Expression &e) {
  const Value object = Evaluate(*e.children[0]);
  Value parts[3] = {Value::None(), Value::None(), Value::None()};
  for (int i = 0; i < 3; ++i)
    if (e.children[i + 1]) parts[i] = Evaluate(*e.children[i + 1]);
  line_ = e.line;
  return Slice(*this, object, parts[0], parts[1], parts[2]);
}

Arguments Evaluator::EvaluateArguments(const Expression &e) {
  Arguments arguments;
  for (size_t i = 1; i < e.children.size(); ++i) arguments.positional.push_back(Evaluate(*e.children[i]));
  for (const auto &[name, value] : e.keywords) arguments.keywords.emplace_back(name, Evaluate(*value));
  return arguments;
}

Value Evaluator::EvaluateCall(const Expression &e) {
  const Value callee = Evaluate(*e.children[0]);
  const Arguments arguments = EvaluateArguments(e);
  line_ = e.line;
  return Call(callee, arguments);
}

Value Evaluator::EvaluateFilter(const Expression &e, const Value *block) {
  const Value input = e.children[0] ? e.children[0]->op == Op::filter ? EvaluateFilter(*e.children[0], block)
                                                                      : Evaluate(*e.children[0])
                                    : *block;
  const Arguments arguments = EvaluateArguments(e);
  line_ = e.line;
  return ApplyFilter(*this, *e.filter, input, arguments);
}

Value Evaluator::EvaluateTest(const Expression &e) {
  const Value value = Evaluate(*e.children[0]);
  List arguments;
  for (size_t i = 1; i < e.children.size(); ++i) arguments.push_back(Evaluate(*e.children[i]));
  line_ = e.line;
  return Value::Bool(ApplyTest(*this, *e.test, value, arguments));
}

Value Evaluator::Call(const Value &callee, const Arguments &arguments) {
  Deeper deeper(budget);
  switch (callee.kind) {
  case Kind::undefined:
    Fail(callee.text());
  case Kind::macro:
    return CallMacro(*callee.object<const MacroObject>()->statement, arguments);
  case Kind::function:
    return CallFunction(*this, callee.object<const Method>()->name, arguments);
  case Kind::method: {
    const auto method = callee.object<const Method>();
    return method->self.Is(Kind::loop) ? CallLoopMethod(*method, arguments)
                                       : CallMethod(*this, *method, arguments);
  }
  default:
    Fail(StrCat("a value of type '", KindName(callee), "' cannot be called"));
  }
}

Value Evaluator::MakeNamespace(const Arguments &arguments) {
  auto made = std::make_shared<Namespace>();
  if (arguments.positional.size() > 1) Fail("namespace takes one dict, and named values");
  if (!arguments.positional.empty()) {
    const Value &from = arguments.positional[0];
    if (!from.Is(Kind::dict)) Fail(StrCat("namespace takes a dict, got '", KindName(from), "'"));
    for (const auto &[key, value] : from.dict().entries) made->Set(ToText(key, budget), value, budget);
  }
  for (const auto &[name, value] : arguments.keywords) made->Set(name, value, budget);
  namespaces_.push_back(made);
  return Value::Of(Kind::name_space, std::move(made));
}

std::string Evaluator::FormatNow(const std::string &format) const {
  if (format.size() > 256 || format.find('\0') != format.npos) Fail("the format of strftime_now is not read");
  for (size_t i = 0; i + 1 < format.size();
       ++i) // those that Python computes without the system, or otherwise
    if (format[i] == '%') {
      if (std::string_view("fzZ:").find(format[i + 1]) != std::string_view::npos)
        Fail(StrCat("strftime_now with %", format.substr(i + 1, 1), " is not read"));
      ++i;
    }
  char text[8192];
  const size_t length = std::strftime(text, sizeof text, (format + ".").c_str(), &now_);
  if (length == 0) Fail("the format of strftime_now makes a text that is too long");
  return std::string(text, length - 1);
}

} // namespace weft::jinja
