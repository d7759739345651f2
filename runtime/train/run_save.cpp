// A run's checkpoints: when one is written, what it holds, and what happens when it cannot be.
#include "runtime/train/run.h"

#include <nlohmann/json.hpp>

#include <algorithm>

namespace weft {
namespace {

// Hugging Face's config.json: the model's, with the ids that the tokenizer alone knows.
std::string ConfigJson(const fb::Artifact &artifact, const Tokenizer &tokenizer) {
  std::string text = artifact.config_json() ? artifact.config_json()->str() : "";
  auto config = nlohmann::ordered_json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!config.is_object()) config = nlohmann::ordered_json::object();
  config["eos_token_id"] = tokenizer.end_of_text();
  config["bos_token_id"] = tokenizer.prefix().empty() ? tokenizer.end_of_text() : tokenizer.prefix()[0];
  return config.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
}

} // namespace

std::map<std::string, std::string> Run::CheckpointFiles() const {
  return {{"tokenizer.json", data_->tokenizer.ToJson()},
          {"tokenizer_config.json", data_->tokenizer.ToConfigJson()},
          {"weft-recipe.toml", RecipeText(recipe_)},
          {"config.json", ConfigJson(ranks_->artifact(), data_->tokenizer)}};
}

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
  state.options["cross_document"] = recipe_.data.cross_document ? "true" : "false";
  state.options["shards"] = absl::StrCat(recipe_.train.shards);
  return state;
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

} // namespace weft
