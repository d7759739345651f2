#include "compiler/check/user_inputs.h"
#include "compiler/check/check_phases.h"
#include "compiler/check/tensor_bytes.h"
#include "compiler/write_artifact.h"
#include "dialects/graph/graph.h"
#include "runtime/data/corpus.h"
#include "runtime/data/file_io.h"
#include "runtime/train/checkpoint.h"
#include "runtime/train/open_recipe.h"
#include "runtime/train/safetensors.h"
#include "runtime/train/schedule.h"

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

#include <cerrno>
#include <cfloat>
#include <cmath>
#include <filesystem>
#include <unistd.h>

using namespace mlir;
using weft::graph::Element;
using weft::graph::HostTensor;
namespace weft {
namespace {

namespace fs = std::filesystem;
using Say = std::function<void(const std::string &)>;

struct UserText {
  TokenFile train;
  std::optional<TokenFile> validation;
  std::string from;
};

// A folder that is gone afterwards; token files that were opened in it stay.
struct TemporaryFolder {
  std::string path = (fs::temp_directory_path() / "weft-check-XXXXXX").string();
  bool made = mkdtemp(path.data()) != nullptr;
  ~TemporaryFolder() {
    std::error_code error;
    if (made) fs::remove_all(path, error);
  }
};

absl::StatusOr<UserText> TextOfFiles(const std::string &pattern, const std::optional<Tokenizer> &tokenizer,
                                     const TemporaryFolder &folder) {
  if (absl::EndsWith(pattern, ".tokens")) {
    absl::StatusOr<TokenFile> file = TokenFile::Open(pattern);
    if (!file.ok()) return file.status();
    if (tokenizer)
      if (absl::Status status = file->CheckTokenizer(tokenizer->hash()); !status.ok()) return status;
    return UserText{*std::move(file), std::nullopt, pattern};
  }
  if (!tokenizer)
    return absl::InvalidArgumentError(absl::StrCat(
        pattern, " is text, and there is no tokenizer for it\nhint: name a checkpoint, a tokenizer "
                 "with --set data.tokenizer=FILE, or a token file (*.tokens)"));
  absl::StatusOr<std::vector<Document>> documents = LoadCorpus({pattern});
  if (!documents.ok()) return documents.status();
  std::vector<std::string_view> texts;
  for (const Document &document : *documents) texts.push_back(document.text);
  std::string path = folder.path + "/text.tokens";
  if (absl::Status status = WriteTokenFile(path, *tokenizer, texts); !status.ok()) return status;
  absl::StatusOr<TokenFile> file = TokenFile::Open(path);
  if (!file.ok()) return file.status();
  return UserText{*std::move(file), std::nullopt, pattern};
}

// What the checkpoint's run trains on, made with its tokenizer; nothing where that is not at hand.
std::optional<UserText> TextOfRun(const std::string &checkpoint, const Tokenizer &tokenizer) {
  fs::path folder = fs::absolute(checkpoint + "/.").lexically_normal().parent_path().parent_path();
  if (folder.filename() != "checkpoints") return std::nullopt;
  std::string data = (folder.parent_path() / "data").string();
  absl::StatusOr<TokenFile> train = TokenFile::Open(data + "/train.tokens");
  if (!train.ok() || !train->CheckTokenizer(tokenizer.hash()).ok()) return std::nullopt;
  UserText text{*std::move(train), std::nullopt, data + "/train.tokens"};
  absl::StatusOr<TokenFile> validation = TokenFile::Open(data + "/validation.tokens");
  if (validation.ok() && validation->CheckTokenizer(tokenizer.hash()).ok())
    text.validation = *std::move(validation);
  return text;
}

HostTensor Whole(ArrayRef<int64_t> shape, const std::vector<int32_t> &values) {
  HostTensor t = HostTensor::zeros(shape, Element::i32);
  std::copy(values.begin(), values.end(), t.values.begin());
  return t;
}
HostTensor Scalar(double value) {
  HostTensor t = HostTensor::zeros({}, Element::f32);
  t.values[0] = double(float(value));
  return t;
}

absl::Status FillTraining(const Recipe &recipe, const UserText &text, int64_t step, PhaseInputs &inputs) {
  const int64_t seq = recipe.train.seq, micro = recipe.train.micro_batch,
                rows = recipe.train.batch / std::max<int64_t>(1, recipe.data_parallel);
  if (micro < 1 || seq < 1 || rows < micro || rows % micro != 0)
    return absl::InvalidArgumentError(absl::StrCat("train.batch is ", recipe.train.batch,
                                                   ", not a multiple of micro_batch times the data-parallel "
                                                   "ranks, ",
                                                   micro * recipe.data_parallel));
  absl::StatusOr<TrainLoader> loader =
      TrainLoader::Make(text.train, {recipe.train.batch, seq, static_cast<uint64_t>(recipe.train.seed), true,
                                     recipe.data.cross_document});
  if (!loader.ok()) return loader.status();
  absl::StatusOr<Batch> batch = loader->GetRows(step, 0, rows);
  if (!batch.ok()) return batch.status();
  inputs.numMicroBatches = rows / micro;
  auto &train = inputs.entries["train_step"];
  SmallVector<int64_t> shape{rows / micro, micro, seq};
  train["tokens"] = Whole(shape, batch->tokens);
  train["positions"] = Whole(shape, batch->positions);
  train["documents"] = Whole(shape, batch->documents);
  train["targets"] = Whole(shape, batch->targets);
  absl::StatusOr<Schedule> schedule =
      MakeSchedule(recipe.optimizer.schedule, recipe.train.steps, recipe.WarmupSteps(), recipe.DecaySteps(),
                   recipe.optimizer.lr, recipe.optimizer.min_lr);
  if (!schedule.ok()) return schedule.status();
  train["lr"] = Scalar(schedule->At(step + 1));
  train["step"] = Scalar(double(step + 1));
  int64_t targets = loader->NumTargets(step);
  train["inverse_targets"] = Scalar(targets > 0 ? 1.0 / double(targets) : 0);
  return absl::OkStatus();
}

absl::Status FillEvaluation(const Recipe &recipe, const UserText &text, PhaseInputs &inputs) {
  absl::StatusOr<EvalLoader> loader = EvalLoader::Make(text.validation ? *text.validation : text.train,
                                                       recipe.train.micro_batch, recipe.train.seq);
  if (!loader.ok()) return loader.status();
  absl::StatusOr<Batch> batch = loader->GetBatch(0);
  if (!batch.ok()) return batch.status();
  auto &eval = inputs.entries["eval_step"];
  SmallVector<int64_t> shape{batch->rows, batch->seq};
  eval["tokens"] = Whole(shape, batch->tokens);
  eval["positions"] = Whole(shape, batch->positions);
  eval["documents"] = Whole(shape, batch->documents);
  eval["targets"] = Whole(shape, batch->targets);
  return absl::OkStatus();
}

// A prompt is the beginning of the text, repeated where that is short, the same for all texts of a batch;
// decoding goes on behind the longest.
void FillGeneration(const Recipe &recipe, const UserText &text, PhaseInputs &inputs) {
  const int64_t context = recipe.train.seq, batch = recipe.run.generate_batch;
  auto repeated = [&](const std::vector<int32_t> &row) {
    std::vector<int32_t> rows;
    for (int64_t i = 0; i < batch; ++i) rows.insert(rows.end(), row.begin(), row.end());
    return rows;
  };
  auto token = [&](int64_t i) { return text.train.token(i % text.train.num_tokens()); };
  int64_t longest = 0;
  for (int64_t length : {16, 64, 256}) {
    if (length > context) continue;
    longest = length;
    std::vector<int32_t> tokens, positions;
    for (int64_t i = 0; i < length; ++i) tokens.push_back(token(i)), positions.push_back(int32_t(i));
    auto &prefill = inputs.entries[absl::StrCat("prefill_", length)];
    prefill["tokens"] = Whole({batch, length}, repeated(tokens));
    prefill["positions"] = Whole({batch, length}, repeated(positions));
    prefill["last"] = Whole({batch}, repeated({int32_t(length - 1)}));
  }
  int64_t next = std::min(longest, context - 1); // the last place is written over where the cache is full
  inputs.entries["decode"]["tokens"] = Whole({batch, 1}, repeated({token(next)}));
  inputs.entries["decode"]["positions"] = Whole({batch, 1}, repeated({int32_t(next)}));
}

} // namespace

absl::Status ReadUserText(Recipe &recipe, std::string &checkpoint, const std::string &data,
                          PhaseInputs &inputs, const Say &say) {
  int64_t step = 0;
  std::optional<Tokenizer> tokenizer;
  if (!checkpoint.empty()) {
    absl::StatusOr<FoundCheckpoint> found = LocateCheckpoint(checkpoint, say);
    if (!found.ok()) return found.status();
    checkpoint = found->path;
    step = found->state.step;
    absl::StatusOr<Tokenizer> loaded = Tokenizer::Load(checkpoint + "/tokenizer.json");
    if (!loaded.ok()) return loaded.status();
    tokenizer = *std::move(loaded);
    inputs.from = absl::StrCat(checkpoint, " (", step, " steps)");
  } else if (!absl::StartsWith(recipe.data.tokenizer, "train:")) {
    absl::StatusOr<Tokenizer> loaded = Tokenizer::Load(recipe.data.tokenizer);
    if (!loaded.ok()) return loaded.status();
    tokenizer = *std::move(loaded);
  }
  TemporaryFolder folder;
  if (!folder.made) return FileError("create", folder.path, errno);
  std::optional<UserText> text;
  if (!data.empty() && data != "recipe") {
    absl::StatusOr<UserText> of_files = TextOfFiles(data, tokenizer, folder);
    if (!of_files.ok()) return of_files.status();
    text = *std::move(of_files);
  } else if (data.empty() && tokenizer)
    text = TextOfRun(checkpoint, *tokenizer);
  if (!text && (data == "recipe" || !recipe.data.train.empty())) {
    Recipe own = recipe;
    if (!checkpoint.empty()) own.data.tokenizer = checkpoint + "/tokenizer.json";
    absl::StatusOr<PreparedData> prepared = PrepareRecipeText(own, folder.path, say);
    if (!prepared.ok()) return prepared.status();
    tokenizer = prepared->tokenizer;
    text = UserText{prepared->train, prepared->validation, "the recipe's text"};
  }
  if (tokenizer)
    if (absl::Status status = FitVocabulary(recipe, *tokenizer); !status.ok()) return status;
  if (!text) {
    absl::StrAppend(&inputs.from, inputs.from.empty() ? "" : ", ", "random tokens");
    return absl::OkStatus();
  }
  auto [vocab, fresh] = recipe.model.keys.try_emplace("vocab", text->train.vocab_size());
  if (auto *size = std::get_if<int64_t>(&vocab->second); size && *size < text->train.vocab_size())
    return absl::InvalidArgumentError(absl::StrCat(text->from, " has a vocabulary of ",
                                                   text->train.vocab_size(), " tokens when model.vocab is ",
                                                   *size));
  absl::StrAppend(&inputs.from, inputs.from.empty() ? "" : ", ", text->from);
  if (absl::Status status = FillTraining(recipe, *text, step, inputs); !status.ok()) return status;
  if (absl::Status status = FillEvaluation(recipe, *text, inputs); !status.ok()) return status;
  FillGeneration(recipe, *text, inputs);
  return absl::OkStatus();
}

absl::Status ReadUserVariables(ModuleOp module, const std::string &checkpoint, PhaseInputs &inputs) {
  // The checkpoint's reader knows variables as an artifact has them.
  fb::StageT stage;
  for (auto v : module.getOps<graph::VariableOp>()) stage.variables.push_back(describeVariable(v));
  flatbuffers::FlatBufferBuilder builder;
  builder.Finish(fb::Stage::Pack(builder, &stage));
  const auto *variables = flatbuffers::GetRoot<fb::Stage>(builder.GetBufferPointer())->variables();
  absl::StatusOr<SafetensorsReader> states = SafetensorsReader::Open(checkpoint + "/weft-state.safetensors");
  bool all = states.ok() && !states->tensors().empty();
  std::vector<std::string> memory(stage.variables.size());
  std::vector<VariableView> views;
  for (size_t i = 0; variables && i < memory.size(); ++i) {
    memory[i].resize(stage.variables[i]->bytes);
    views.push_back({variables->Get(i), absl::MakeSpan(memory[i])});
  }
  if (absl::Status status = ReadCheckpoint(checkpoint, views, all); !status.ok()) return status;
  for (auto [v, bytes] : llvm::zip(module.getOps<graph::VariableOp>(), memory)) {
    if (v.getKind() == graph::VariableKind::cache) continue; // prefill fills them
    HostTensor t = HostTensor::zeros(cast<RankedTensorType>(v.getType()));
    fromBytes(bytes, t);
    for (size_t i = 0; i < t.values.size(); ++i)
      if (!std::isfinite(t.values[i]))
        return absl::InvalidArgumentError(absl::StrCat(
            v.getKind() == graph::VariableKind::parameter ? "parameter " : "variable ", v.getSymName().str(),
            " is ", t.values[i], " at ", indexText(t.shape, i), " in ", checkpoint,
            "\nhint: what is computed from it is none, whatever compiles it: weft train --trace-nan finds "
            "the op "
            "of a run that makes such a number"));
    inputs.variables[v.getSymName().str()] = std::move(t);
  }
  return absl::OkStatus();
}

} // namespace weft
