#include "frontends/dsl/hugging_face.h"

namespace weft {

JsonObject hugging_face_config(const HuggingFaceDecoder &d) {
  JsonObject config;
  config.add_list("architectures", d.architecture).add("model_type", d.model_type);
  config.add("vocab_size", d.vocab).add("hidden_size", d.dim).add("intermediate_size", d.ffn);
  config.add("num_hidden_layers", d.layers).add("num_attention_heads", d.heads);
  config.add("num_key_value_heads", d.kv_heads).add("max_position_embeddings", d.context);
  config.add("rms_norm_eps", d.norm_eps).add("rope_theta", d.rope_theta);
  config.add("tie_word_embeddings", d.tied).add("hidden_act", "silu").add("initializer_range", 0.02);
  return config.add("torch_dtype", "float32");
}

} // namespace weft
