// A whole run: data, compiling, steps, evaluations, checkpoints, until it is done or interrupted.
#pragma once

#include "runtime/data/bpe.h"
#include "runtime/train/ranks.h"
#include "runtime/train/recipe.h"

#include "absl/status/statusor.h"

#include <functional>
#include <string>
#include <vector>

namespace weft {

// The continuations of run.sample_prompts, in their order, with the weights as they are now.
using SampleTexts = std::function<absl::StatusOr<std::vector<std::string>>()>;

struct TrainOptions {
  bool resume = false;               // go on from the newest good checkpoint
  bool allow_other_dot_unit = false; // resume a run of another dot unit: other bits from there on
  std::string cpu_level;             // "" = the best; see CpuOptions
  // Called once where there are prompts; what it gives, at evaluations. Training knows nothing of generating.
  std::function<absl::StatusOr<SampleTexts>(const Recipe &, Ranks &, const Tokenizer &,
                                            const std::function<void(const std::string &)> &say)>
      make_sampler;
};

enum class TrainEnd { finished, stopped_early, interrupted };

// Runs `recipe` (resolved) in run.dir. FailedPrecondition when another process trains there, when there are
// checkpoints and `resume` was not asked for, or when the run diverges; otherwise the errors of its parts,
// all with the thing's name.
absl::StatusOr<TrainEnd> Train(Recipe recipe, const TrainOptions &options);

} // namespace weft
