// What a compiled model file says about its models. The compiler dlopens the file and calls weft_models().
#pragma once
#include "frontends/dsl/config.h"
#include "frontends/dsl/hugging_face_config.h"
#include "frontends/dsl/sequence.h"

namespace weft {

// Raised whenever builder.h, sequence.h, scope.h or this file changes its layout: a file built against other
// headers is refused.
inline constexpr uint32_t interface_version = 3;

struct ModelInfo {
  const char *name = ""; // its name on the command line
  SourceLine line;       // of WEFT_MODEL
  const ModelInfo *next = nullptr;

  // The config's fields with their defaults.
  std::vector<ConfigField> (*fields)() = nullptr;
  // Hugging Face's config.json for a config; null: the model has none (its Config lacks `std::string
  // hugging_face_config() const`).
  std::string (*hugging_face_config)(const ConfigMap &) = nullptr;
  // Names of parameters in a Hugging Face folder (Config's `static std::string hugging_face_name(const
  // std::string &path)`); null: default_file_name. {} stands for a layer's number inside a repeat; each
  // further
  // {} for an index into the parameter's next dimension, which the folder has as tensors of their own:
  // "model.layers.{}.mlp.experts.{}.up_proj.weight" of (experts, ffn, dim).
  std::string (*file_name)(const std::string &path) = nullptr;
  // Importing: transformers' class ("LlamaForCausalLM": Config's `static constexpr const char
  // *hugging_face_architecture`), the fields that a folder's config.json stands for (`static Config
  // from_hugging_face(const HuggingFaceConfig &)`, which throws ModelError for what the model cannot be), and
  // its other tensors (`WeightMap hugging_face_weights() const`, may be left out). Null: it reads no folder.
  const char *architecture = nullptr;
  std::vector<ConfigField> (*from_hugging_face)(const HuggingFaceConfig &) = nullptr;
  WeightMap (*weights)(const ConfigMap &) = nullptr;
  // Traces the model into builder(): logits (batch, seq, vocab), or (batch, 1, vocab) when the root's trace
  // picks rows. Throws ModelError.
  Tensor (*build)(const Scope &root, const Sequence &seq, const ConfigMap &config) = nullptr;
};

struct ModelTable {
  uint32_t version = interface_version;
  const ModelInfo *first = nullptr; // in the order of the file
};

// extern "C" in a model file, under this name.
inline constexpr const char *model_table_symbol = "weft_models";
using ModelTableFunction = const ModelTable *();

} // namespace weft
