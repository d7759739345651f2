// Equal layers as one function over stacked parameters (graph.repeat).
#pragma once
#include "frontends/dsl/scope.h"

namespace weft {
namespace detail {

// The parts of repeat() that do not depend on the body's type.
class RepeatTrace {
public:
  RepeatTrace(const Scope &s, Range range, const std::vector<Tensor> &carry,
              const std::vector<Tensor> &stacked, const SourceLine &at);
  const Scope &scope() const { return scope_; }
  // The body's tensors: what is carried, then this layer's slices of what is stacked.
  const std::vector<Tensor> &inside() const { return inside_; }

  std::vector<Tensor> finish(const std::vector<Tensor> &results);

private:
  Scope scope_;
  Range range_;
  std::vector<Tensor> carry_, stacked_, inside_;
  SourceLine at_;
  PathGuard path_;
};

} // namespace detail

// body(scope, x) -> x' for each layer of the range, in order; gives the last x'. The body runs once, as one
// function: parameters made in it are stacked over the layers, and tensors from outside may be used in it. It
// makes what it takes: x' has the shape and type of x.
template <class Body> Tensor repeat(Scope s, Range range, Arg x, Body &&body) {
  if (range.begin == range.end) return x;
  detail::RepeatTrace trace(s, range, {x}, {}, x.at);
  return trace.finish({body(trace.scope(), trace.inside().at(0))}).at(0);
}

// The same with a constant a layer: body(scope, x, constant), where layer i is given row i of `constants`
// (end or more, …).
template <class Body> Tensor repeat(Scope s, Range range, Arg x, Arg constants, Body &&body) {
  if (range.begin == range.end) return x;
  detail::RepeatTrace trace(s, range, {x}, {constants}, x.at);
  return trace.finish({body(trace.scope(), trace.inside().at(0), trace.inside().at(1))}).at(0);
}

// The same with several tensors carried from layer to layer: body(scope, vector) -> vector.
template <class Body>
std::vector<Tensor> repeat(Scope s, Range range, const std::vector<Tensor> &carry, Body &&body,
                           Caller at = {}) {
  if (range.begin == range.end) return carry;
  detail::RepeatTrace trace(s, range, carry, {}, at.line);
  return trace.finish(body(trace.scope(), trace.inside()));
}

} // namespace weft
