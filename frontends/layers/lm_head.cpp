#include "frontends/layers/lm_head.h"

#include "frontends/dsl/record.h"

namespace weft {

Tensor lm_head(Scope s, Arg x, i64 vocab, LinearOptions options) {
  LayerGuard guard(s, x.at);
  Tensor rows = x;
  if (s.trace() && !s.trace()->head_rows.empty()) {
    if (x.rank() != 3)
      fail(x.at, "lm_head of " + shape_text(x.shape()) + ": should be (batch, seq, dim)",
           {{x.line(), "operand made here"}});
    i64 batch = x.dim(0), length = x.dim(1), dim = x.dim(2);
    Tensor index = s.trace()->head_rows; // (batch)
    if (batch > 1) index = iota({batch}, 0, index.dtype()) * static_cast<double>(length) + index;
    rows = reshape(gather(reshape(x, {batch * length, dim}), index), {batch, 1, dim});
  }
  return linear(s, rows, vocab, options);
}

} // namespace weft
