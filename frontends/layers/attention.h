// Causal self-attention with rotary positions: multi-head, or grouped-query (Ainslie et al., 2023;
// arXiv:2305.13245) with kv_heads < heads.
#pragma once
#include "frontends/dsl/sequence.h"
#include "frontends/layers/linear.h"
#include "frontends/layers/rotary.h"

namespace weft {

struct AttentionOptions {
  i64 heads = 1;
  i64 kv_heads = 0; // 0: as many as heads
  i64 head_dim = 0; // 0: dim / heads
  RotaryOptions rope = {};
  bool bias = false;      // of the q, k and v projections
  bool head_norm = false; // RMSNorm of each head's q and k, before the rotation (Qwen3); one weight
                          // (head_dim) for all heads
  double norm_eps = 1e-6; // its epsilon
  Init init = normal(0.02);
  Init output_init =
      normal(0.02); // of o_proj; normal(residual_scale(layers)) keeps the residual stream's variance
};

// 0.02 / sqrt(2 layers): the standard deviation of projections back into the residual stream (GPT-2).
double residual_scale(i64 layers);

// x: (batch, seq, dim)  ->  the same. A query sees the keys of its document up to itself, in the sequence or
// in the cache: seq says which.
Tensor attention(Scope s, Arg x, const Sequence &seq, AttentionOptions o);

} // namespace weft
