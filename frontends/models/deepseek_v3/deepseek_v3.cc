// DeepSeek-V3 (DeepSeek-AI, 2024, arXiv:2412.19437): a pre-norm decoder with multi-head latent attention and,
// after its first layers, a mixture of experts. Parameters have the names of Hugging Face's
// DeepseekV3ForCausalLM.
#include <weft/weft.h>
using namespace weft;

struct Config : RotaryFields {
  i64 vocab = 4096, dim = 256, ffn = 704, layers = 6, heads = 4;
  i64 dense_layers = 1;            // the first ones, with a SwiGLU of width ffn; the others have experts
  i64 experts = 8, top_k = 2;      // routed ones, and how many a token goes to
  i64 expert_ffn = 176;            // width of one
  i64 shared_experts = 1;          // that every token goes to
  i64 groups = 1, top_groups = 1;  // of experts, and how many a token sees
  std::string scoring = "sigmoid"; // or softmax
  bool normalise_gates = true;
  double gate_scale = 1;        // what a token's gates add up to, where they are normalised
  double bias_rate = 1e-3;      // of the experts' biases a step; 0: none
  double balance_weight = 1e-4; // of the sequence-wise balance loss
  i64 q_lora_rank = 192;        // width of the queries' latent; 0: none
  i64 kv_lora_rank = 64;     // width of the keys' and values' latent, which a cache could hold for all heads
  i64 qk_nope_head_dim = 64; // of a head's query and key: without positions, and with rotary ones
  i64 qk_rope_head_dim = 32;
  i64 v_head_dim = 64; // of a head's value
  double norm_eps = 1e-6;
  i64 mtp_layers = 0;      // 1: training also predicts the token after the next
  double mtp_weight = 0.3; // of that loss
  bool tied = false;       // the head uses the embedding's table
  i64 context = 2048;      // tokens it is meant for, at most
  WEFT_FIELDS(vocab, dim, ffn, layers, heads, dense_layers, experts, top_k, expert_ffn, shared_experts,
              groups, top_groups, scoring, normalise_gates, gate_scale, bias_rate, balance_weight,
              q_lora_rank, kv_lora_rank, qk_nope_head_dim, qk_rope_head_dim, v_head_dim, norm_eps, mtp_layers,
              mtp_weight, tied, context, WEFT_ROTARY_FIELDS)

  static constexpr const char *hugging_face_architecture = "DeepseekV3ForCausalLM";
  static Config from_hugging_face(const HuggingFaceConfig &h);
  std::string hugging_face_config() const;
  WeightMap hugging_face_weights() const;
};

// So that the stream's variance does not grow with depth.
Init residual(const Config &c) { return normal(residual_scale(c.layers)); }

// x: (batch, seq, dim)
Tensor attend(Scope s, Tensor x, const Sequence &seq, const Config &c) {
  return x + mla(s / "self_attn", rms_norm(s / "input_layernorm", x, c.norm_eps), seq,
                 {.heads = c.heads,
                  .q_lora_rank = c.q_lora_rank,
                  .kv_lora_rank = c.kv_lora_rank,
                  .qk_nope_head_dim = c.qk_nope_head_dim,
                  .qk_rope_head_dim = c.qk_rope_head_dim,
                  .v_head_dim = c.v_head_dim,
                  .rope = c.rotary(),
                  .scale_factor = rotary_score_factor(c.rotary()),
                  .output_init = residual(c)});
}

Tensor dense_block(Scope s, Tensor x, const Sequence &seq, const Config &c) {
  x = attend(s, x, seq, c);
  return x + swiglu(s / "mlp", rms_norm(s / "post_attention_layernorm", x, c.norm_eps), c.ffn,
                    {.output_init = residual(c)});
}

MoeResult expert_block(Scope s, Tensor x, const Sequence &seq, const Config &c) {
  x = attend(s, x, seq, c);
  MoeResult m = moe(s / "mlp", rms_norm(s / "post_attention_layernorm", x, c.norm_eps),
                    {.experts = c.experts,
                     .top_k = c.top_k,
                     .ffn = c.expert_ffn,
                     .shared = c.shared_experts,
                     .scoring = c.scoring,
                     .groups = c.groups,
                     .top_groups = c.top_groups,
                     .normalise = c.normalise_gates,
                     .scale = c.gate_scale,
                     .bias_rate = c.bias_rate,
                     .output_init = residual(c)});
  return {x + m.out, m.sequence_balance};
}

// The loss of the token after the next, from what the model makes of each token: h, (batch, seq, dim). Gives
// the balance of its experts.
Tensor add_mtp_loss(Scope s, Tensor h, const Sequence &seq, const Config &c) {
  Scope m = s / "layers" / std::to_string(c.layers);
  Tensor next = embedding(s / "embed_tokens", next_in_sequence(seq.tokens, 0), c.vocab, c.dim);
  MoeResult block{mtp_input(m, h, next, c.norm_eps), full({h.dim(0), 1}, 0)};
  if (c.dense_layers < c.layers)
    block = expert_block(m, block.out, seq, c);
  else
    block.out = dense_block(m, block.out, seq, c);
  Tensor x = rms_norm(m / "shared_head" / "norm", block.out, c.norm_eps);
  Tensor logits = lm_head(s / (c.tied ? "embed_tokens" : "lm_head"), x, c.vocab);
  add_loss(s, "mtp_loss", -cross_entropy(logits, mtp_targets(seq)).logprobs, c.mtp_weight);
  return block.sequence_balance;
}

// The layers with experts; gives the sum of their balances, too, where there is a loss of it.
MoeResult expert_layers(Scope s, Range range, Tensor x, const Sequence &seq, const Config &c) {
  Tensor balance = full({x.dim(0), 1}, 0);
  if (c.balance_weight == 0)
    return {repeat(s, range, x, [&](Scope s, Tensor x) { return expert_block(s, x, seq, c).out; }), balance};
  std::vector<Tensor> both = repeat(s, range, {x, balance}, [&](Scope s, const std::vector<Tensor> &both) {
    MoeResult layer = expert_block(s, both[0], seq, c);
    return std::vector<Tensor>{layer.out, both[1] + layer.sequence_balance};
  });
  return {both[0], both[1]};
}

Tensor deepseek_v3(Scope s, const Sequence &seq, const Config &c) {
  if (c.mtp_layers < 0 || c.mtp_layers > 1)
    throw ModelError("mtp_layers is " + std::to_string(c.mtp_layers) + " when it should be 0 or 1");
  Tensor x = embedding(s / "embed_tokens", seq.tokens, c.vocab, c.dim);
  i64 dense = std::min(c.dense_layers, c.layers);
  x = repeat(s / "layers", {0, dense}, x, [&](Scope s, Tensor x) { return dense_block(s, x, seq, c); });
  auto [out, balance] = expert_layers(s / "layers", {dense, c.layers}, x, seq, c);
  Tensor h = rms_norm(s / "norm", out, c.norm_eps);
  if (c.mtp_layers && !seq.targets.empty()) balance = balance + add_mtp_loss(s, h, seq, c);
  // A loss of each sequence, once a token.
  if (c.balance_weight > 0 && dense < c.layers)
    add_loss(s, "balance_loss", balance * static_cast<double>(x.dim(1)), c.balance_weight);
  return lm_head(s / (c.tied ? "embed_tokens" : "lm_head"), h, c.vocab);
}
WEFT_MODEL(deepseek_v3)

Config Config::from_hugging_face(const HuggingFaceConfig &h) {
  DecoderDefaults defaults{.context = 4096, .head_dim = h.integer("qk_rope_head_dim", 64)};
  DecoderConfig d = read_decoder_config(h, defaults);
  if (d.kv_heads != d.heads) h.refuse("num_key_value_heads", "latent attention has as many as heads");
  Config c;
  c.vocab = d.vocab, c.dim = d.dim, c.ffn = d.ffn, c.layers = d.layers, c.heads = d.heads;
  c.norm_eps = d.norm_eps, c.tied = d.tied, c.context = d.context;
  c.set_rotary(d.rope);
  c.qk_rope_head_dim = defaults.head_dim;
  c.qk_nope_head_dim = h.integer("qk_nope_head_dim", 128);
  c.v_head_dim = h.integer("v_head_dim", 128);
  c.q_lora_rank = h.integer("q_lora_rank", 0);
  c.kv_lora_rank = h.integer("kv_lora_rank", 512);
  c.dense_layers = std::min(h.integer("first_k_dense_replace", 3), c.layers);
  c.experts = h.integer("n_routed_experts", 256);
  c.top_k = h.integer("num_experts_per_tok", 8);
  c.expert_ffn = h.integer("moe_intermediate_size", 2048);
  c.shared_experts = h.integer("n_shared_experts", 0);
  c.groups = h.integer("n_group", 1);
  c.top_groups = h.integer("topk_group", 1);
  c.gate_scale = h.number("routed_scaling_factor", 2.5);
  c.normalise_gates = h.flag("norm_topk_prob", true);
  if (h.text("scoring_func", "sigmoid") != "sigmoid")
    h.refuse("scoring_func", "transformers' class has \"sigmoid\" alone");
  if (h.text("topk_method", "noaux_tc") != "noaux_tc") h.refuse("topk_method", "\"noaux_tc\" is supported");
  if (h.integer("moe_layer_freq", 1) != 1) h.refuse("moe_layer_freq", "every later layer has experts");
  c.mtp_layers = h.integer("num_nextn_predict_layers", 0);
  if (c.mtp_layers > 1) h.refuse("num_nextn_predict_layers", "1 is supported, or 0");
  if (!h.flag("rope_interleave", true)) h.refuse("rope_interleave", "rotating adjacent pairs is supported");
  // Of training, of other ways to run it, or said by others.
  h.skip({"aux_loss_alpha", "seq_aux", "ep_size", "output_router_logits", "router_aux_loss_coef",
          "num_mtp_layers", "qk_head_dim", "auto_map", "num_local_experts"});
  return c;
}

// The layer of multi-token prediction follows the others. transformers' class passes over it. What is
// published has copies of the embedding and the head in it.
WeightMap Config::hugging_face_weights() const {
  WeightMap map = decoder_weights(tied);
  const std::string layer = "model.layers." + std::to_string(layers) + ".";
  if (mtp_layers) {
    map.optional.push_back({"mtp_layers", layer + "*"});
    map.equal.push_back({layer + "embed_tokens.weight", "model.embed_tokens.weight"});
    map.equal.push_back(
        {layer + "shared_head.head.weight", tied ? "model.embed_tokens.weight" : "lm_head.weight"});
  } else {
    map.ignored.push_back(layer + "*");
  }
  return map;
}

std::string Config::hugging_face_config() const {
  JsonObject config =
      decoder_config_json({hugging_face_architecture, "deepseek_v3", vocab, dim, ffn, layers, heads, heads,
                           qk_rope_head_dim, context, norm_eps, tied, rotary()});
  if (q_lora_rank)
    config.add("q_lora_rank", q_lora_rank);
  else
    config.add_null("q_lora_rank");
  config.add("kv_lora_rank", kv_lora_rank).add("qk_nope_head_dim", qk_nope_head_dim);
  config.add("qk_rope_head_dim", qk_rope_head_dim).add("v_head_dim", v_head_dim);
  config.add("first_k_dense_replace", dense_layers).add("num_nextn_predict_layers", mtp_layers);
  config.add("n_routed_experts", experts).add("num_experts_per_tok", top_k);
  config.add("moe_intermediate_size", expert_ffn).add("n_shared_experts", shared_experts);
  config.add("n_group", groups).add("topk_group", top_groups).add("routed_scaling_factor", gate_scale);
  config.add("norm_topk_prob", normalise_gates).add("scoring_func", scoring).add("topk_method", "noaux_tc");
  return config.add("attention_bias", false).add("rope_interleave", true).text();
}
