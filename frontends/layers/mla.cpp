#include "frontends/layers/mla.h"

#include <cmath>

#include "frontends/dsl/record.h"
#include "frontends/layers/rms_norm.h"

namespace weft {
namespace {

void check_options(const Arg &x, const MlaOptions &o) {
  if (x.rank() != 3)
    fail(x.at, "mla of " + shape_text(x.shape()) + ": should be (batch, seq, dim)",
         {{x.line(), "operand made here"}});
  constexpr i64 most = 1 << 24; // so that products of two of them, and their sums, do not overflow
  struct Size {
    const char *name;
    i64 value, least;
  };
  for (const Size &size :
       {Size{"heads", o.heads, 1}, Size{"q_lora_rank", o.q_lora_rank, 0},
        Size{"kv_lora_rank", o.kv_lora_rank, 1}, Size{"qk_nope_head_dim", o.qk_nope_head_dim, 1},
        Size{"qk_rope_head_dim", o.qk_rope_head_dim, 2}, Size{"v_head_dim", o.v_head_dim, 1}})
    if (size.value < size.least || size.value > most)
      fail(x.at, std::string("mla: ") + size.name + " is " + std::to_string(size.value) +
                     " when it should be " + std::to_string(size.least) + " to " + std::to_string(most));
  if (o.qk_rope_head_dim % 2)
    fail(x.at, "mla: qk_rope_head_dim " + std::to_string(o.qk_rope_head_dim) +
                   " should be even for rotary positions");
}

// Rotates adjacent pairs of the last dimension. They come out as halves, which changes no score: queries and
// keys are permuted alike.   x: (batch, seq, heads, dim)
Tensor rotary_of_pairs(const Tensor &x, const RotaryTables &tables) {
  Shape pairs = x.shape();
  pairs.back() /= 2;
  pairs.push_back(2);
  Tensor halves = reshape(transpose(reshape(x, pairs), {0, 1, 2, 4, 3}), x.shape());
  return rotary(halves, tables);
}

} // namespace

Tensor mla(Scope s, Arg x, const Sequence &seq, MlaOptions o) {
  LayerGuard guard(s, x.at);
  check_options(x, o);
  i64 batch = x.dim(0), length = x.dim(1), dim = x.dim(2);
  i64 nope = o.qk_nope_head_dim, rope = o.qk_rope_head_dim, width = nope + rope;
  LinearOptions in{.init = o.init};

  Tensor q = x;
  if (o.q_lora_rank)
    q = rms_norm(s / "q_a_layernorm", linear(s / "q_a_proj", x, o.q_lora_rank, in), o.norm_eps);
  q = linear(s / (o.q_lora_rank ? "q_b_proj" : "q_proj"), q, o.heads * width, in);
  q = reshape(q, {batch, length, o.heads, width});

  Tensor latent = linear(s / "kv_a_proj_with_mqa", x, o.kv_lora_rank + rope, in);
  Tensor c = rms_norm(s / "kv_a_layernorm", slice(latent, -1, 0, o.kv_lora_rank), o.norm_eps);
  Tensor kv = linear(s / "kv_b_proj", c, o.heads * (nope + o.v_head_dim), in);
  kv = reshape(kv, {batch, length, o.heads, nope + o.v_head_dim});

  RotaryTables tables = rotary_tables(seq.positions, rope, o.rope);
  q = concat({slice(q, -1, 0, nope), rotary_of_pairs(slice(q, -1, nope, width), tables)}, -1);
  Tensor shared = reshape(slice(latent, -1, o.kv_lora_rank, o.kv_lora_rank + rope), {batch, length, 1, rope});
  shared = broadcast_to(rotary_of_pairs(shared, tables), {batch, length, o.heads, rope});
  Tensor k = concat({slice(kv, -1, 0, nope), shared}, -1);

  k = seq.cache(s, "k_cache", k); // (batch, keys, heads, width)
  Tensor v = seq.cache(s, "v_cache", slice(kv, -1, nope, nope + o.v_head_dim));
  double scale = o.scale_factor / std::sqrt(static_cast<double>(width));
  Tensor y = attend(q, k, v, seq.key_begin, seq.key_end, scale).out; // (batch, seq, heads, v_head_dim)
  y = reshape(y, {batch, length, o.heads * o.v_head_dim});
  return linear(s / "o_proj", y, dim, {.init = o.output_init});
}

} // namespace weft
