// Qwen3, dense (Yang et al., 2025, arXiv:2505.09388): Llama's decoder with an RMSNorm of each head's q and k.
// Parameters have the names of Hugging Face's Qwen3ForCausalLM.
#include <weft/weft.h>
using namespace weft;

struct Config : RotaryFields {
  i64 vocab = 4096, dim = 256, ffn = 704, layers = 6, heads = 4, kv_heads = 2;
  i64 head_dim = 64;
  double norm_eps = 1e-6;
  bool tied = false;  // the head uses the embedding's table
  i64 context = 2048; // tokens it is meant for, at most
  WEFT_FIELDS(vocab, dim, ffn, layers, heads, kv_heads, head_dim, norm_eps, tied, context, WEFT_ROTARY_FIELDS)
  Config() { rope_theta = 1000000; }

  static constexpr const char *hugging_face_architecture = "Qwen3ForCausalLM";
  static Config from_hugging_face(const HuggingFaceConfig &h);
  std::string hugging_face_config() const;
  WeightMap hugging_face_weights() const { return decoder_weights(tied); }
};

// x: (batch, seq, dim)
Tensor block(Scope s, Tensor x, const Sequence &seq, const Config &c) {
  Init residual = normal(residual_scale(c.layers)); // so that the stream's variance does not grow with depth
  x = x + attention(s / "self_attn", rms_norm(s / "input_layernorm", x, c.norm_eps), seq,
                    {.heads = c.heads,
                     .kv_heads = c.kv_heads,
                     .head_dim = c.head_dim,
                     .rope = c.rotary(),
                     .head_norm = true,
                     .norm_eps = c.norm_eps,
                     .output_init = residual});
  return x + swiglu(s / "mlp", rms_norm(s / "post_attention_layernorm", x, c.norm_eps), c.ffn,
                    {.output_init = residual});
}

Tensor qwen3(Scope s, const Sequence &seq, const Config &c) {
  Tensor x = embedding(s / "embed_tokens", seq.tokens, c.vocab, c.dim);
  x = repeat(s / "layers", {0, c.layers}, x, [&](Scope s, Tensor x) { return block(s, x, seq, c); });
  return lm_head(s / (c.tied ? "embed_tokens" : "lm_head"), rms_norm(s / "norm", x, c.norm_eps), c.vocab);
}
WEFT_MODEL(qwen3)

Config Config::from_hugging_face(const HuggingFaceConfig &h) {
  return config_of_decoder<Config>(read_decoder_config(h, {.context = 32768, .head_dim = 128}));
}

std::string Config::hugging_face_config() const {
  JsonObject config = decoder_config_json(decoder_of_config(*this, "qwen3"));
  return config.add("attention_bias", false).add("use_sliding_window", false).text();
}
