#include "frontends/dsl/repeat.h"

#include "frontends/dsl/record.h"

namespace weft::detail {

RepeatTrace::RepeatTrace(const Scope &s, Range range, const std::vector<Tensor> &carry,
                         const std::vector<Tensor> &stacked, const SourceLine &at)
    : scope_(s.repeated(range)), range_(range), carry_(carry), stacked_(stacked), at_(at), path_(scope_) {
  std::string interval = "[" + std::to_string(range.begin);
  interval.append(", ").append(std::to_string(range.end)).append(")");
  if (range.begin < 0 || range.end < range.begin) fail(at, "repeat of " + s.path() + " over " + interval);
  std::vector<Value> values;
  for (const Tensor &x : carry) {
    require_tensor(x, "repeat", at);
    values.push_back(x.value());
  }
  for (const Tensor &x : stacked) {
    require_tensor(x, "repeat", at);
    if (x.rank() < 1 || x.shape()[0] < range.end)
      fail(at, "repeat over " + interval + " needs constants for each layer, got " + shape_text(x.shape()),
           {{x.line(), "constants made here"}});
    values.push_back(x.value());
    values.back().shape.erase(values.back().shape.begin());
  }
  LineGuard guard(at);
  builder().begin_repeat(range.begin, range.end);
  for (Value &value : builder().begin_function(scope_.path(), values))
    inside_.emplace_back(std::move(value), blamed_line(at));
}

std::vector<Tensor> RepeatTrace::finish(const std::vector<Tensor> &results) {
  std::vector<Value> values, carry;
  if (results.size() != carry_.size())
    fail(at_, "the body of repeat gives " + std::to_string(results.size()) + " tensors when it should give " +
                  std::to_string(carry_.size()));
  for (size_t i = 0; i < results.size(); ++i) {
    require_tensor(results[i], "repeat's body", at_);
    if (results[i].shape() != carry_[i].shape() || results[i].dtype() != carry_[i].dtype())
      fail(at_,
           std::string("the body of repeat gives ") + dtype_name(results[i].dtype()) + " " +
               shape_text(results[i].shape()) + " when it should give what it takes, " +
               dtype_name(carry_[i].dtype()) + " " + shape_text(carry_[i].shape()),
           {{results[i].line(), "result made here"}, {carry_[i].line(), "first operand made here"}});
    values.push_back(results[i].value());
    carry.push_back(carry_[i].value());
  }
  std::vector<Value> stacked;
  for (const Tensor &x : stacked_) stacked.push_back(x.value());
  LineGuard guard(at_);
  int body = builder().end_function(values);
  builder().end_repeat();
  std::vector<Tensor> out;
  for (Value &value : builder().repeat(body, carry, stacked, range_.begin, range_.end))
    out.emplace_back(std::move(value), blamed_line(at_));
  return out;
}

} // namespace weft::detail
