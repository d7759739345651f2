#include "runtime/generate/open_model.h"
#include "runtime/data/file_io.h"
#include "runtime/train/compile.h"
#include "runtime/train/recipe.h"

#include "absl/strings/str_cat.h"

#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <unistd.h>

namespace weft {
namespace {

namespace fs = std::filesystem;
using Say = std::function<void(const std::string &)>;
using Artifact = std::shared_ptr<const LoadedArtifact>;

bool Exists(const std::string &path) {
  std::error_code error;
  return fs::exists(path, error);
}

absl::StatusOr<FoundCheckpoint> Locate(const std::string &path, const Say &say) {
  std::error_code error;
  if (!fs::is_directory(path, error))
    return absl::NotFoundError(
        absl::StrCat("there is no run or checkpoint ", path, Exists(path) ? " (it is not a folder)" : ""));
  if (Exists(path + "/weft-state.json")) {
    absl::StatusOr<CheckpointState> state = VerifyCheckpoint(path);
    if (!state.ok()) return state.status();
    return FoundCheckpoint{path, *std::move(state)};
  }
  absl::StatusOr<FoundCheckpoint> found = FindCheckpoint(path + "/checkpoints", say);
  if (absl::IsNotFound(found.status()))
    return absl::NotFoundError(absl::StrCat(
        path, " holds no checkpoint\nhint: name a run directory of weft train, or one of its checkpoints"));
  return found;
}

absl::StatusOr<Artifact> ArtifactFor(const std::string &checkpoint, const OpenModelOptions &options,
                                     const Say &say) {
  if (!options.artifact.empty()) return LoadArtifact(options.artifact);
  // RUN/checkpoints/step-000200
  std::string run = fs::absolute(checkpoint).lexically_normal().parent_path().parent_path().string();
  bool in_run = Exists(run + "/recipe.toml");
  if (in_run) {
    absl::StatusOr<Artifact> artifact = LoadArtifact(run + "/model.weft");
    if (artifact.ok() && (*artifact)->root->stages()->size() == 1) {
      std::string ranks = ArtifactOption(*(*artifact)->root, "data_parallel");
      if (ranks.empty() || ranks == "1") return artifact;
    }
    return CompileForOneRank(run + "/recipe.toml", run, say);
  }
  std::string recipe = checkpoint + "/weft-recipe.toml";
  if (!Exists(recipe))
    return absl::NotFoundError(
        absl::StrCat(checkpoint, " is in no run directory and has no weft-recipe.toml\nhint: --artifact "
                                 "F.weft names the compiled model"));
  std::string folder = (fs::temp_directory_path() / "weft-XXXXXX").string();
  if (!mkdtemp(folder.data())) return FileError("create", folder, errno);
  absl::StatusOr<Artifact> artifact = CompileForOneRank(recipe, folder, say);
  std::error_code error;
  fs::remove_all(folder, error);
  return artifact;
}

} // namespace

absl::StatusOr<std::shared_ptr<const LoadedArtifact>>
CompileForOneRank(const std::string &recipe_path, const std::string &folder,
                  const std::function<void(const std::string &)> &say) {
  absl::StatusOr<Recipe> recipe = LoadRecipe(recipe_path);
  if (!recipe.ok()) return recipe.status();
  recipe->run.plan = "";
  recipe->run.ranks = 1;
  recipe->data_parallel = recipe->pipeline = 1;
  std::string single = absl::StrCat(folder, "/single.toml");
  if (absl::Status status = WriteFileAtomically(single, RecipeText(*recipe)); !status.ok()) return status;
  return EnsureArtifact(*recipe, single, absl::StrCat(folder, "/single.weft"), say);
}

absl::StatusOr<OpenedModel> OpenModel(const std::string &path, const OpenModelOptions &options,
                                      const Say &say) {
  absl::StatusOr<FoundCheckpoint> found = Locate(path, say);
  if (!found.ok()) return found.status();
  absl::StatusOr<Tokenizer> tokenizer = Tokenizer::Load(found->path + "/tokenizer.json");
  if (!tokenizer.ok()) return tokenizer.status();
  absl::StatusOr<Artifact> artifact = ArtifactFor(found->path, options, say);
  if (!artifact.ok()) return artifact.status();
  RanksOptions ranks_options;
  ranks_options.artifact = *artifact;
  ranks_options.cpu = CpuOptionsFromEnvironment();
  if (!options.cpu_level.empty()) ranks_options.cpu.level = options.cpu_level;
  ranks_options.threads = options.threads;
  absl::StatusOr<std::unique_ptr<Ranks>> ranks = Ranks::Create(ranks_options);
  if (!ranks.ok()) return ranks.status();
  if (absl::Status status = ReadCheckpoint(found->path, (*ranks)->Variables(0), /*all=*/false); !status.ok())
    return status;
  return OpenedModel{*std::move(ranks), *std::move(tokenizer), found->path, found->state};
}

} // namespace weft
