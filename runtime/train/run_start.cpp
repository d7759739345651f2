// What a run does before its first step: text, artifact, ranks, and the checkpoint that it goes on from.
#include "runtime/data/file_io.h"
#include "runtime/train/file_hash.h"
#include "runtime/train/hugging_face_files.h"
#include "runtime/train/open_recipe.h"
#include "runtime/train/run.h"

#include "absl/strings/match.h"

#include <algorithm>
#include <cerrno>
#include <filesystem>

namespace weft {
namespace {

namespace fs = std::filesystem;

constexpr uint64_t kTokenFileHeaderBytes = 72;
constexpr const char *kCompiled[] = {"recipe.toml", "model.weft", "model.weft.key"};

// Whether the bits depend on how a shard is cut into micro-batches: bf16 adds tokens in groups, which a
// micro-batch fills up (docs/numerics.md, 5).
bool CutsGroups(const std::map<std::string, std::string> &options) {
  auto of = [&](const char *key) {
    auto it = options.find(key);
    return it == options.end() ? std::string() : it->second;
  };
  int64_t group = of("dot_unit") == "amx" ? 32 : of("dot_unit") == "vdpbf16" ? 2 : 1, rows = 0, seq = 0;
  return absl::SimpleAtoi(of("micro_batch"), &rows) && absl::SimpleAtoi(of("seq"), &seq) &&
         rows * seq % group != 0;
}

// A resumed run keeps its bits only where these are as they were.
std::vector<std::string> Differences(const CheckpointState &then, const CheckpointState &now) {
  std::vector<std::string> differences;
  auto compare = [&](const std::string &what, const std::string &a, const std::string &b) {
    if (a != b) differences.push_back(absl::StrCat(what, " was ", a, " and is ", b));
  };
  compare("train.seed", absl::StrCat(then.seed), absl::StrCat(now.seed));
  compare("the data", then.data_hash, now.data_hash);
  for (const auto &[key, value] : now.options) {
    if (key == "data_parallel" || key == "pipeline" || key == "target")
      continue; // bits do not depend on them
    if (key == "micro_batch" && !CutsGroups(then.options) && !CutsGroups(now.options)) continue;
    auto old = then.options.find(key);
    if (old != then.options.end()) compare(key, old->second, value);
  }
  return differences;
}

} // namespace

absl::Status Run::PrepareText() {
  absl::StatusOr<PreparedData> data =
      PrepareRecipeText(recipe_, Path("data"), [this](const std::string &text) { Say(text); });
  if (!data.ok()) return data.status();
  data_ = *std::move(data);
  // The header holds the checksums of all the rest.
  absl::StatusOr<FileHash> hash = HashFile(data_->train.path(), kTokenFileHeaderBytes);
  if (!hash.ok()) return hash.status();
  data_hash_ = HashName(hash->hash);
  return found_ ? absl::OkStatus() : data_->tokenizer.Save(Path("tokenizer.json"));
}

// Copies what goes with train.init's model, the tokenizer too: its folder may be gone when the run is
// resumed. Under another tokenizer its ids and its conversations mean nothing.
absl::Status Run::KeepCompanions() {
  const std::string &init = recipe_.train.init;
  std::error_code error;
  fs::remove_all(Path(kCompanions), error);
  if (!init_ || recipe_.data.tokenizer != absl::StrCat(init, "/tokenizer.json")) return absl::OkStatus();
  absl::StatusOr<std::map<std::string, std::string>> files = ReadCompanionFiles(init_->path);
  if (!files.ok()) return files.status();
  for (const char *name : {"config.json", "tokenizer.json"}) {
    absl::StatusOr<std::string> text = ReadFile(absl::StrCat(init_->path, "/", name), kMaxCompanionBytes);
    if (!text.ok()) return text.status();
    (*files)[name] = *std::move(text);
  }
  fs::create_directories(Path(kCompanions), error);
  for (const auto &[name, text] : *files)
    if (absl::Status status = WriteFileAtomically(Path(absl::StrCat(kCompanions, "/", name)), text);
        !status.ok())
      return status;
  recipe_.data.tokenizer = Path(absl::StrCat(kCompanions, "/tokenizer.json"));
  return absl::OkStatus();
}

absl::Status Run::PrepareRun() {
  auto say = [this](const std::string &text) { Say(text); };
  std::string checkpoints = Path("checkpoints");
  RemoveLeftovers(checkpoints);
  if (options_.resume) {
    absl::StatusOr<FoundCheckpoint> found = FindCheckpoint(checkpoints, say);
    if (!found.ok() && !absl::IsNotFound(found.status())) return found.status();
    if (found.ok())
      found_ = *std::move(found);
    else
      Say("there is no checkpoint yet: starting from the beginning");
  } else if (std::vector<int64_t> steps = ListCheckpoints(checkpoints); !steps.empty()) {
    return absl::FailedPreconditionError(
        absl::StrCat(recipe_.run.dir, " holds a run of ", steps.back(),
                     " steps already\nhint: --resume goes on with it; another run.dir starts afresh"));
  }
  if (found_ && found_->state.step > recipe_.train.steps)
    return absl::FailedPreconditionError(
        absl::StrCat("the checkpoint has ", found_->state.step, " steps when train.steps is ",
                     recipe_.train.steps, "\nhint: train.steps=", 2 * found_->state.step, " trains on"));

  if (!found_ && !recipe_.train.init.empty()) {
    absl::StatusOr<FoundCheckpoint> init = LocateCheckpoint(recipe_.train.init, say);
    if (!init.ok())
      return absl::Status(init.status().code(),
                          absl::StrCat("train.init: ", std::string(init.status().message())));
    init_ = *std::move(init);
  }
  if (!found_)
    if (absl::Status status = KeepCompanions(); !status.ok()) return status;
  if (absl::Status status = PrepareText(); !status.ok()) return status;
  if (absl::Status status = FitVocabulary(recipe_, data_->tokenizer); !status.ok()) return status;
  // A run that is resumed stays as it is until its checkpoint is known to fit: what is new waits in a folder.
  std::string folder = recipe_.run.dir;
  if (found_) {
    folder = Path(kResuming);
    std::error_code error;
    fs::remove_all(folder, error);
    fs::create_directories(folder, error);
    for (const char *name : kCompiled)
      if (!error && fs::exists(Path(name))) fs::copy_file(Path(name), absl::StrCat(folder, "/", name), error);
    if (error) return absl::UnavailableError(absl::StrCat("cannot write to ", folder, ": ", error.message()));
  }
  std::string recipe = absl::StrCat(folder, "/recipe.toml");
  if (absl::Status status = WriteFileAtomically(recipe, RecipeText(recipe_)); !status.ok()) return status;
  absl::StatusOr<std::shared_ptr<const LoadedArtifact>> artifact =
      EnsureArtifact(recipe_, recipe, absl::StrCat(folder, "/model.weft"), say);
  if (!artifact.ok()) return artifact.status();
  artifact_ = *std::move(artifact);
  return absl::OkStatus();
}

// The checkpoint fits: what was compiled for it, its recipe and its tokenizer become the run's.
absl::Status Run::TakeOver() {
  for (const char *name : kCompiled) {
    std::string from = Path(absl::StrCat(kResuming, "/", name));
    // An artifact that was put here by hand has no key.
    if (absl::EndsWith(name, ".key") && !fs::exists(from)) continue;
    if (rename(from.c_str(), Path(name).c_str()) != 0) return FileError("rename", from, errno);
  }
  std::error_code error;
  fs::remove_all(Path(kResuming), error);
  return data_->tokenizer.Save(Path("tokenizer.json"));
}

absl::Status Run::Start() {
  absl::StatusOr<std::unique_ptr<Ranks>> ranks =
      MakeRanks(recipe_, artifact_, options_.cpu_level, [this](const std::string &text) { Say(text); });
  if (!ranks.ok()) return ranks.status();
  ranks_ = *std::move(ranks);
  absl::StatusOr<std::unique_ptr<Trainer>> trainer = MakeTrainer(recipe_, *ranks_, data_->train);
  if (!trainer.ok()) return trainer.status();
  trainer_ = *std::move(trainer);
  if (data_->validation && recipe_.train.eval_every > 0) {
    absl::StatusOr<EvalLoader> eval =
        EvalLoader::Make(*data_->validation, trainer_->micro_batch(), recipe_.train.seq);
    if (!eval.ok()) return eval.status();
    eval_ = *std::move(eval);
  }
  if (absl::Status status = CheckSpikes(); !status.ok()) return status;
  return found_ ? Resume() : Begin();
}

absl::Status Run::Begin() {
  if (absl::Status status = trainer_->Initialise(recipe_.train.seed); !status.ok()) return status;
  if (!init_) return absl::OkStatus();
  if (absl::Status status = trainer_->TakeWeights(init_->path); !status.ok())
    return absl::Status(status.code(), absl::StrCat("train.init: ", std::string(status.message())));
  Say(absl::StrCat("starting from the weights of ", init_->path));
  return absl::OkStatus();
}

absl::Status Run::Resume() {
  const MonitorState &monitor = found_->state.monitor;
  stopping_.set_state(monitor.stopping);
  spikes_.set_state(monitor.spikes);
  anchor_ = monitor.anchor;
  CheckpointState now = State(found_->state.step);
  auto then_unit = found_->state.options.find("dot_unit"), now_unit = now.options.find("dot_unit");
  if (then_unit != found_->state.options.end() && now_unit != now.options.end() &&
      then_unit->second != now_unit->second && !options_.allow_other_dot_unit)
    return absl::FailedPreconditionError(absl::StrCat(found_->path, " was trained with the dot unit ",
                                                      then_unit->second, " when this is ", now_unit->second,
                                                      ": the bits would not be those of one run\n",
                                                      "hint: --allow-other-dot-unit goes on all the same"));
  for (const std::string &difference : Differences(found_->state, now))
    Say(absl::StrCat("warning: ", difference, ": the run will not have the bits of an uninterrupted one"));
  if (absl::Status status = trainer_->Restore(found_->path); !status.ok()) return status;
  start_ = saved_ = found_->state.step;
  // A kill may have come between the checkpoint and the link.
  if (recipe_.run.keep_best) LinkBest(Path("checkpoints"), monitor.stopping.best_step).IgnoreError();
  Say(absl::StrCat("resumed from ", found_->path));
  return absl::OkStatus();
}

} // namespace weft
