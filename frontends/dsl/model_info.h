// What a compiled model file says about its models. The compiler dlopens the file and calls weft_models().
#pragma once
#include "frontends/dsl/config.h"
#include "frontends/dsl/sequence.h"

namespace weft {

// Raised whenever builder.h, sequence.h, scope.h or this file changes its layout: a file built against other
// headers is refused.
inline constexpr uint32_t interface_version = 2;

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
  // std::string &path)`); null: default_file_name.
  std::string (*file_name)(const std::string &path) = nullptr;
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
