// What a loop says of itself: loop.index, loop.last, ….
#include "runtime/text/jinja_loop.h"

#include <algorithm>

#include "runtime/data/str_cat.h"
#include "runtime/text/jinja_evaluator.h"

namespace weft::jinja {

// Sees the names around the loop, and the element.
bool Evaluator::Passes(LoopState &loop, const Value &item) {
  const Frame frame = frame_;
  const std::vector<std::pair<int, Value>> inner(locals_.begin() + static_cast<int64_t>(loop.mark),
                                                 locals_.end());
  budget.Charge(static_cast<int64_t>(inner.size()) + 1);
  locals_.resize(loop.mark);
  frame_ = {loop.base, loop.mark, false};
  Assign(*loop.statement->targets[0], item);
  const bool passes = IsTrue(Evaluate(*loop.statement->expressions[1]));
  locals_.resize(loop.mark);
  locals_.insert(locals_.end(), inner.begin(), inner.end());
  frame_ = frame;
  return passes;
}

std::optional<Value> Evaluator::Advance(LoopState &loop) {
  if (std::exchange(loop.peeked, false)) return std::exchange(loop.after, std::nullopt);
  while (loop.next < loop.items.size()) {
    const Value &item = loop.items[loop.next++];
    if (!loop.filtered || Passes(loop, item)) return item;
  }
  return std::nullopt;
}

const std::optional<Value> &Evaluator::Peek(LoopState &loop) {
  if (!loop.peeked) {
    loop.after = Advance(loop);
    loop.peeked = true;
  }
  return loop.after;
}

int64_t Evaluator::Length(LoopState &loop) {
  if (loop.filtered) { // look at all that is left, once
    List rest;
    if (loop.peeked && loop.after) rest.push_back(*loop.after);
    loop.peeked = false, loop.after.reset();
    while (std::optional<Value> item = Advance(loop)) rest.push_back(*std::move(item));
    loop.items = Iterate(MakeSequence(Kind::list, std::move(rest), budget), budget);
    loop.next = 0, loop.filtered = false;
  }
  const int64_t looked_at = static_cast<int64_t>(loop.next) - (loop.peeked && loop.after ? 1 : 0);
  return loop.index0 + 1 + static_cast<int64_t>(loop.items.size()) - looked_at;
}

std::optional<Value> Evaluator::LoopAttribute(const Value &value, std::string_view name) {
  LoopState &loop = *value.object<LoopState>();
  if (loop.ended) Fail("a loop is asked after its end");
  if (name == "index") return Value::Integer(loop.index0 + 1);
  if (name == "index0") return Value::Integer(loop.index0);
  if (name == "first") return Value::Bool(loop.index0 == 0);
  if (name == "last") return Value::Bool(!Peek(loop).has_value());
  if (name == "length") return Value::Integer(Length(loop));
  if (name == "revindex") return Value::Integer(Length(loop) - loop.index0);
  if (name == "revindex0") return Value::Integer(Length(loop) - loop.index0 - 1);
  if (name == "depth") return Value::Integer(1);
  if (name == "depth0") return Value::Integer(0);
  if (name == "previtem") return loop.before ? *loop.before : Value::Undefined("there is no previous item");
  if (name == "nextitem") return Peek(loop) ? *loop.after : Value::Undefined("there is no next item");
  if (name == "cycle" || name == "changed") {
    auto method = std::make_shared<Method>();
    method->self = value, method->name = name;
    return Value::Of(Kind::method, std::move(method));
  }
  return std::nullopt;
}

Value Evaluator::CallLoopMethod(const Method &method, const Arguments &arguments) {
  LoopState &loop = *method.self.object<LoopState>();
  if (loop.ended) Fail("a loop is asked after its end");
  if (!arguments.keywords.empty()) Fail(StrCat("loop.", method.name, " takes no named arguments"));
  const List &given = arguments.positional;
  if (method.name == "cycle") {
    if (given.empty()) Fail("loop.cycle has nothing to choose from");
    return given[static_cast<size_t>(loop.index0) % given.size()];
  }
  Value now = MakeSequence(Kind::tuple, given, budget);
  const bool changed = !loop.changed || !Equal(*loop.changed, now, budget);
  loop.changed = std::move(now);
  return Value::Bool(changed);
}

} // namespace weft::jinja
