// A run's checkpoints: when one is written, what it holds, and what happens when it cannot be.
#include "runtime/train/run.h"

#include "runtime/train/hugging_face_files.h"

#include <algorithm>
#include <filesystem>

namespace weft {
namespace {

// Hugging Face's config.json: the model's, with the ids that the tokenizer alone knows.
nlohmann::ordered_json ConfigJson(const fb::Artifact &artifact, const Tokenizer &tokenizer) {
  std::string text = artifact.config_json() ? artifact.config_json()->str() : "";
  auto config = nlohmann::ordered_json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!config.is_object()) config = nlohmann::ordered_json::object();
  config["eos_token_id"] = tokenizer.end_of_text();
  config["bos_token_id"] = tokenizer.prefix().empty() ? tokenizer.end_of_text() : tokenizer.prefix()[0];
  return config;
}

} // namespace

absl::StatusOr<std::map<std::string, std::string>> Run::CheckpointFiles() const {
  nlohmann::ordered_json config = ConfigJson(ranks_->artifact(), data_->tokenizer);
  absl::StatusOr<std::map<std::string, std::string>> files = ReadCompanionFiles(Path(kCompanions));
  if (!files.ok()) return files.status();
  if (std::string theirs = Path(absl::StrCat(kCompanions, "/config.json")); std::filesystem::exists(theirs)) {
    absl::StatusOr<nlohmann::ordered_json> ids = ReadJsonObject(theirs);
    if (!ids.ok()) return ids.status();
    for (const char *key : kTokenIdKeys)
      if (ids->contains(key)) config[key] = (*ids)[key];
  }
  files->try_emplace("tokenizer_config.json", data_->tokenizer.ToConfigJson());
  (*files)["tokenizer.json"] = data_->tokenizer.ToJson();
  (*files)["weft-recipe.toml"] = RecipeText(recipe_);
  (*files)["config.json"] = JsonText(config);
  return files;
}

CheckpointState Run::State(int64_t step) const {
  CheckpointState state;
  DataPosition position = trainer_->loader().PositionAt(step + spikes_.state().skipped);
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
  state.options["cross_document"] = recipe_.data.cross_document ? "true" : "false";
  state.options["shards"] = absl::StrCat(recipe_.train.shards);
  state.monitor = {stopping_.state(), spikes_.state(), IsScheduled(step) ? step : anchor_};
  return state;
}

// Whether every run of this recipe makes a checkpoint of `step`, interrupted or not.
bool Run::IsScheduled(int64_t step) const {
  const int64_t every = recipe_.run.checkpoint_every;
  return (every > 0 && step % every == 0) || (recipe_.run.keep_best && stopping_.state().best_step == step);
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
  contents.keep_best = recipe_.run.keep_best;
  saving_anchor_ = contents.state.monitor.anchor;
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
  anchor_ = saving_anchor_;
  Say(absl::StrCat("saved ", *ended->path,
                   recipe_.run.keep_best && stopping_.state().best_step == saved_ ? ", the best so far"
                                                                                  : ""));
  if (!ended->best.ok())
    Say(absl::StrCat("warning: checkpoints/best does not name the best checkpoint: ",
                     std::string(ended->best.message())));
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

} // namespace weft
