// weft export: a Hugging Face folder from a checkpoint.
#pragma once

#include "runtime/hugging_face/import_weights.h"

#include "absl/status/status.h"

#include <cstdint>
#include <functional>
#include <string>

namespace weft {

struct ExportOptions {
  std::string path;                 // a run directory, whose newest good checkpoint is taken, or a checkpoint
  std::string folder;               // to write
  fb::DType dtype = fb::DType::f32; // or bf16
  uint64_t shard_bytes =
      uint64_t{5'000'000'000}; // of tensors in one file at most; a larger tensor has its own
  std::function<void(const std::string &)> say;
  CopyOptions copy;
};

// What transformers and tokenizers load: config.json, generation_config.json, the tokenizer's files, and the
// weights in one file or several with an index. A buffer of some megabytes is all that the weights take. The
// folder appears whole or not at all. Errors name the file.
absl::Status ExportFolder(const ExportOptions &options);

} // namespace weft
