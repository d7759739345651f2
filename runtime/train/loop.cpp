#include "runtime/train/loop.h"
#include "runtime/data/file_io.h"
#include "runtime/data/prepare.h"
#include "runtime/train/checkpoint.h"
#include "runtime/train/checkpoint_saver.h"
#include "runtime/train/compile.h"
#include "runtime/train/file_hash.h"
#include "runtime/train/interrupt.h"
#include "runtime/train/metrics.h"
#include "runtime/train/recorder.h"
#include "runtime/train/run_folder.h"
#include "runtime/train/schedule.h"
#include "runtime/train/trainer.h"

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

#include <nlohmann/json.hpp>

#include <chrono>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <map>
#include <unistd.h>

namespace weft {
namespace {

using Clock = std::chrono::steady_clock;

namespace fs = std::filesystem;

constexpr uint64_t kTokenFileHeaderBytes = 72;
// More is a slip of the hand: ranks tried out on a small machine stay far below.
constexpr int64_t kMostThreadsAProcessor = 64;
constexpr char kResuming[] = ".resuming";
constexpr const char *kCompiled[] = {"recipe.toml", "model.weft", "model.weft.key"};

// A resumed run keeps its bits only where these are as they were.
std::vector<std::string> Differences(const CheckpointState &then, const CheckpointState &now) {
  std::vector<std::string> differences;
  auto compare = [&](const std::string &what, const std::string &a, const std::string &b) {
    if (a != b) differences.push_back(absl::StrCat(what, " was ", a, " and is ", b));
  };
  compare("train.seed", absl::StrCat(then.seed), absl::StrCat(now.seed));
  compare("the data", then.data_hash, now.data_hash);
  for (const auto &[key, value] : now.options) {
    if (key == "data_parallel" || key == "pipeline" || key == "micro_batch" || key == "target")
      continue; // bits do not depend on them
    auto old = then.options.find(key);
    if (old != then.options.end()) compare(key, old->second, value);
  }
  return differences;
}

// Hugging Face's config.json: the model's, with the ids that the tokenizer alone knows.
std::string ConfigJson(const fb::Artifact &artifact, const Tokenizer &tokenizer) {
  std::string text = artifact.config_json() ? artifact.config_json()->str() : "";
  auto config = nlohmann::ordered_json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!config.is_object()) config = nlohmann::ordered_json::object();
  config["eos_token_id"] = tokenizer.end_of_text();
  config["bos_token_id"] = tokenizer.prefix().empty() ? tokenizer.end_of_text() : tokenizer.prefix()[0];
  return config.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
}

// One run, in the order it goes.
class Run {
public:
  Run(Recipe recipe, const TrainOptions &options) : recipe_(std::move(recipe)), options_(options) {}
  absl::StatusOr<TrainEnd> Go();

private:
  absl::Status CheckThreads() const;
  absl::Status PrepareRun();
  absl::Status PrepareText();
  absl::Status Start();
  absl::Status TakeOver();
  absl::Status Resume();
  absl::StatusOr<TrainEnd> Steps(const Schedule &schedule);
  void Save(int64_t step);
  void Settle(bool wait);
  void NotSaved(int64_t step);
  absl::Status SaveLast(int64_t step);
  absl::Status Evaluation(int64_t step);
  absl::Status CheckFinite(int64_t step, const StepResult &result);
  CheckpointState State(int64_t step) const;
  std::string Path(absl::string_view name) const { return absl::StrCat(recipe_.run.dir, "/", name); }
  void Say(const std::string &text) {
    if (progress_)
      progress_->Say(text);
    else
      Progress(stderr, false, folder_->log(), 0, 0, 1).Say(text);
  }

  Recipe recipe_;
  TrainOptions options_;
  std::unique_ptr<RunFolder> folder_;
  std::optional<PreparedData> data_;
  std::string data_hash_;
  std::shared_ptr<const LoadedArtifact> artifact_;
  std::unique_ptr<Ranks> ranks_;
  std::unique_ptr<Trainer> trainer_;
  std::optional<EvalLoader> eval_;
  std::optional<FoundCheckpoint> found_;
  std::unique_ptr<Recorder> recorder_;
  std::map<std::string, std::string> checkpoint_files_;
  std::optional<Progress> progress_;
  std::optional<CheckpointSaver> saver_; // destroyed before the recorder, which its thread syncs
  int64_t start_ = 0, saved_ = -1;       // steps done at the start, and in the newest checkpoint
  int64_t last_ = -1;                    // the step that the run ends with, once it is known
  absl::Status not_saved_;               // of the checkpoint tried last
};

CheckpointState Run::State(int64_t step) const {
  CheckpointState state;
  DataPosition position = trainer_->loader().PositionAt(step);
  state.step = step;
  state.epoch = position.epoch;
  state.row = position.row;
  state.seed = recipe_.train.seed;
  state.data_hash = data_hash_;
  state.cpu_level = ranks_->session(0).cpu_level();
  if (const auto *options = ranks_->artifact().options())
    for (const fb::Option *option : *options)
      if (option->key() && option->value()) state.options[option->key()->str()] = option->value()->str();
  // These are the loader's, whatever the artifact says of itself.
  state.options["batch"] = absl::StrCat(recipe_.train.batch);
  state.options["seq"] = absl::StrCat(recipe_.train.seq);
  state.options["shards"] = absl::StrCat(recipe_.train.shards);
  return state;
}

absl::Status Run::PrepareText() {
  if (recipe_.data.train.empty())
    return absl::InvalidArgumentError(
        "data.train names no text\nhint: for example data.train = [\"corpus/*.txt\"]");
  DataOptions options;
  options.train = recipe_.data.train;
  options.validation_fraction = recipe_.data.validation;
  options.validation = recipe_.data.validation_files;
  options.tokenizer = recipe_.data.tokenizer;
  options.folder = Path("data");
  options.progress = [this](std::string_view text) { Say(std::string(text)); };
  absl::StatusOr<PreparedData> data = PrepareData(options);
  if (!data.ok()) return data.status();
  data_ = *std::move(data);
  // The header holds the checksums of all the rest.
  absl::StatusOr<FileHash> hash = HashFile(data_->train.path(), kTokenFileHeaderBytes);
  if (!hash.ok()) return hash.status();
  data_hash_ = HashName(hash->hash);
  return found_ ? absl::OkStatus() : data_->tokenizer.Save(Path("tokenizer.json"));
}

absl::Status Run::CheckThreads() const {
  int64_t machine = ThreadPool::HardwareThreads(),
          total = recipe_.run.ranks * std::max<int64_t>(recipe_.run.threads, 1);
  if (total <= kMostThreadsAProcessor * machine) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(total, " threads on ", machine, " processors are more than make sense (",
                   kMostThreadsAProcessor * machine, ")\nhint: run.threads=0 takes one a processor"));
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

  if (absl::Status status = PrepareText(); !status.ok()) return status;
  auto &keys = recipe_.model.keys;
  if (!keys.count("vocab")) {
    keys["vocab"] = int64_t{data_->tokenizer.vocab_size()};
  } else if (auto *vocab = std::get_if<int64_t>(&keys["vocab"]);
             vocab && *vocab < data_->tokenizer.vocab_size()) {
    return absl::InvalidArgumentError(absl::StrCat("model.vocab is ", *vocab, " when the tokenizer has ",
                                                   data_->tokenizer.vocab_size(),
                                                   " tokens\nhint: leave model.vocab out"));
  }
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
  RanksOptions ranks_options;
  ranks_options.artifact = artifact_;
  ranks_options.cpu = CpuOptionsFromEnvironment();
  if (!options_.cpu_level.empty()) ranks_options.cpu.level = options_.cpu_level;
  ranks_options.data_parallel = static_cast<int>(recipe_.data_parallel);
  ranks_options.pipeline = static_cast<int>(recipe_.pipeline);
  ranks_options.threads = static_cast<int>(recipe_.run.threads);
  absl::StatusOr<std::unique_ptr<Ranks>> ranks = Ranks::Create(ranks_options);
  if (!ranks.ok()) return ranks.status();
  ranks_ = *std::move(ranks);
  int64_t total = int64_t{ranks_->size()} * ranks_->threads(), machine = ThreadPool::HardwareThreads();
  Say(absl::StrCat(ranks_->size(), ranks_->size() == 1 ? " rank" : " ranks", " of ", ranks_->threads(),
                   ranks_->threads() == 1 ? " thread, " : " threads, ", ranks_->session(0).cpu_level()));
  if (total > machine)
    Say(absl::StrCat("warning: ", total, " threads on ", machine, " processors run slower than ", machine,
                     " would"));

  TrainLoaderOptions loader_options{recipe_.train.batch, recipe_.train.seq,
                                    static_cast<uint64_t>(recipe_.train.seed), true};
  absl::StatusOr<TrainLoader> loader = TrainLoader::Make(data_->train, loader_options);
  if (!loader.ok()) return loader.status();
  absl::StatusOr<std::unique_ptr<Trainer>> trainer = Trainer::Create(*ranks_, *std::move(loader));
  if (!trainer.ok()) return trainer.status();
  trainer_ = *std::move(trainer);
  if (data_->validation && recipe_.train.eval_every > 0) {
    absl::StatusOr<EvalLoader> eval =
        EvalLoader::Make(*data_->validation, trainer_->micro_batch(), recipe_.train.seq);
    if (!eval.ok()) return eval.status();
    eval_ = *std::move(eval);
  }
  return found_ ? Resume() : trainer_->Initialise(recipe_.train.seed);
}

absl::Status Run::Resume() {
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
  Say(absl::StrCat("resumed from ", found_->path));
  return absl::OkStatus();
}

// Begins the checkpoint of `step`. One that cannot be written does not end the run: there may be room for the
// next.
void Run::Save(int64_t step) {
  Settle(/*wait=*/true);
  if (step == saved_) return;
  CheckpointContents contents;
  contents.state = State(step);
  contents.variables = ranks_->CheckpointVariables();
  contents.files = checkpoint_files_;
  // A checkpoint's metrics are on the disk when it is.
  not_saved_ = saver_->Begin(contents, [this] { return recorder_->Sync(); });
  if (!not_saved_.ok()) NotSaved(step);
}

// Takes note of how the checkpoint under way ended.
void Run::Settle(bool wait) {
  std::optional<CheckpointSaver::Outcome> ended = saver_->Ended(wait);
  if (!ended) return;
  not_saved_ = ended->path.status();
  if (!not_saved_.ok()) return NotSaved(ended->step);
  saved_ = ended->step;
  Say(absl::StrCat("saved ", *ended->path));
}

void Run::NotSaved(int64_t step) {
  not_saved_ = absl::Status(not_saved_.code(),
                            absl::StrCat("the checkpoint of step ", step,
                                         " could not be written: ", std::string(not_saved_.message())));
  if (step == last_) return; // that is an error
  int64_t every = recipe_.run.checkpoint_every,
          next = every > 0 ? (step / every + 1) * every : recipe_.train.steps;
  Say(absl::StrCat("warning: ", std::string(not_saved_.message()),
                   " (the run goes on; the next is due at step ", std::min(next, recipe_.train.steps), ")"));
}

// The last chance.
absl::Status Run::SaveLast(int64_t step) {
  last_ = step;
  Save(step);
  Settle(/*wait=*/true);
  if (saved_ == step) return absl::OkStatus();
  std::string resume = absl::StrCat("weft train ", recipe_.run.dir, " --resume ");
  return absl::Status(not_saved_.code(),
                      absl::StrCat(std::string(not_saved_.message()), "\nhint: make room; ", resume,
                                   saved_ > 0 ? absl::StrCat("goes back to step ", saved_) : "starts again"));
}

absl::Status Run::Evaluation(int64_t step) {
  absl::StatusOr<EvalMetrics> result = Evaluate(*ranks_, *eval_, recipe_.train.eval_batches);
  if (!result.ok()) return result.status();
  result->step = step;
  progress_->Eval(*result);
  recorder_->Add(*result);
  return absl::OkStatus();
}

absl::Status Run::CheckFinite(int64_t step, const StepResult &result) {
  if (std::isfinite(result.loss) && std::isfinite(result.grad_norm)) return absl::OkStatus();
  Settle(/*wait=*/true);
  return absl::FailedPreconditionError(absl::StrFormat(
      "the run has diverged: the %s is %f at step %d\nhint: %s, with a lower optimizer.lr or a longer "
      "optimizer.warmup",
      std::isfinite(result.loss) ? "gradient's norm" : "loss",
      std::isfinite(result.loss) ? result.grad_norm : result.loss, step,
      saved_ > 0 ? absl::StrCat("--resume goes back to step ", saved_) : std::string("start again")));
}

absl::StatusOr<TrainEnd> Run::Go() {
  if (absl::Status status = CheckThreads(); !status.ok()) return status;
  absl::StatusOr<std::unique_ptr<RunFolder>> folder = RunFolder::Open(recipe_.run.dir);
  if (!folder.ok()) return folder.status();
  folder_ = *std::move(folder);
  struct Staging { // what a refused resumption leaves
    std::string path;
    ~Staging() {
      std::error_code error;
      fs::remove_all(path, error);
    }
  } staging{Path(kResuming)};
  if (absl::Status status = PrepareRun(); !status.ok()) return status;
  if (absl::Status status = Start(); !status.ok()) return status;
  if (found_)
    if (absl::Status status = TakeOver(); !status.ok()) return status;
  const int64_t steps = recipe_.train.steps;
  absl::StatusOr<Schedule> schedule =
      MakeSchedule(recipe_.optimizer.schedule, steps, recipe_.WarmupSteps(), recipe_.DecaySteps(),
                   recipe_.optimizer.lr, recipe_.optimizer.min_lr);
  if (!schedule.ok()) return schedule.status();
  progress_.emplace(stderr, isatty(STDERR_FILENO), folder_->log(), start_ + 1, steps, recipe_.run.log_every);
  absl::StatusOr<std::unique_ptr<Recorder>> recorder = Recorder::Open(
      recipe_.run.dir, start_, start_ < steps, [this](const std::string &text) { progress_->Say(text); });
  if (!recorder.ok()) return recorder.status();
  recorder_ = *std::move(recorder);
  checkpoint_files_ = {{"tokenizer.json", data_->tokenizer.ToJson()},
                       {"tokenizer_config.json", data_->tokenizer.ToConfigJson()},
                       {"weft-recipe.toml", RecipeText(recipe_)},
                       {"config.json", ConfigJson(ranks_->artifact(), data_->tokenizer)}};
  saver_.emplace(Path("checkpoints"), recipe_.run.keep);

  if (start_ == steps)
    Say(absl::StrCat("the run has all its ", steps, " steps; a larger train.steps goes on"));
  absl::StatusOr<TrainEnd> end = Steps(*schedule);
  Settle(/*wait=*/true);
  progress_->Finish();
  absl::Status recorded = recorder_->Finish();
  return end.ok() && !recorded.ok() ? recorded : end;
}

absl::StatusOr<TrainEnd> Run::Steps(const Schedule &schedule) {
  const int64_t steps = recipe_.train.steps, every = recipe_.run.checkpoint_every;
  const double tokens = static_cast<double>(recipe_.train.batch) * static_cast<double>(recipe_.train.seq);
  InterruptGuard interrupt;
  if (recipe_.run.save_initial && start_ == 0)
    if (absl::Status status = SaveLast(0); !status.ok()) return status;
  for (int64_t step = start_ + 1; step <= steps; ++step) {
    Clock::time_point begin = Clock::now();
    StepMetrics m;
    m.step = step;
    m.lr = schedule.At(step);
    absl::StatusOr<StepResult> result = trainer_->Step(step, m.lr);
    if (!result.ok()) return result.status();
    m.step_ms = std::chrono::duration<double, std::milli>(Clock::now() - begin).count();
    m.tokens_per_second = tokens / (m.step_ms / 1000);
    m.loss = result->loss;
    m.grad_norm = result->grad_norm;
    recorder_->Add(m);
    if (absl::Status status = CheckFinite(step, *result); !status.ok()) return status;
    progress_->Step(m);

    const bool last = step == steps;
    if (eval_ && (last || (step % recipe_.train.eval_every == 0 && !interrupt.requested())))
      if (absl::Status status = Evaluation(step); !status.ok()) return status;
    if (!last && !interrupt.requested() && every > 0 && step % every == 0)
      Save(step);
    else
      Settle(/*wait=*/false);
    const bool leave = !last && interrupt.requested(); // asked for during the evaluation or the copy, too
    if (last || leave)
      if (absl::Status status = SaveLast(step); !status.ok()) return status;
    if (!leave) continue;
    Say(absl::StrCat("interrupted after step ", step, "; weft train ", recipe_.run.dir, " --resume goes on"));
    return TrainEnd::interrupted;
  }
  return TrainEnd::finished;
}

} // namespace

absl::StatusOr<TrainEnd> Train(Recipe recipe, const TrainOptions &options) {
  return Run(std::move(recipe), options).Go();
}

} // namespace weft
