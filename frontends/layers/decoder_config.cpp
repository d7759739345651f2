#include "frontends/layers/decoder_config.h"

#include <cmath>

namespace weft {
namespace {

constexpr i64 kMostHeadDim = 65536; // a table of frequencies is made of it
constexpr i64 kMostLayers = 65536;  // sizes of all layers together stay far from overflowing

JsonObject rotary_json(const RotaryOptions &o) {
  JsonObject rope;
  rope.add("rope_type", o.type).add("factor", o.factor);
  if (o.type == "linear") return rope;
  if (o.type == "llama3")
    rope.add("low_freq_factor", o.low_frequency).add("high_freq_factor", o.high_frequency);
  if (o.type == "yarn") {
    rope.add("beta_fast", o.beta_fast).add("beta_slow", o.beta_slow);
    rope.add("attention_factor", rotary_attention_factor(o)).add("truncate", o.truncate);
    if (o.mscale_all_dim != 0) rope.add("mscale_all_dim", o.mscale_all_dim);
  }
  return rope.add("original_max_position_embeddings", o.original_context);
}

double magnitude(double factor, double scale) { // YaRN's, of cos and sin
  return factor <= 1 ? 1 : 0.1 * scale * std::log(factor) + 1;
}

void read_yarn(const HuggingFaceConfig &rope, RotaryOptions &o) {
  // transformers takes 0 for absent here
  if (double beta = rope.number("beta_fast", 0); beta != 0) o.beta_fast = beta;
  if (double beta = rope.number("beta_slow", 0); beta != 0) o.beta_slow = beta;
  o.truncate = rope.flag("truncate", true);
  double scale = rope.number("mscale", 0), all = rope.number("mscale_all_dim", 0);
  o.mscale_all_dim = all;
  if (rope.has("attention_factor")) {
    o.attention_factor = rope.number("attention_factor");
    if (o.attention_factor <= 0) rope.refuse("attention_factor", "it should be more than 0");
  } else if (scale != 0 && all != 0) {
    o.attention_factor = magnitude(o.factor, scale) / magnitude(o.factor, all);
  }
}

// Sliding windows that are switched on, for some layer at least.
void refuse_windows(const HuggingFaceConfig &h, i64 layers) {
  for (const std::string &type : h.texts("layer_types"))
    if (type != "full_attention")
      h.refuse("layer_types", "every layer should be \"full_attention\": other kinds are not supported");
  bool on = h.flag("use_sliding_window", false);
  i64 window = h.integer("sliding_window", 0), full = h.integer("max_window_layers", 0);
  if (on && window > 0 && full < layers)
    h.refuse("sliding_window",
             "attention to all earlier tokens alone is supported; a context of at most that "
             "many tokens with \"use_sliding_window\": false gives the same numbers");
}

} // namespace

JsonObject decoder_config_json(const DecoderConfig &d) {
  JsonObject config;
  config.add_list("architectures", d.architecture).add("model_type", d.model_type);
  config.add("vocab_size", d.vocab).add("hidden_size", d.dim).add("intermediate_size", d.ffn);
  config.add("num_hidden_layers", d.layers).add("num_attention_heads", d.heads);
  config.add("num_key_value_heads", d.kv_heads ? d.kv_heads : d.heads);
  config.add("head_dim", d.head_dim ? d.head_dim : d.dim / d.heads);
  config.add("max_position_embeddings", d.context).add("rms_norm_eps", d.norm_eps);
  config.add("rope_theta", d.rope.theta);
  if (d.rope.type == "default")
    config.add_null("rope_scaling");
  else
    config.add("rope_scaling", rotary_json(d.rope));
  config.add("tie_word_embeddings", d.tied).add("hidden_act", "silu").add("initializer_range", 0.02);
  return config.add("torch_dtype", "float32");
}

RotaryOptions read_rotary(const HuggingFaceConfig &h, i64 context) {
  // "rope_parameters" holds theta as well (transformers 5); before, "rope_scaling" was beside "rope_theta".
  const HuggingFaceConfig rope = h.object(h.has("rope_parameters") ? "rope_parameters" : "rope_scaling");
  RotaryOptions o;
  o.theta = rope.has("rope_theta") ? rope.number("rope_theta") : h.number("rope_theta", o.theta);
  if (o.theta <= 1) (rope.has("rope_theta") ? rope : h).refuse("rope_theta", "it should be more than 1");
  for (const HuggingFaceConfig *in : {&rope, &h})
    if (in->number("partial_rotary_factor", 1) != 1)
      in->refuse("partial_rotary_factor", "only rotating all of a head is supported");
  std::string key = rope.has("rope_type") ? "rope_type" : "type";
  rope.skip({"rope_type", "type"});
  o.type = rope.text(key, "default");
  if (o.type != "default" && o.type != "linear" && o.type != "llama3" && o.type != "yarn")
    rope.refuse(key, "default, linear, llama3 and yarn are supported");
  if (o.type == "llama3" || o.type == "yarn") {
    o.original_context = h.integer("original_max_position_embeddings",
                                   rope.integer("original_max_position_embeddings", context));
    rope.skip({"original_max_position_embeddings"});
    if (o.original_context < 1) rope.refuse("original_max_position_embeddings", "it should be 1 or more");
  }
  if (o.type != "default") {
    o.factor = o.type == "yarn" && !rope.has("factor")
                   ? static_cast<double>(context) / static_cast<double>(o.original_context)
                   : rope.number("factor");
    if (o.factor <= 0) rope.refuse("factor", "it should be more than 0");
  }
  if (o.type == "llama3") {
    o.low_frequency = rope.number("low_freq_factor");
    o.high_frequency = rope.number("high_freq_factor");
    if (o.high_frequency <= o.low_frequency)
      rope.refuse("high_freq_factor", "it should be more than low_freq_factor");
  }
  if (o.type == "yarn") read_yarn(rope, o);
  for (const std::string &other : rope.unread())
    rope.refuse(other, "no such setting is known of the rotary positions \"" + o.type + "\"");
  return o;
}

DecoderConfig read_decoder_config(const HuggingFaceConfig &h, const DecoderDefaults &defaults) {
  DecoderConfig d = {};
  d.vocab = h.integer("vocab_size");
  d.dim = h.integer("hidden_size");
  d.ffn = h.integer("intermediate_size");
  d.layers = h.integer("num_hidden_layers");
  d.heads = h.integer("num_attention_heads");
  d.kv_heads = h.integer("num_key_value_heads", d.heads);
  for (const char *key : {"vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers",
                          "num_attention_heads", "num_key_value_heads"})
    if (h.integer(key, 1) < 1) h.refuse(key, "it should be 1 or more");
  if (d.layers > kMostLayers)
    h.refuse("num_hidden_layers", "at most " + std::to_string(kMostLayers) + " are supported");
  if (d.heads % d.kv_heads)
    h.refuse("num_key_value_heads",
             "num_attention_heads, " + std::to_string(d.heads) + ", should be a multiple of it");
  d.head_dim = h.integer("head_dim", defaults.head_dim ? defaults.head_dim : d.dim / d.heads);
  if (d.head_dim < 1 || d.head_dim % 2) {
    if (h.has("head_dim")) h.refuse("head_dim", "it should be even and 2 or more for rotary positions");
    h.refuse("hidden_size", "a head's share of it should be even for rotary positions");
  }
  if (d.head_dim > kMostHeadDim)
    h.refuse("head_dim", "at most " + std::to_string(kMostHeadDim) + " is supported");
  d.context = h.integer("max_position_embeddings", defaults.context);
  if (d.context < 1) h.refuse("max_position_embeddings", "it should be 1 or more");
  d.norm_eps = h.number("rms_norm_eps", 1e-6);
  d.tied = h.flag("tie_word_embeddings", false);
  d.rope = read_rotary(h, d.context);
  if (h.text("hidden_act", "silu") != "silu" && h.text("hidden_act", "silu") != "swish")
    h.refuse("hidden_act", "only \"silu\" is supported");
  // Of 8 bits with scales of blocks, as DeepSeek-V3 is published; the blocks' size shows in the scales.
  HuggingFaceConfig quantized = h.object("quantization_config");
  if (quantized.text("quant_method", "fp8") != "fp8" || quantized.text("fmt", "e4m3") != "e4m3")
    h.refuse("quantization_config",
             "weights in f32, bf16, f16, or fp8 of the format e4m3 with a scale for each 128 "
             "by 128 are supported; save the model dequantised");
  h.require_off("attention_bias", "biases of attention's projections are not supported here");
  h.require_off("mlp_bias", "biases of the feed-forward are not supported");
  refuse_windows(h, d.layers);
  h.skip({"architectures", "model_type", "bos_token_id", "eos_token_id", "pad_token_id", "torch_dtype",
          "dtype", "transformers_version", "use_cache", "initializer_range", "pretraining_tp",
          "attention_dropout", "_name_or_path", "_attn_implementation_autoset", "rope_scaling",
          "rope_theta"});
  return d;
}

WeightMap decoder_weights(bool tied) {
  WeightMap map;
  map.ignored = {"model.layers.*.self_attn.rotary_emb.inv_freq", "model.rotary_emb.inv_freq"};
  if (tied) map.equal = {{"lm_head.weight", "model.embed_tokens.weight"}};
  return map;
}

} // namespace weft
