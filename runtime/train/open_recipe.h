// From a recipe to what steps are made with: its text, its ranks and a trainer. Training and profiling start
// so.
#pragma once

#include "runtime/data/prepare.h"
#include "runtime/train/ranks.h"
#include "runtime/train/recipe.h"
#include "runtime/train/trainer.h"

#include "absl/status/status.h"
#include "absl/status/statusor.h"

#include <functional>
#include <memory>
#include <string>

namespace weft {

using SayLine = std::function<void(const std::string &)>;

// InvalidArgument when the recipe asks for more threads than make sense on this machine.
absl::Status CheckThreads(const Recipe &recipe);

// Tokenizer and token files of [data], kept in `folder`; what is there already is used. Errors of
// PrepareData; InvalidArgument when the recipe names no text.
absl::StatusOr<PreparedData> PrepareRecipeText(const Recipe &recipe, const std::string &folder,
                                               const SayLine &say);

// The model's vocabulary is the tokenizer's, unless the recipe gives a larger one. InvalidArgument for a
// smaller one.
absl::Status FitVocabulary(Recipe &recipe, const Tokenizer &tokenizer);

// The recipe's ranks, on `cpu_level` or, where that is "", on what the environment or the machine says.
absl::StatusOr<std::unique_ptr<Ranks>> MakeRanks(const Recipe &recipe,
                                                 std::shared_ptr<const LoadedArtifact> artifact,
                                                 const std::string &cpu_level, const SayLine &say);

// Errors of TrainLoader::Make and Trainer::Create.
absl::StatusOr<std::unique_ptr<Trainer>> MakeTrainer(const Recipe &recipe, Ranks &ranks,
                                                     const TokenFile &text);

} // namespace weft
