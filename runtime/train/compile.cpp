#include "runtime/train/compile.h"
#include "runtime/data/file_io.h"
#include "runtime/train/file_hash.h"
#include "runtime/train/ranks.h"

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <set>
#include <spawn.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

namespace weft {
namespace {

namespace fs = std::filesystem;

// Tells one build of the compiler from another; "" when there is none.
std::string CompilerIdentity() {
  absl::StatusOr<std::string> path = FindCompiler();
  struct stat info;
  if (!path.ok() || stat(path->c_str(), &info) != 0) return "";
  return absl::StrCat(info.st_size, "-", info.st_mtim.tv_sec, ".", info.st_mtim.tv_nsec);
}

// Settings that are arguments of the program, or none of its business.
bool DecidesArtifact(absl::string_view line) {
  static const std::set<std::string> not_compiled = {"train",
                                                     "validation",
                                                     "validation_files",
                                                     "tokenizer",
                                                     "fim",
                                                     "split_tokens",
                                                     "cross_document",
                                                     "stage",
                                                     "steps",
                                                     "seed",
                                                     "eval_every",
                                                     "eval_batches",
                                                     "patience",
                                                     "min_improvement",
                                                     "spike",
                                                     "trace_nan",
                                                     "spike_deviations",
                                                     "spike_window",
                                                     "spike_most",
                                                     "spike_within",
                                                     "keep_best",
                                                     "sample_prompts",
                                                     "sample_tokens",
                                                     "sample_temperature",
                                                     "lr",
                                                     "min_lr",
                                                     "schedule",
                                                     "warmup",
                                                     "decay_steps",
                                                     "decay_fraction",
                                                     "dir",
                                                     "checkpoint_every",
                                                     "keep",
                                                     "threads",
                                                     "log_every",
                                                     "save_initial",
                                                     "init"};
  return not_compiled.count(std::string(line.substr(0, line.find(' ')))) == 0;
}

} // namespace

absl::StatusOr<std::string> FindCompiler() {
  std::error_code error;
  fs::path self = fs::read_symlink("/proc/self/exe", error);
  fs::path beside = self.parent_path() / "weftc";
  if (!error && access(beside.c_str(), X_OK) == 0) return beside.string();
  return absl::NotFoundError(absl::StrCat("the compiler is missing: there is no ", beside.string(),
                                          "\nhint: build it with -DWEFT_COMPILER=ON"));
}

absl::StatusOr<int> RunCompiler(const std::vector<std::string> &arguments, bool output_to_stderr) {
  absl::StatusOr<std::string> path = FindCompiler();
  if (!path.ok()) return path.status();
  std::vector<char *> argv = {path->data()};
  for (const std::string &argument : arguments) argv.push_back(const_cast<char *>(argument.c_str()));
  argv.push_back(nullptr);
  pid_t child = 0;
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  if (output_to_stderr) posix_spawn_file_actions_adddup2(&actions, STDERR_FILENO, STDOUT_FILENO);
  int error = posix_spawn(&child, path->c_str(), &actions, nullptr, argv.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  if (error != 0) return FileError("start", *path, error);
  int status = 0;
  while (waitpid(child, &status, 0) < 0)
    if (errno != EINTR) return FileError("wait for", *path, errno);
  if (WIFEXITED(status)) return WEXITSTATUS(status);
  return absl::InternalError(absl::StrCat(
      "weftc was ended by signal ", WTERMSIG(status), " (", strsignal(WTERMSIG(status)), ")\n",
      "hint: a model's own code runs in the compiler; it may have thrown or read out of bounds"));
}

absl::StatusOr<std::string> CompileKey(const Recipe &recipe) {
  std::string text;
  std::string section; // "name" occurs in two sections
  for (absl::string_view line : absl::StrSplit(RecipeText(recipe), '\n')) {
    if (absl::StartsWith(line, "[")) section = std::string(line);
    // A model's own keys may be called anything.
    if (section == "[model]" || DecidesArtifact(line)) absl::StrAppend(&text, section, line, "\n");
  }
  if (!recipe.model.file.empty()) {
    absl::StatusOr<FileHash> hash = HashFile(recipe.model.file);
    if (!hash.ok()) return hash.status();
    absl::StrAppend(&text, HashName(hash->hash));
  }
  return HashName(HashText(text));
}

absl::Status CheckArtifactOptions(const fb::Artifact &artifact, const Recipe &recipe) {
  const std::pair<const char *, std::string> expected[] = {
      {"batch", absl::StrCat(recipe.train.batch)},
      {"micro_batch", absl::StrCat(recipe.train.micro_batch)},
      {"seq", absl::StrCat(recipe.train.seq)},
      {"shards", absl::StrCat(recipe.train.shards)},
      {"data_parallel", absl::StrCat(recipe.data_parallel)},
      {"pipeline", absl::StrCat(recipe.pipeline)},
      {"precision", recipe.train.precision}};
  for (const auto &[key, value] : expected)
    if (std::string got = ArtifactOption(artifact, key); !got.empty() && got != value)
      return absl::FailedPreconditionError(
          absl::StrCat("was compiled with ", key, " ", got, " when the recipe has ", value));
  return absl::OkStatus();
}

absl::StatusOr<std::shared_ptr<const LoadedArtifact>>
EnsureArtifact(const Recipe &recipe, const std::string &recipe_path, const std::string &path,
               const std::function<void(const std::string &)> &say) {
  absl::StatusOr<std::string> key = CompileKey(recipe);
  if (!key.ok()) return key.status();
  std::string compiler = CompilerIdentity(), key_path = absl::StrCat(path, ".key");
  absl::StatusOr<std::shared_ptr<const LoadedArtifact>> loaded = LoadArtifact(path);
  std::string name = fs::path(path).filename().string(), reason;
  if (absl::IsNotFound(loaded.status())) {
    reason = absl::StrCat("compiling ", name);
  } else if (!loaded.ok()) {
    reason = absl::StrCat("compiling again: ", std::string(loaded.status().message()));
  } else if (absl::Status status = CheckArtifactOptions(*(*loaded)->root, recipe); !status.ok()) {
    reason = absl::StrCat("compiling again: ", name, " ", std::string(status.message()));
  } else if (absl::StatusOr<std::string> kept = ReadFile(key_path, 4096); kept.ok()) {
    std::vector<std::string> parts = absl::StrSplit(*kept, '\n');
    if (parts[0] != *key)
      reason = "compiling again: the model or its settings have changed";
    else if (!compiler.empty() && parts.size() > 1 && parts[1] != compiler)
      reason = "compiling again: weftc has changed";
  }
  if (reason.empty()) return loaded;

  say(reason);
  absl::StatusOr<int> exit = RunCompiler({"compile", recipe_path, "-o", path}, /*output_to_stderr=*/true);
  if (!exit.ok()) return exit.status();
  if (*exit != 0)
    return absl::FailedPreconditionError(absl::StrCat("weftc could not compile ", recipe_path,
                                                      " (exit status ", *exit, "); its message is above"));
  loaded = LoadArtifact(path);
  if (!loaded.ok()) return loaded;
  if (absl::Status status = CheckArtifactOptions(*(*loaded)->root, recipe); !status.ok())
    return absl::InternalError(absl::StrCat(path, " ", std::string(status.message())));
  if (absl::Status status = WriteFileAtomically(key_path, absl::StrCat(*key, "\n", compiler, "\n"));
      !status.ok())
    return status;
  return loaded;
}

absl::StatusOr<std::shared_ptr<const LoadedArtifact>>
EnsureArtifactForOneRank(const std::string &recipe_path, const std::string &folder,
                         const std::function<void(const std::string &)> &say, bool absorbed) {
  absl::StatusOr<Recipe> recipe = LoadRecipe(recipe_path);
  if (!recipe.ok()) return recipe.status();
  recipe->run.plan = "";
  recipe->run.ranks = 1;
  recipe->data_parallel = recipe->pipeline = 1;
  recipe->run.generate_batch = 1;
  if (absorbed) recipe->run.absorbed = true;
  recipe->run.tune = 0; // nobody has asked for it here
  std::error_code error;
  fs::create_directories(folder, error);
  if (error) return FileError("create", folder, error.value());
  std::string name = absl::StrCat(folder, absorbed ? "/absorbed" : "/single"), path = name + ".toml";
  if (absl::Status status = WriteFileAtomically(path, RecipeText(*recipe)); !status.ok()) return status;
  return EnsureArtifact(*recipe, path, name + ".weft", say);
}

} // namespace weft
