// The compiler as a child process, and the artifact of a run.
#pragma once

#include "runtime/artifact/reader.h"
#include "runtime/train/recipe.h"

#include "absl/status/statusor.h"

#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace weft {

// weftc: the one beside the running binary. NotFound says where it was looked for.
absl::StatusOr<std::string> FindCompiler();

// Runs `weftc ARGUMENTS…`; its output and errors go where ours go, with `output_to_stderr` both to stderr.
// The exit status, or an error when it could not be started or was ended by a signal.
absl::StatusOr<int> RunCompiler(const std::vector<std::string> &arguments, bool output_to_stderr = false);

// What in a recipe and its model file decides the artifact, as a hash: settings like the learning rate are
// arguments.
absl::StatusOr<std::string> CompileKey(const Recipe &recipe);

// The artifact at `path`, compiled from `recipe_path` (which holds `recipe`) when it is missing, damaged, or
// made from other settings or by another weftc. `say` is told what happens. FailedPrecondition when compiling
// fails.
absl::StatusOr<std::shared_ptr<const LoadedArtifact>>
EnsureArtifact(const Recipe &recipe, const std::string &recipe_path, const std::string &path,
               const std::function<void(const std::string &)> &say);

// The same for a checkpoint's or run's recipe with one rank in place of its plan: FOLDER/single.weft, or with
// `absorbed` (run.absorbed) FOLDER/absorbed.weft, beside the recipe that it was compiled from. The folder is
// made if need be.
absl::StatusOr<std::shared_ptr<const LoadedArtifact>>
EnsureArtifactForOneRank(const std::string &recipe_path, const std::string &folder,
                         const std::function<void(const std::string &)> &say, bool absorbed = false);
// Where a checkpoint that is in no run keeps it.
inline constexpr char kCompiledFolder[] = "weft-compiled";

// FailedPrecondition when the artifact's options (micro_batch, seq, …) differ from the recipe's: names the
// first.
absl::Status CheckArtifactOptions(const fb::Artifact &artifact, const Recipe &recipe);

} // namespace weft
