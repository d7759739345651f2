#include "frontends/layers/mtp.h"

#include "frontends/dsl/record.h"
#include "frontends/layers/rms_norm.h"

namespace weft {

Tensor next_in_sequence(Arg x, double fill) {
  LineGuard guard(x.at);
  if (x.rank() != 2)
    fail(x.at, "next_in_sequence of " + shape_text(x.shape()) + ": should be (batch, seq)",
         {{x.line(), "operand made here"}});
  i64 batch = x.dim(0), length = x.dim(1);
  Tensor last = full({batch, 1}, fill, x.dtype());
  return length == 1 ? last : concat({slice(x, 1, 1, length), last}, 1);
}

Tensor mtp_targets(const Sequence &seq, Caller at) {
  LineGuard guard(at.line);
  if (seq.targets.empty()) fail(at.line, "mtp_targets: a sequence has targets in training alone");
  Tensor same = next_in_sequence(seq.documents, -1) == seq.documents; // documents are numbered from 0
  return where(same, next_in_sequence(seq.targets, -1), -1);
}

Tensor mtp_input(Scope s, Arg hidden, Arg embedded, double norm_eps, Init init) {
  LayerGuard guard(s, hidden.at);
  if (hidden.rank() != 3 || embedded.shape() != hidden.shape())
    fail(hidden.at,
         "mtp_input of " + shape_text(hidden.shape()) + " and " + shape_text(embedded.shape()) +
             ": should both be (batch, seq, dim)",
         {{hidden.line(), "hidden made here"}, {embedded.line(), "embedded made here"}});
  Tensor e = rms_norm(s / "enorm", embedded, norm_eps), h = rms_norm(s / "hnorm", hidden, norm_eps);
  return linear(s / "eh_proj", concat({e, h}, -1), hidden.dim(2), {.init = init});
}

} // namespace weft
