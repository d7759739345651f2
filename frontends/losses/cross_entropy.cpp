#include "frontends/losses/cross_entropy.h"

#include "frontends/dsl/record.h"

namespace weft {

Tensor log_sum_exp(Arg x) {
  LineGuard guard(x.at);
  Tensor m = stop_gradient(max_along(x, {-1}, true)); // (…, 1)
  Shape shape = x.shape();
  shape.pop_back();
  return reshape(m, shape) + log(sum(exp(x - m), {-1}));
}

Tensor token_logprobs(Arg logits, Arg targets) {
  LineGuard guard(logits.at);
  detail::require_float(logits, "cross_entropy", logits.at);
  detail::require_int(targets, "cross_entropy's target tensor", logits.at);
  if (logits.rank() != 3 || targets.shape() != Shape{logits.dim(0), logits.dim(1)})
    fail(logits.at,
         "cross_entropy of logits " + shape_text(logits.shape()) + " and targets " +
             shape_text(targets.shape()) + ": should be (batch, seq, vocab) and (batch, seq)",
         {{logits.line(), "logits made here"}, {targets.line(), "targets made here"}});
  Tensor index = iota(logits.shape(), 2, targets.dtype());
  Tensor target = reshape(targets, {targets.dim(0), targets.dim(1), 1});
  Tensor picked = sum(where(index == target, logits, 0), {-1}); // one term is not zero: exact
  return picked - log_sum_exp(logits);
}

Tensor token_entropy(Arg logits) {
  LineGuard guard(logits.at);
  detail::require_float(logits, "token_entropy", logits.at);
  Tensor lse = log_sum_exp(logits);
  Shape column = lse.shape();
  column.push_back(1);
  return lse - sum(exp(logits - reshape(lse, column)) * logits, {-1});
}

CrossEntropy cross_entropy(Arg logits, Arg targets) {
  LineGuard guard(logits.at);
  Tensor logprobs = token_logprobs(logits, targets), valid = targets >= 0;
  logprobs = where(valid, logprobs, 0);
  return {-sum(logprobs), sum(cast(valid, DType::f32)), logprobs};
}

} // namespace weft
