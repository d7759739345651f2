// A trained model ready to be asked: the checkpoint of a run, its tokenizer, and a session of one rank.
#pragma once

#include "runtime/data/bpe.h"
#include "runtime/train/checkpoint.h"
#include "runtime/train/ranks.h"

#include "absl/status/statusor.h"

#include <functional>
#include <memory>
#include <string>

namespace weft {

struct OpenModelOptions {
  std::string artifact;  // "" = the run's own; compiled if need be
  int threads = 0;       // 0 = all processors
  std::string cpu_level; // "" = the best
  bool absorbed =
      false; // latent attention generates in its absorbed form, also where the recipe does not say so
};

struct OpenedModel {
  std::unique_ptr<Ranks> ranks; // one
  Tokenizer tokenizer;
  std::string checkpoint; // its path
  CheckpointState state;
};

// `path` is a run directory, whose newest good checkpoint is taken, or a checkpoint. A run of several ranks
// is compiled once more for one (RUN/single.weft), and so is one that is asked for the absorbed form
// (RUN/absorbed.weft). FailedPrecondition when an artifact that was named has another form. `say` is told of
// broken checkpoints and compiling. Errors name what is missing or broken.
absl::StatusOr<OpenedModel> OpenModel(const std::string &path, const OpenModelOptions &options,
                                      const std::function<void(const std::string &)> &say);

} // namespace weft
