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

// What attention is of: a query a head, and what a token's keys and values come from.
struct Projections {
  Tensor q_nope, q_rope; // (batch, seq, heads, nope or rope)
  Tensor c;              // (batch, seq, kv_lora_rank), the latent of keys and values
  Tensor k_rope;         // (batch, seq, 1, rope), the positions' key, which all heads share
};

Projections project(const Scope &s, const Tensor &x, const Sequence &seq, const MlaOptions &o) {
  i64 batch = x.dim(0), length = x.dim(1), nope = o.qk_nope_head_dim, rope = o.qk_rope_head_dim;
  LinearOptions in{.init = o.init};
  Tensor q = x;
  if (o.q_lora_rank)
    q = rms_norm(s / "q_a_layernorm", linear(s / "q_a_proj", x, o.q_lora_rank, in), o.norm_eps);
  q = linear(s / (o.q_lora_rank ? "q_b_proj" : "q_proj"), q, o.heads * (nope + rope), in);
  q = reshape(q, {batch, length, o.heads, nope + rope});

  Tensor latent = linear(s / "kv_a_proj_with_mqa", x, o.kv_lora_rank + rope, in);
  Tensor c = rms_norm(s / "kv_a_layernorm", slice(latent, -1, 0, o.kv_lora_rank), o.norm_eps);
  Tensor shared = reshape(slice(latent, -1, o.kv_lora_rank, o.kv_lora_rank + rope), {batch, length, 1, rope});
  RotaryTables tables = rotary_tables(seq.positions, rope, o.rope);
  return {slice(q, -1, 0, nope), rotary_of_pairs(slice(q, -1, nope, nope + rope), tables), c,
          rotary_of_pairs(shared, tables)};
}

// Each head's keys and values, as the paper's equations have them: (batch, seq, heads, v_head_dim).
Tensor expanded(const Scope &s, const Projections &p, const Sequence &seq, const MlaOptions &o,
                double scale) {
  i64 batch = p.c.dim(0), length = p.c.dim(1), nope = o.qk_nope_head_dim;
  Tensor kv = linear(s / "kv_b_proj", p.c, o.heads * (nope + o.v_head_dim), {.init = o.init});
  kv = reshape(kv, {batch, length, o.heads, nope + o.v_head_dim});
  Tensor shared = broadcast_to(p.k_rope, {batch, length, o.heads, o.qk_rope_head_dim});
  Tensor q = concat({p.q_nope, p.q_rope}, -1), k = concat({slice(kv, -1, 0, nope), shared}, -1);
  k = seq.cache(s, "k_cache", k); // (batch, keys, heads, nope + rope)
  Tensor v = seq.cache(s, "v_cache", slice(kv, -1, nope, nope + o.v_head_dim));
  return attend(q, k, v, seq.key_begin, seq.key_end, scale).out;
}

// The same with W^UK multiplied into the query and W^UV into the result, so that all heads attend to the
// latents themselves: (W^UK_i c) . q = c . (W^UK_i^T q), and the sum of p W^UV_i c is W^UV_i times that of p
// c.
Tensor absorbed(const Scope &s, const Projections &p, const Sequence &seq, const MlaOptions &o,
                double scale) {
  i64 batch = p.c.dim(0), length = p.c.dim(1), rows = batch * length, nope = o.qk_nope_head_dim,
      rank = o.kv_lora_rank;
  Tensor w = parameter(s / "kv_b_proj", "weight", {o.heads * (nope + o.v_head_dim), rank}, o.init, true);
  w = reshape(w, {o.heads, nope + o.v_head_dim, rank});
  // (batch, seq, heads, n) as (heads, rows, n), and back
  auto by_head = [&](const Tensor &t) {
    return transpose(reshape(t, {rows, o.heads, t.dim(-1)}), {1, 0, 2});
  };
  auto by_row = [&](const Tensor &t) {
    return reshape(transpose(t, {1, 0, 2}), {batch, length, o.heads, t.dim(-1)});
  };
  Tensor q = by_row(matmul(by_head(p.q_nope), slice(w, 1, 0, nope)));
  Tensor latents = concat({reshape(p.c, {batch, length, 1, rank}), p.k_rope}, -1);
  Tensor k = seq.cache(s, "latent_cache", latents); // (batch, keys, 1, rank + rope)
  Tensor y =
      attend(concat({q, p.q_rope}, -1), k, slice(k, -1, 0, rank), seq.key_begin, seq.key_end, scale).out;
  return by_row(matmul(by_head(y), slice(w, 1, nope, nope + o.v_head_dim), {.transpose_rhs = true}));
}

} // namespace

Tensor mla(Scope s, Arg x, const Sequence &seq, MlaOptions o) {
  LayerGuard guard(s, x.at);
  check_options(x, o);
  Projections p = project(s, x, seq, o);
  double scale = o.scale_factor / std::sqrt(static_cast<double>(o.qk_nope_head_dim + o.qk_rope_head_dim));
  CacheForm *cache = s.trace() ? s.trace()->cache : nullptr;
  bool latents = cache && cache->absorbed;
  if (latents) cache->has_latents = true;
  Tensor y = latents ? absorbed(s, p, seq, o, scale) : expanded(s, p, seq, o, scale);
  y = reshape(y, {x.dim(0), x.dim(1), o.heads * o.v_head_dim});
  return linear(s / "o_proj", y, x.dim(2), {.init = o.output_init});
}

} // namespace weft
