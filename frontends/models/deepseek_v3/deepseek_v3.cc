// DeepSeek-V3 (DeepSeek-AI, 2024, arXiv:2412.19437), its dense layers: a pre-norm decoder with multi-head
// latent attention and SwiGLU. Parameters have the names of Hugging Face's DeepseekV3ForCausalLM.
#include <weft/weft.h>
using namespace weft;

struct Config {
  i64 vocab = 4096, dim = 256, ffn = 704, layers = 6, heads = 4;
  i64 q_lora_rank = 192;     // width of the queries' latent; 0: none
  i64 kv_lora_rank = 64;     // width of the keys' and values' latent, which a cache could hold for all heads
  i64 qk_nope_head_dim = 64; // of a head's query and key: without positions, and with rotary ones
  i64 qk_rope_head_dim = 32;
  i64 v_head_dim = 64;       // of a head's value
  double rope_theta = 10000; // base of the rotary wavelengths
  double norm_eps = 1e-6;
  i64 mtp_layers = 0;      // 1: training also predicts the token after the next
  double mtp_weight = 0.3; // of that loss
  bool tied = false;       // the head uses the embedding's table
  i64 context = 2048;      // tokens it is meant for, at most
  WEFT_FIELDS(vocab, dim, ffn, layers, heads, q_lora_rank, kv_lora_rank, qk_nope_head_dim, qk_rope_head_dim,
              v_head_dim, rope_theta, norm_eps, mtp_layers, mtp_weight, tied, context)

  std::string hugging_face_config() const;
};

// x: (batch, seq, dim)
Tensor dense_block(Scope s, Tensor x, const Sequence &seq, const Config &c) {
  Init residual = normal(residual_scale(c.layers)); // so that the stream's variance does not grow with depth
  x = x + mla(s / "self_attn", rms_norm(s / "input_layernorm", x, c.norm_eps), seq,
              {.heads = c.heads,
               .q_lora_rank = c.q_lora_rank,
               .kv_lora_rank = c.kv_lora_rank,
               .qk_nope_head_dim = c.qk_nope_head_dim,
               .qk_rope_head_dim = c.qk_rope_head_dim,
               .v_head_dim = c.v_head_dim,
               .rope = {.theta = c.rope_theta},
               .output_init = residual});
  return x + swiglu(s / "mlp", rms_norm(s / "post_attention_layernorm", x, c.norm_eps), c.ffn,
                    {.output_init = residual});
}

// The loss of the token after the next, from what the model makes of each token: h, (batch, seq, dim).
void add_mtp_loss(Scope s, Tensor h, const Sequence &seq, const Config &c) {
  Scope m = s / "layers" / std::to_string(c.layers);
  Tensor next = embedding(s / "embed_tokens", next_in_sequence(seq.tokens, 0), c.vocab, c.dim);
  Tensor x = dense_block(m, mtp_input(m, h, next, c.norm_eps), seq, c);
  x = rms_norm(m / "shared_head" / "norm", x, c.norm_eps);
  Tensor logits = lm_head(s / (c.tied ? "embed_tokens" : "lm_head"), x, c.vocab);
  add_loss(s, "mtp_loss", -cross_entropy(logits, mtp_targets(seq)).logprobs, c.mtp_weight);
}

Tensor deepseek_v3(Scope s, const Sequence &seq, const Config &c) {
  if (c.mtp_layers < 0 || c.mtp_layers > 1)
    throw ModelError("mtp_layers is " + std::to_string(c.mtp_layers) + " when it should be 0 or 1");
  Tensor x = embedding(s / "embed_tokens", seq.tokens, c.vocab, c.dim);
  x = repeat(s / "layers", {0, c.layers}, x, [&](Scope s, Tensor x) { return dense_block(s, x, seq, c); });
  Tensor h = rms_norm(s / "norm", x, c.norm_eps);
  if (c.mtp_layers && !seq.targets.empty()) add_mtp_loss(s, h, seq, c);
  return lm_head(s / (c.tied ? "embed_tokens" : "lm_head"), h, c.vocab);
}
WEFT_MODEL(deepseek_v3)

std::string Config::hugging_face_config() const {
  JsonObject config = weft::hugging_face_config({"DeepseekV3ForCausalLM", "deepseek_v3", vocab, dim, ffn,
                                                 layers, heads, heads, context, norm_eps, rope_theta, tied});
  if (q_lora_rank)
    config.add("q_lora_rank", q_lora_rank);
  else
    config.add_null("q_lora_rank");
  config.add("kv_lora_rank", kv_lora_rank).add("qk_nope_head_dim", qk_nope_head_dim);
  config.add("qk_rope_head_dim", qk_rope_head_dim).add("v_head_dim", v_head_dim);
  config.add("first_k_dense_replace", layers).add("num_nextn_predict_layers", mtp_layers);
  return config.add("attention_bias", false).add("rope_interleave", true).add_null("rope_scaling").text();
}
