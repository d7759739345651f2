// Multi-token prediction (DeepSeek-V3, arXiv:2412.19437, section 2.2), of depth 1: from what the model makes
// of token i, and token i + 1, a further block predicts token i + 2. What is of a model's own (the block, the
// head, the weight of the loss) stands in the model: deepseek_v3.cc.
#pragma once
#include "frontends/dsl/sequence.h"
#include "frontends/layers/linear.h"

namespace weft {

// Element i + 1 of each sequence in place i; `fill` in the last.   x: (batch, seq)
Tensor next_in_sequence(Arg x, double fill);

// The token after the next of the same document, -1 where there is none, or it is no target: (batch, seq)
// i32.
Tensor mtp_targets(const Sequence &seq, Caller at = {});

// M [RMSNorm(Emb(t_{i+1})); RMSNorm(h_i)], equation 21 with the two in the order of the published weights.
//   hidden, embedded: (batch, seq, dim)  ->  the same.   Parameters: enorm, hnorm, eh_proj (dim, 2 dim).
Tensor mtp_input(Scope s, Arg hidden, Arg embedded, double norm_eps = 1e-6, Init init = normal(0.02));

} // namespace weft
