// Statements: blocks, loops and macros.
#include <algorithm>

#include "runtime/data/str_cat.h"
#include "runtime/text/jinja_evaluator.h"
#include "runtime/text/jinja_loop.h"

namespace weft::jinja {

std::string Evaluator::Run() {
  std::string out;
  out_ = &out;
  Execute(tree_.body);
  return out;
}

void Evaluator::Append(std::string_view text) {
  budget.Charge(static_cast<int64_t>(text.size() / 32));
  if (out_->size() + text.size() > budget.limits.text_bytes) budget.ChargeText(out_->size() + text.size());
  *out_ += text;
}

Evaluator::Flow Evaluator::Execute(const Block &block) {
  for (const auto &statement : block)
    if (const Flow flow = Execute(*statement); flow != Flow::normal) return flow;
  return Flow::normal;
}

Evaluator::Flow Evaluator::Execute(const Statement &s) {
  Deeper deeper(budget);
  budget.Charge(1);
  line_ = s.line;
  switch (s.action) {
  case Action::data:
    Append(s.text);
    return Flow::normal;
  case Action::output:
    Append(ToText(Evaluate(*s.expressions[0]), budget));
    return Flow::normal;
  case Action::set:
    Assign(*s.targets[0], Evaluate(*s.expressions[0]));
    return Flow::normal;
  case Action::set_block:
  case Action::filter_block: {
    std::string text;
    if (s.is_new) Set(s.targets[0]->id, UndefinedName(*s.targets[0]));
    if (const Flow flow = ExecuteScope(s.blocks[0], &text); flow != Flow::normal) return flow;
    Value value = Value::Text(std::move(text), budget);
    if (!s.expressions.empty()) value = EvaluateFilter(*s.expressions[0], &value);
    if (s.action == Action::set_block)
      Assign(*s.targets[0], std::move(value));
    else
      Append(ToText(value, budget));
    return Flow::normal;
  }
  case Action::choose:
    for (size_t i = 0; i < s.blocks.size(); ++i)
      if (i == s.expressions.size() || IsTrue(Evaluate(*s.expressions[i]))) return Execute(s.blocks[i]);
    return Flow::normal;
  case Action::loop:
    return ExecuteLoop(s);
  case Action::macro: {
    auto macro = std::make_shared<MacroObject>();
    macro->statement = &s;
    Set(s.id, Value::Of(Kind::macro, std::move(macro)));
    return Flow::normal;
  }
  case Action::with:
    return ExecuteWith(s);
  case Action::generation:
    return ExecuteScope(s.blocks[0]);
  case Action::break_loop:
    return Flow::broken;
  case Action::continue_loop:
    return Flow::continued;
  }
  return Flow::normal;
}

Evaluator::Flow Evaluator::ExecuteScope(const Block &block, std::string *out) {
  const Frame frame = frame_;
  std::string *const around = out_;
  frame_.scope = locals_.size(), frame_.root = false;
  if (out) out_ = out;
  const Flow flow = Execute(block);
  out_ = around;
  locals_.resize(frame_.scope);
  frame_ = frame;
  return flow;
}

Evaluator::Flow Evaluator::ExecuteWith(const Statement &s) {
  const Frame frame = frame_;
  const size_t mark = locals_.size();
  List values; // none sees another
  for (const ExpressionPtr &expression : s.expressions) values.push_back(Evaluate(*expression));
  for (size_t i = 0; i < values.size(); ++i) Bind(s.targets[i]->id, std::move(values[i]));
  frame_.scope = mark, frame_.root = false;
  const Flow flow = Execute(s.blocks[0]);
  locals_.resize(mark);
  frame_ = frame;
  return flow;
}

void Evaluator::Set(int id, Value value) {
  if (frame_.root) {
    root_[id] = std::move(value);
    return;
  }
  size_t i = locals_.size();
  while (i > frame_.scope && locals_[i - 1].first != id) --i;
  budget.Charge(static_cast<int64_t>((locals_.size() - i) / 16));
  if (i > frame_.scope)
    locals_[i - 1].second = std::move(value);
  else
    Bind(id, std::move(value));
}

void Evaluator::Assign(const Expression &target, Value value) {
  if (target.op == Op::name) return Set(target.id, std::move(value));
  if (target.op == Op::attribute) {
    const Value object = EvaluateName(*target.children[0]);
    if (!object.Is(Kind::name_space))
      Fail(StrCat("'", target.children[0]->text.substr(0, 100), "' is no namespace: its attribute ",
                  target.text.substr(0, 100), " cannot be set"));
    return object.object<Namespace>()->Set(target.text, std::move(value), budget);
  }
  const auto items = Iterate(value, budget);
  if (items.size() != target.children.size())
    Fail(StrCat(items.size(), " values are given to ", target.children.size(), " names"));
  for (size_t i = 0; i < items.size(); ++i) Assign(*target.children[i], items[i]);
}

Evaluator::Flow Evaluator::ExecuteLoop(const Statement &s) {
  auto loop = std::make_shared<LoopState>(Iterate(Evaluate(*s.expressions[0]), budget));
  loop->statement = &s;
  loop->filtered = s.expressions[1] != nullptr;
  struct Ends {
    LoopState &loop;
    ~Ends() { loop.End(); }
  } ends{*loop};
  const Frame frame = frame_;
  loop->base = frame_.base, loop->mark = locals_.size();
  bool any = false;
  for (std::optional<Value> item; (item = Advance(*loop)); any = true) {
    budget.Charge(1);
    loop->before = std::exchange(loop->current, item);
    ++loop->index0;
    frame_.scope = loop->mark, frame_.root = false;
    if (loop_id_ >= 0) Bind(loop_id_, Value::Of(Kind::loop, loop));
    Assign(*s.targets[0], *std::move(item));
    const Flow flow = Execute(s.blocks[0]);
    locals_.resize(loop->mark);
    frame_ = frame;
    if (flow == Flow::broken) return Flow::normal;
  }
  return any || s.blocks.size() < 2 ? Flow::normal : ExecuteScope(s.blocks[1]);
}

Value Evaluator::CallMacro(const Statement &macro, const Arguments &arguments) {
  const size_t mark = locals_.size(), count = macro.parameters.size();
  const std::string name = macro.text.substr(0, 100);
  if (arguments.positional.size() > count)
    Fail(StrCat("the macro ", name, " takes ", count, " arguments, got ", arguments.positional.size()));
  std::vector<std::optional<Value>> values(count);
  for (size_t i = 0; i < arguments.positional.size(); ++i) values[i] = arguments.positional[i];
  for (const auto &[keyword, value] : arguments.keywords) {
    const auto at = std::find(macro.parameter_names.begin(), macro.parameter_names.end(), keyword);
    const size_t i = at - macro.parameter_names.begin();
    if (i == count || values[i])
      Fail(StrCat("the macro ", name, " takes no further argument ", keyword.substr(0, 100)));
    values[i] = value;
  }
  const Frame frame = frame_;
  std::string *const around = out_;
  std::string text;
  frame_ = {mark, mark, false};
  const size_t defaults = macro.expressions.size();
  for (size_t i = 0; i < count; ++i) { // a default sees the parameters before it
    Value value = values[i] ? *std::move(values[i])
                  : i + defaults >= count
                      ? Evaluate(*macro.expressions[i + defaults - count])
                      : Value::Undefined(StrCat("parameter '", macro.parameter_names[i].substr(0, 100),
                                                "' was not provided"));
    Bind(macro.parameters[i], std::move(value));
  }
  out_ = &text;
  Execute(macro.blocks[0]);
  out_ = around;
  locals_.resize(mark);
  frame_ = frame;
  return Value::Text(std::move(text), budget);
}

} // namespace weft::jinja
