#include "frontends/dsl/gradient.h"

#include "frontends/dsl/record.h"

namespace weft::detail {

FunctionTrace::FunctionTrace(const char *name, const std::vector<Tensor> &xs, const SourceLine &at)
    : at_(at) {
  std::vector<Value> like;
  for (const Tensor &x : xs) like.push_back(x.value());
  LineGuard guard(at);
  for (Value &value : builder().begin_function(name, like))
    inside_.emplace_back(std::move(value), blamed_line(at));
}

int FunctionTrace::finish(const std::vector<Tensor> &results) {
  std::vector<Value> values;
  for (const Tensor &x : results) values.push_back(x.value());
  LineGuard guard(at_);
  return builder().end_function(values);
}

void require_floats(const std::vector<Tensor> &xs, const char *what, const SourceLine &at) {
  if (xs.empty()) fail(at, std::string(what) + " of no tensors");
  for (const Tensor &x : xs) require_float(x, what, at);
}

void require_scalar(const Tensor &y, const char *what, const SourceLine &at) {
  require_float(y, what, at);
  if (y.rank() != 0)
    fail(at,
         std::string("the function of ") + what + " gives " + shape_text(y.shape()) +
             " when it should give a scalar",
         {{y.line(), "result made here"}});
}

void require_gradients(const std::vector<Tensor> &xs, const std::vector<Tensor> &gradients,
                       const SourceLine &at) {
  if (gradients.size() != xs.size())
    fail(at, "the backward of custom_gradient gives " + std::to_string(gradients.size()) +
                 " tensors when it should give " + std::to_string(xs.size()));
  for (size_t i = 0; i < xs.size(); ++i) {
    require_tensor(gradients[i], "custom_gradient's backward", at);
    if (gradients[i].shape() != xs[i].shape() || gradients[i].dtype() != xs[i].dtype())
      fail(at,
           "the backward of custom_gradient gives " + std::string(dtype_name(gradients[i].dtype())) + " " +
               shape_text(gradients[i].shape()) + " as gradient number " + std::to_string(i) +
               " when it should be " + dtype_name(xs[i].dtype()) + " " + shape_text(xs[i].shape()),
           {{gradients[i].line(), "gradient made here"}, {xs[i].line(), "operand made here"}});
  }
}

static std::vector<Value> values_of(const std::vector<Tensor> &xs) {
  std::vector<Value> values;
  for (const Tensor &x : xs) values.push_back(x.value());
  return values;
}

std::vector<Tensor> call_value_and_grad(int function, const std::vector<Tensor> &xs, const SourceLine &at) {
  LineGuard guard(at);
  std::vector<Tensor> out;
  for (Value &v : builder().value_and_grad(function, values_of(xs)))
    out.emplace_back(std::move(v), blamed_line(at));
  return out;
}

Tensor call_custom_gradient(int forward, int backward, const std::vector<Tensor> &xs, const SourceLine &at) {
  LineGuard guard(at);
  return {builder().custom_gradient(forward, backward, values_of(xs)).at(0), blamed_line(at)};
}

CheckpointGuard::CheckpointGuard() { builder().begin_checkpoint(); }
CheckpointGuard::~CheckpointGuard() { builder().end_checkpoint(); }

} // namespace weft::detail
