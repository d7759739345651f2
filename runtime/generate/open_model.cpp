#include "runtime/generate/open_model.h"
#include "runtime/data/file_io.h"
#include "runtime/train/compile.h"

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

// Whether its generating entries continue one text.
bool TakesOneText(const LoadedArtifact &artifact) {
  std::string batch = ArtifactOption(*artifact.root, "generate_batch");
  return batch.empty() || batch == "1";
}

bool IsAbsorbed(const LoadedArtifact &artifact) {
  return ArtifactOption(*artifact.root, "absorbed") == "true";
}

absl::StatusOr<Artifact> ArtifactFor(const std::string &checkpoint, const OpenModelOptions &options,
                                     const Say &say) {
  if (!options.artifact.empty()) {
    absl::StatusOr<Artifact> artifact = LoadArtifact(options.artifact);
    if (artifact.ok() && options.absorbed && !IsAbsorbed(**artifact))
      return absl::FailedPreconditionError(absl::StrCat(
          options.artifact, " was compiled without run.absorbed = true\nhint: weft compile … --set "
                            "run.absorbed=true, or leave out --absorbed"));
    return artifact;
  }
  // RUN/checkpoints/step-000200
  fs::path parent = fs::absolute(checkpoint + "/.").lexically_normal().parent_path().parent_path();
  std::string run = parent.parent_path().string();
  if (parent.filename() == "checkpoints" && Exists(run + "/recipe.toml")) {
    absl::StatusOr<Artifact> artifact = LoadArtifact(run + "/model.weft");
    if (artifact.ok() && (*artifact)->root->stages()->size() == 1 && TakesOneText(**artifact) &&
        (!options.absorbed || IsAbsorbed(**artifact))) {
      std::string ranks = ArtifactOption(*(*artifact)->root, "data_parallel");
      if (ranks.empty() || ranks == "1") return artifact;
    }
    return EnsureArtifactForOneRank(run + "/recipe.toml", run, say, options.absorbed);
  }
  std::string recipe = checkpoint + "/weft-recipe.toml";
  if (!Exists(recipe))
    return absl::NotFoundError(
        absl::StrCat(checkpoint, " is in no run directory and has no weft-recipe.toml\nhint: --artifact "
                                 "F.weft names the compiled model"));
  if (access(checkpoint.c_str(), W_OK) == 0)
    return EnsureArtifactForOneRank(recipe, absl::StrCat(checkpoint, "/", kCompiledFolder), say,
                                    options.absorbed);
  // One that may only be read: what is compiled already, or for this time alone.
  const char *name = options.absorbed ? "/absorbed.weft" : "/single.weft";
  if (std::string kept = absl::StrCat(checkpoint, "/", kCompiledFolder, name); Exists(kept))
    if (absl::StatusOr<Artifact> artifact = LoadArtifact(kept); artifact.ok()) return artifact;
  std::string folder = (fs::temp_directory_path() / "weft-XXXXXX").string();
  if (!mkdtemp(folder.data())) return FileError("create", folder, errno);
  absl::StatusOr<Artifact> artifact = EnsureArtifactForOneRank(recipe, folder, say, options.absorbed);
  std::error_code error;
  fs::remove_all(folder, error);
  return artifact;
}

} // namespace

absl::StatusOr<OpenedModel> OpenModel(const std::string &path, const OpenModelOptions &options,
                                      const Say &say) {
  absl::StatusOr<FoundCheckpoint> found = LocateCheckpoint(path, say);
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
