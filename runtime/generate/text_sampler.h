// Texts that a run's weights write while it trains.
#pragma once

#include "runtime/generate/session_model.h"
#include "runtime/train/recipe.h"

#include "absl/status/status.h"
#include "absl/status/statusor.h"

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace weft {

// Continues the prompts of run.sample_prompts, each time with the same seed (train.seed): what differs is the
// weights.
class TextSampler {
public:
  // `ranks` and `tokenizer`, the run's, must outlive it. A run of several ranks is compiled once more for one
  // (RUN/single.weft), which takes the memory of a second copy of the weights. InvalidArgument names a prompt
  // that is empty or does not fit into the context.
  static absl::StatusOr<std::unique_ptr<TextSampler>>
  Create(const Recipe &recipe, Ranks &ranks, const Tokenizer &tokenizer,
         const std::function<void(const std::string &)> &say);

  // The continuations of the prompts, in their order, with the weights as they are now.
  absl::StatusOr<std::vector<std::string>> Sample();

private:
  TextSampler(Ranks &ranks, const Tokenizer &tokenizer) : ranks_(ranks), tokenizer_(tokenizer) {}
  absl::Status CopyWeights();

  Ranks &ranks_;
  const Tokenizer &tokenizer_;
  std::unique_ptr<Ranks> single_; // null where the run has one rank
  std::unique_ptr<SessionModel> model_;
  std::vector<std::vector<int32_t>> prompts_;
  GenerateOptions options_;
};

} // namespace weft
