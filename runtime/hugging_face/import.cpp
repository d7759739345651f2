#include "runtime/hugging_face/import.h"
#include "runtime/data/bpe.h"
#include "runtime/hugging_face/staged_folder.h"
#include "runtime/train/checkpoint_files.h"
#include "runtime/train/compile.h"
#include "runtime/train/hugging_face_files.h"
#include "runtime/train/recipe.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

#include <algorithm>
#include <filesystem>

namespace weft {
namespace {

namespace fs = std::filesystem;
using nlohmann::ordered_json;

constexpr int64_t kDefaultSeq = 1024;

class Import {
public:
  Import(const ImportOptions &options, StagedFolder &staged) : options_(options), staged_(staged) {}
  absl::Status Go();

private:
  absl::Status ReadTokenizer();
  absl::Status Describe(const WeightFiles &weights);
  absl::Status Compile();
  absl::Status WriteConfig();
  absl::Status Add(const std::string &name, const std::string &text);
  std::string From(absl::string_view name) const { return absl::StrCat(options_.folder, "/", name); }

  const ImportOptions &options_;
  StagedFolder &staged_;
  std::string tokenizer_text_;
  std::optional<Tokenizer> tokenizer_;
  Recipe recipe_;
  OtherWeights others_;
  std::shared_ptr<const LoadedArtifact> artifact_;
  std::map<std::string, FileHash> files_;
};

absl::Status Import::Add(const std::string &name, const std::string &text) {
  files_[name] = {text.size(), HashText(text)};
  return WriteUnsynced(staged_.Path(name), text).status();
}

absl::Status Import::ReadTokenizer() {
  std::string path = options_.tokenizer.empty() ? From("tokenizer.json") : options_.tokenizer;
  absl::StatusOr<std::string> text = ReadFile(path, kMaxCompanionBytes);
  if (absl::IsNotFound(text.status()))
    return absl::NotFoundError(absl::StrCat(std::string(text.status().message()),
                                            "\nhint: --tokenizer FILE names a tokenizer.json elsewhere"));
  if (!text.ok()) return text.status();
  absl::StatusOr<Tokenizer> tokenizer = Tokenizer::Load(path);
  if (!tokenizer.ok()) return tokenizer.status();
  tokenizer_text_ = *std::move(text);
  tokenizer_ = *std::move(tokenizer);
  return absl::OkStatus();
}

// Which model and config it is: the model's own code says, in the compiler.
absl::Status Import::Describe(const WeightFiles &weights) {
  std::string file = staged_.Path("description.json");
  std::vector<std::string> command = {"describe-import", From("config.json"), "-o", file};
  if (!options_.model.empty()) command.insert(command.end(), {"--model", options_.model});
  absl::StatusOr<int> exit = RunCompiler(command, /*output_to_stderr=*/true);
  if (!exit.ok()) return exit.status();
  if (*exit != 0) return absl::FailedPreconditionError("");
  absl::StatusOr<ordered_json> description = ReadJsonObject(file);
  if (!description.ok()) return description.status();
  std::error_code error;
  fs::remove(file, error);

  const ordered_json &d = *description;
  recipe_.model.name = d.at("name").get<std::string>();
  recipe_.model.file = d.at("file").get<std::string>();
  recipe_.model.config = "";
  for (const auto &[key, value] : d.at("fields").items()) {
    if (value.is_boolean())
      recipe_.model.keys[key] = value.get<bool>();
    else if (value.is_number_integer())
      recipe_.model.keys[key] = value.get<int64_t>();
    else if (value.is_number())
      recipe_.model.keys[key] = value.get<double>();
    else
      recipe_.model.keys[key] = value.get<std::string>();
  }
  others_.ignored = d.at("ignored").get<std::vector<std::string>>();
  others_.equal = d.at("equal").get<std::vector<std::pair<std::string, std::string>>>();
  for (const auto &[field, pattern] :
       d.at("optional").get<std::vector<std::pair<std::string, std::string>>>())
    if (!HasTensor(weights, pattern)) {
      recipe_.model.keys[field] = int64_t{0};
      options_.say(absl::StrCat("note: ", field, " is 0: the folder has no tensors ", pattern));
    }
  auto unread = d.at("unread").get<std::vector<std::string>>();
  if (!unread.empty())
    options_.say(absl::StrCat("note: config.json's ", absl::StrJoin(unread, ", "), " ",
                              unread.size() == 1 ? "is" : "are", " not known to the model and left out"));
  return absl::OkStatus();
}

absl::Status Import::Compile() {
  auto size = [&](const char *key) {
    auto found = recipe_.model.keys.find(key);
    auto *value = found == recipe_.model.keys.end() ? nullptr : std::get_if<int64_t>(&found->second);
    return value ? *value : 0;
  };
  if (int64_t vocab = size("vocab"); vocab > 0 && vocab < tokenizer_->vocab_size())
    return absl::InvalidArgumentError(absl::StrCat("the model has ", vocab, " tokens when its tokenizer has ",
                                                   tokenizer_->vocab_size(),
                                                   "\nhint: they are of different models"));
  int64_t context = size("context");
  recipe_.data.tokenizer = "tokenizer.json";
  recipe_.train.batch = recipe_.train.micro_batch = recipe_.train.shards = 1;
  recipe_.train.seq =
      options_.seq ? options_.seq : std::min(context > 0 ? context : kDefaultSeq, kDefaultSeq);
  recipe_.train.precision = options_.precision;
  if (context > 0 && recipe_.train.seq > context)
    options_.say(absl::StrCat("warning: rows of ", recipe_.train.seq, " tokens are longer than the model's ",
                              context));
  if (absl::Status status = Add("weft-recipe.toml", RecipeText(recipe_)); !status.ok()) return status;
  absl::StatusOr<std::shared_ptr<const LoadedArtifact>> artifact =
      EnsureArtifactForOneRank(staged_.Path("weft-recipe.toml"), staged_.Path(kCompiledFolder), options_.say);
  if (!artifact.ok()) return artifact.status();
  artifact_ = *std::move(artifact);
  return absl::OkStatus();
}

// config.json as the model writes it, with the folder's ids of tokens.
absl::Status Import::WriteConfig() {
  absl::StatusOr<ordered_json> theirs = ReadJsonObject(From("config.json"));
  if (!theirs.ok()) return theirs.status();
  std::string text = artifact_->root->config_json() ? artifact_->root->config_json()->str() : "";
  auto config = ordered_json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!config.is_object()) config = ordered_json::object();
  config["eos_token_id"] = tokenizer_->end_of_text();
  for (const char *key : kTokenIdKeys)
    if (theirs->contains(key)) config[key] = (*theirs)[key];
  return Add("config.json", JsonText(config));
}

absl::Status Import::Go() {
  if (absl::Status status = ReadTokenizer(); !status.ok()) return status;
  absl::StatusOr<WeightFiles> weights = WeightFiles::Open(options_.folder);
  if (!weights.ok()) return weights.status();
  if (absl::Status status = Describe(*weights); !status.ok()) return status;
  if (absl::Status status = Compile(); !status.ok()) return status;
  if (options_.copy.cancelled && options_.copy.cancelled()) return absl::CancelledError("interrupted");

  WeightShapes shapes = WeightShapesOf(*artifact_->root);
  if (absl::Status status = CheckWeights(*weights, shapes, others_); !status.ok())
    return absl::Status(status.code(), absl::StrCat(options_.folder, ": ", status.message()));
  absl::StatusOr<FileHash> model =
      CopyWeights(*weights, shapes, others_, staged_.Path(kModelFile), options_.copy);
  if (!model.ok()) return model.status();
  files_[kModelFile] = *model;
  // A checkpoint has the optimiser's state; here there is none yet.
  absl::StatusOr<SafetensorsWriter> state = SafetensorsWriter::Create(staged_.Path(kStateFile), {});
  if (!state.ok()) return state.status();
  if (absl::StatusOr<UnsyncedFile> file = state->FinishUnsynced(); !file.ok()) return file.status();
  files_[kStateFile] = {state->size(), state->hash()};

  if (absl::Status status = WriteConfig(); !status.ok()) return status;
  if (absl::Status status = Add("tokenizer.json", tokenizer_text_); !status.ok()) return status;
  absl::StatusOr<std::map<std::string, std::string>> companions = ReadCompanionFiles(options_.folder);
  if (!companions.ok()) return companions.status();
  companions->try_emplace("tokenizer_config.json", tokenizer_->ToConfigJson());
  for (const auto &[name, text] : *companions)
    if (absl::Status status = Add(name, text); !status.ok()) return status;
  std::string state_json = StateJsonText(CheckpointState(), files_);
  if (absl::Status status = WriteUnsynced(staged_.Path(kStateJson), state_json).status(); !status.ok())
    return status;
  if (absl::Status status = staged_.Commit(); !status.ok()) return status;
  options_.say(absl::StrCat("imported ", shapes.size(), " tensors into ", staged_.path()));
  return absl::OkStatus();
}

} // namespace

absl::Status ImportFolder(const ImportOptions &options) {
  std::error_code error;
  if (!fs::is_directory(options.folder, error))
    return absl::NotFoundError(absl::StrCat("there is no folder ", options.folder));
  if (!fs::exists(options.folder + "/config.json", error))
    return absl::NotFoundError(
        absl::StrCat(options.folder, " has no config.json\nhint: a Hugging Face folder is expected, as "
                                     "save_pretrained of transformers writes it"));
  absl::StatusOr<StagedFolder> staged = StagedFolder::Create(options.checkpoint);
  if (!staged.ok()) return staged.status();
  return Import(options, *staged).Go();
}

} // namespace weft
