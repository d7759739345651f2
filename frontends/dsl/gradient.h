// Gradients in a model: of a function written in the DSL, and given by hand.
//
// The training step asks for the loss's gradient by itself. A model needs these for a penalty on a gradient,
// an energy's forces, or an op whose own gradient is not the one wanted:
//
//   Tensor slope = grad(x, [&](Tensor x) { return sum(energy(x)); });              // (batch, dim), as x
//   Tensor y = custom_gradient({x}, [](auto x) { return round(x[0]); },            // straight through
//                              [](auto x, Tensor y, Tensor dy) { return std::vector{dy}; });
//
// A function may use tensors and parameters from outside: they are trained through what `grad` gives, like
// any other; of custom_gradient only what is named in `xs` gets a gradient. A function here cannot hold
// attention, which keeps a cache.
#pragma once
#include "frontends/dsl/tensor.h"

namespace weft {
namespace detail {

// A function of tensors like `xs` under construction: begins when made, ends with finish.
class FunctionTrace {
public:
  FunctionTrace(const char *name, const std::vector<Tensor> &xs, const SourceLine &at);
  const std::vector<Tensor> &inside() const { return inside_; }
  int finish(const std::vector<Tensor> &results);

private:
  std::vector<Tensor> inside_;
  SourceLine at_;
};

void require_floats(const std::vector<Tensor> &xs, const char *what, const SourceLine &at);
void require_scalar(const Tensor &y, const char *what, const SourceLine &at);
void require_gradients(const std::vector<Tensor> &xs, const std::vector<Tensor> &gradients,
                       const SourceLine &at);
std::vector<Tensor> call_value_and_grad(int function, const std::vector<Tensor> &xs, const SourceLine &at);
Tensor call_custom_gradient(int forward, int backward, const std::vector<Tensor> &xs, const SourceLine &at);

class CheckpointGuard {
public:
  CheckpointGuard();
  ~CheckpointGuard();
  CheckpointGuard(const CheckpointGuard &) = delete;
  CheckpointGuard &operator=(const CheckpointGuard &) = delete;
};

} // namespace detail

// f(), of which backward keeps what goes in and computes the rest again (Chen et al., 2016;
// arXiv:1604.06174): memory for time, and the same bits. Around a block of a `repeat`, a layer keeps its
// input alone:
//   x = repeat(s / "layers", {0, c.layers}, x, [&](Scope s, Tensor x) { return checkpoint([&] { return
//   block(s, x, seq, c); }); });
template <class F> auto checkpoint(F &&f) {
  detail::CheckpointGuard guard;
  return f();
}

struct ValueAndGrad {
  Tensor value;                  // scalar
  std::vector<Tensor> gradients; // one for each of xs, with its shape
};

// f(xs) and its gradient with respect to each of xs.   f: vector of Tensor -> scalar Tensor; xs: floats
template <class F> ValueAndGrad value_and_grad(const std::vector<Tensor> &xs, F &&f, Caller at = {}) {
  detail::require_floats(xs, "value_and_grad", at.line);
  detail::FunctionTrace trace("differentiated", xs, at.line);
  Tensor y = f(trace.inside());
  detail::require_scalar(y, "value_and_grad", at.line);
  std::vector<Tensor> all = detail::call_value_and_grad(trace.finish({y}), xs, at.line);
  return {all.front(), {all.begin() + 1, all.end()}};
}

// The gradient alone.   f: vector of Tensor -> scalar Tensor
template <class F> std::vector<Tensor> grad(const std::vector<Tensor> &xs, F &&f, Caller at = {}) {
  return value_and_grad(xs, f, at).gradients;
}
// Of a function of one tensor: its gradient has x's shape.   f: Tensor -> scalar Tensor
template <class F> Tensor grad(Arg x, F &&f) {
  return grad(
             {x}, [&](const std::vector<Tensor> &inside) { return f(inside.front()); }, x.at)
      .front();
}

// forward(xs), whose gradient with respect to xs is backward(xs, y, dy): one tensor for each of xs, with its
// shape.
//   forward: vector of Tensor -> Tensor; y is its result, dy the gradient with respect to it; xs: floats
template <class F, class B>
Tensor custom_gradient(const std::vector<Tensor> &xs, F &&forward, B &&backward, Caller at = {}) {
  detail::require_floats(xs, "custom_gradient", at.line);
  detail::FunctionTrace there("forward", xs, at.line);
  Tensor y = forward(there.inside());
  detail::require_floats({y}, "custom_gradient's forward", at.line);
  int f = there.finish({y});
  std::vector<Tensor> taken = xs;
  taken.insert(taken.end(), {y, y}); // their shapes
  detail::FunctionTrace back("backward", taken, at.line);
  std::vector<Tensor> x(back.inside().begin(), back.inside().begin() + xs.size());
  std::vector<Tensor> gradients = backward(x, back.inside()[xs.size()], back.inside()[xs.size() + 1]);
  detail::require_gradients(xs, gradients, at.line);
  int g = back.finish(gradients);
  return detail::call_custom_gradient(f, g, xs, at.line);
}

} // namespace weft
