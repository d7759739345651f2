// weft import: a checkpoint from a Hugging Face folder.
#pragma once

#include "runtime/hugging_face/import_weights.h"

#include "absl/status/statusor.h"

#include <cstdint>
#include <string>

namespace weft {

struct ImportOptions {
  std::string folder, checkpoint;
  std::string model;     // a built-in model or a .cc file; "" = by config.json's architectures
  std::string tokenizer; // "" = the folder's tokenizer.json
  int64_t seq = 0;       // tokens of a row and of the cache; 0 = the model's context, 1024 at most
  std::string precision = "f32";
  std::function<void(const std::string &)> say;
  CopyOptions copy;
};

// Compiles the model that config.json describes (weftc beside this binary), checks the folder's tensors
// against it and writes the checkpoint: weights in f32, tokenizer, a recipe, and the compiled program. All of
// it appears at once, or nothing is left. Errors name file and field; FailedPrecondition with an empty
// message when weftc has said what is wrong.
absl::Status ImportFolder(const ImportOptions &options);

} // namespace weft
