#include "frontends/layers/attention.h"

#include <cmath>

#include "frontends/dsl/record.h"
#include "frontends/layers/rms_norm.h"

namespace weft {

double residual_scale(i64 layers) { return 0.02 / std::sqrt(2.0 * static_cast<double>(layers)); }

Tensor attention(Scope s, Arg x, const Sequence &seq, AttentionOptions o) {
  LayerGuard guard(s, x.at);
  if (x.rank() != 3)
    fail(x.at, "attention of " + shape_text(x.shape()) + ": should be (batch, seq, dim)",
         {{x.line(), "operand made here"}});
  i64 batch = x.dim(0), length = x.dim(1), dim = x.dim(2), kv_heads = o.kv_heads ? o.kv_heads : o.heads;
  if (o.heads <= 0 || kv_heads <= 0 || o.heads % kv_heads)
    fail(x.at, "attention: heads " + std::to_string(o.heads) + " is not a multiple of kv_heads " +
                   std::to_string(kv_heads));
  if (!o.head_dim && dim % o.heads)
    fail(x.at, "attention: dim " + std::to_string(dim) + " is not a multiple of heads " +
                   std::to_string(o.heads) + "; set head_dim");
  i64 head_dim = o.head_dim ? o.head_dim : dim / o.heads;
  if (head_dim % 2)
    fail(x.at, "attention: head_dim " + std::to_string(head_dim) + " should be even for rotary positions");

  LinearOptions in{.bias = o.bias, .init = o.init};
  Tensor q = reshape(linear(s / "q_proj", x, o.heads * head_dim, in), {batch, length, o.heads, head_dim});
  Tensor k = reshape(linear(s / "k_proj", x, kv_heads * head_dim, in), {batch, length, kv_heads, head_dim});
  Tensor v = reshape(linear(s / "v_proj", x, kv_heads * head_dim, in), {batch, length, kv_heads, head_dim});

  if (o.head_norm) {
    q = rms_norm(s / "q_norm", q, o.norm_eps);
    k = rms_norm(s / "k_norm", k, o.norm_eps);
  }

  RotaryTables tables = rotary_tables(seq.positions, head_dim, o.rope);
  q = rotary(q, tables);
  k = seq.cache(s, "k_cache", rotary(k, tables)); // (batch, keys, kv_heads, head_dim)
  v = seq.cache(s, "v_cache", v);

  Tensor y = attend(q, k, v, seq.key_begin, seq.key_end, 1 / std::sqrt(static_cast<double>(head_dim))).out;
  return linear(s / "o_proj", reshape(y, {batch, length, o.heads * head_dim}), dim, {.init = o.output_init});
}

} // namespace weft
