// Llama 2 and 3 (Touvron et al., 2023, arXiv:2307.09288; Grattafiori et al., 2024, arXiv:2407.21783): a
// pre-norm decoder with rotary grouped-query attention and SwiGLU. Parameters have the names of Hugging
// Face's LlamaForCausalLM.
#include <weft/weft.h>
using namespace weft;

struct Config {
  i64 vocab = 4096, dim = 256, ffn = 704, layers = 6, heads = 4, kv_heads = 2;
  i64 head_dim = 0;          // 0: dim / heads
  double rope_theta = 10000; // base of the rotary wavelengths
  double rope_factor =
      1; // > 1: Llama 3.1's stretching of the wavelengths that turn less than 4 times in rope_context tokens
  i64 rope_context = 8192; // tokens it was first trained with
  double norm_eps = 1e-5;
  bool tied = false;  // the head uses the embedding's table
  i64 context = 2048; // tokens it is meant for, at most
  WEFT_FIELDS(vocab, dim, ffn, layers, heads, kv_heads, head_dim, rope_theta, rope_factor, rope_context,
              norm_eps, tied, context)

  std::string hugging_face_config() const;
};

// x: (batch, seq, dim)
Tensor block(Scope s, Tensor x, const Sequence &seq, const Config &c) {
  Init residual = normal(residual_scale(c.layers)); // so that the stream's variance does not grow with depth
  AttentionOptions attention_options{
      .heads = c.heads, .kv_heads = c.kv_heads, .head_dim = c.head_dim, .rope_theta = c.rope_theta};
  attention_options.rope = {.factor = c.rope_factor, .original_context = c.rope_context};
  attention_options.output_init = residual;
  x = x + attention(s / "self_attn", rms_norm(s / "input_layernorm", x, c.norm_eps), seq, attention_options);
  return x + swiglu(s / "mlp", rms_norm(s / "post_attention_layernorm", x, c.norm_eps), c.ffn,
                    {.output_init = residual});
}

Tensor llama(Scope s, const Sequence &seq, const Config &c) {
  Tensor x = embedding(s / "embed_tokens", seq.tokens, c.vocab, c.dim);
  x = repeat(s / "layers", {0, c.layers}, x, [&](Scope s, Tensor x) { return block(s, x, seq, c); });
  return lm_head(s / (c.tied ? "embed_tokens" : "lm_head"), rms_norm(s / "norm", x, c.norm_eps), c.vocab);
}
WEFT_MODEL(llama)

std::string Config::hugging_face_config() const {
  JsonObject config =
      weft::hugging_face_config({"LlamaForCausalLM", "llama", vocab, dim, ffn, layers, heads,
                                 kv_heads ? kv_heads : heads, context, norm_eps, rope_theta, tied});
  config.add("head_dim", head_dim ? head_dim : dim / heads)
      .add("attention_bias", false)
      .add("mlp_bias", false);
  if (rope_factor == 1) return config.add_null("rope_scaling").text();
  JsonObject rope;
  rope.add("rope_type", "llama3").add("factor", rope_factor);
  rope.add("low_freq_factor", 1.0).add("high_freq_factor", 4.0);
  return config.add("rope_scaling", rope.add("original_max_position_embeddings", rope_context)).text();
}
