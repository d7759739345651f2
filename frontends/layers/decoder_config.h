// config.json of a decoder as transformers has it: what models of the Llama family have in common, read and
// written.
#pragma once
#include "frontends/dsl/hugging_face_config.h"
#include "frontends/dsl/json_object.h"
#include "frontends/layers/rotary.h"

namespace weft {

struct DecoderConfig {
  const char *architecture, *model_type; // "LlamaForCausalLM", "llama"
  i64 vocab, dim, ffn, layers, heads, kv_heads, head_dim;
  i64 context; // tokens at most
  double norm_eps;
  bool tied; // the head uses the embedding's table
  RotaryOptions rope;
};

// A model adds what it has beside; the tokenizer's ids (bos, eos) are added by whoever writes the folder.
JsonObject decoder_config_json(const DecoderConfig &d);

// Where transformers' class has another default than the file may leave out.
struct DecoderDefaults {
  i64 context = 2048;
  i64 head_dim = 0; // 0: dim / heads
};
// Everything but the two names. ModelError names a key that is missing, of another type, or of a feature that
// the layers do not have: another activation, biases, sliding windows, partial or unknown rotary positions,
// quantised weights.
DecoderConfig read_decoder_config(const HuggingFaceConfig &h, const DecoderDefaults &defaults = {});
RotaryOptions read_rotary(const HuggingFaceConfig &h, i64 context);

// Between these and a Config that has RotaryFields and calls its fields vocab, dim, ffn, layers, heads,
// kv_heads, head_dim, context, norm_eps and tied.
template <class Config> Config config_of_decoder(const DecoderConfig &d) {
  Config c;
  c.vocab = d.vocab, c.dim = d.dim, c.ffn = d.ffn, c.layers = d.layers, c.heads = d.heads;
  c.kv_heads = d.kv_heads, c.head_dim = d.head_dim, c.norm_eps = d.norm_eps, c.tied = d.tied;
  c.context = d.context;
  c.set_rotary(d.rope);
  return c;
}
template <class Config> DecoderConfig decoder_of_config(const Config &c, const char *model_type) {
  return {Config::hugging_face_architecture,
          model_type,
          c.vocab,
          c.dim,
          c.ffn,
          c.layers,
          c.heads,
          c.kv_heads,
          c.head_dim,
          c.context,
          c.norm_eps,
          c.tied,
          c.rotary()};
}

// Tensors beside the parameters: tables of frequencies that old files keep, and a tied head's copy.
WeightMap decoder_weights(bool tied);

} // namespace weft
