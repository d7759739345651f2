// Multi-head latent attention (DeepSeek-V2, arXiv:2405.04434, section 2.1; DeepSeek-V3, arXiv:2412.19437,
// section 2.1.1): queries, and keys with values, come from low-rank latents, and positions are in a part of
// their own, whose key all heads share. Parameters have the names of Hugging Face's DeepseekV3Attention.
#pragma once
#include "frontends/dsl/sequence.h"
#include "frontends/layers/linear.h"
#include "frontends/layers/rotary.h"

namespace weft {

struct MlaOptions {
  i64 heads = 1;
  i64 q_lora_rank = 0;      // width of the queries' latent; 0: none, one q_proj
  i64 kv_lora_rank = 0;     // width of the keys' and values' latent
  i64 qk_nope_head_dim = 0; // of a head's query and key, without positions
  i64 qk_rope_head_dim = 0; // with rotary positions, on adjacent pairs
  i64 v_head_dim = 0;       // of a head's value
  RotaryOptions rope = {};  // wavelengths of the rotary part
  double scale_factor =
      1; // of the scores, beside 1 / sqrt(qk_nope_head_dim + qk_rope_head_dim): YaRN's mscale²
  double norm_eps = 1e-6; // of the latents' norms
  Init init = normal(0.02);
  Init output_init = normal(0.02); // of o_proj
};

// x: (batch, seq, dim)  ->  the same. A query sees the keys of its document up to itself, in the sequence or
// in the cache: seq says which. In the expanded form, the only one of training and evaluation, the cache
// holds each head's keys and values, and a token's numbers have the same bits in training and in generation.
// In the absorbed form (the scope's trace asks for it) it holds kv_lora_rank + qk_rope_head_dim numbers a
// token for all heads, and sums are in another order: equal within a tolerance (docs/numerics.md).
Tensor mla(Scope s, Arg x, const Sequence &seq, MlaOptions o);

} // namespace weft
