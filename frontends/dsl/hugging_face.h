// config.json of a decoder, as transformers reads it: what models of the Llama family have in common.
#pragma once
#include "frontends/dsl/json_object.h"
#include "frontends/dsl/tensor.h"

namespace weft {

struct HuggingFaceDecoder {
  const char *architecture, *model_type; // "LlamaForCausalLM", "llama"
  i64 vocab, dim, ffn, layers, heads, kv_heads;
  i64 context; // tokens at most
  double norm_eps, rope_theta;
  bool tied; // the head uses the embedding's table
};

// A model adds what it has beside; the tokenizer's ids (bos, eos) are added by whoever writes the folder.
JsonObject hugging_face_config(const HuggingFaceDecoder &d);

} // namespace weft
