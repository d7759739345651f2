#include "runtime/hugging_face/export.h"
#include "runtime/hugging_face/convert.h"
#include "runtime/hugging_face/staged_folder.h"
#include "runtime/hugging_face/weight_index.h"
#include "runtime/train/checkpoint_files.h"
#include "runtime/train/hugging_face_files.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

#include <algorithm>

namespace weft {
namespace {

using nlohmann::ordered_json;

constexpr uint64_t kBufferElements = 1 << 20;

uint64_t Elements(const SafeTensor &tensor) { return tensor.bytes / 4; }

// Files of at most `most` bytes, filled in the order of the names, as transformers does it.
std::vector<std::vector<std::string>> Shards(const WeightFiles &weights, uint64_t element, uint64_t most) {
  std::vector<std::vector<std::string>> shards(1);
  uint64_t size = 0;
  for (const auto &[name, place] : weights.tensors()) {
    uint64_t bytes = Elements(*place.tensor) * element;
    if (!shards.back().empty() && size + bytes > most) shards.emplace_back(), size = 0;
    shards.back().push_back(name);
    size += bytes;
  }
  return shards;
}

absl::Status CopyTensor(const WeightFiles &weights, const WeightFiles::Place &place, fb::DType dtype,
                        SafetensorsWriter &writer, const std::function<absl::Status(uint64_t)> &after) {
  uint64_t elements = Elements(*place.tensor), most = std::min(kBufferElements, elements);
  std::vector<float> buffer(most);
  std::vector<uint16_t> narrow(dtype == fb::DType::bf16 ? most : 0);
  for (uint64_t at = 0; at < elements; at += most) {
    absl::Span<float> part = absl::MakeSpan(buffer).subspan(0, elements - at);
    absl::Status status = weights.ReadF32(place, at, part);
    if (!status.ok()) return status;
    if (dtype == fb::DType::bf16) {
      RoundToBf16(part, narrow.data());
      status = writer.Append({reinterpret_cast<const char *>(narrow.data()), part.size() * 2});
    } else {
      status = writer.Append({reinterpret_cast<const char *>(part.data()), part.size() * 4});
    }
    if (status.ok()) status = after(part.size() * 4);
    if (!status.ok()) return status;
  }
  return absl::OkStatus();
}

absl::Status WriteWeights(const WeightFiles &weights, const ExportOptions &options, StagedFolder &staged,
                          size_t &count) {
  uint64_t element = options.dtype == fb::DType::bf16 ? 2 : 4, done = 0;
  auto after = [&](uint64_t bytes) -> absl::Status {
    done += bytes;
    if (options.copy.progress) options.copy.progress(done, weights.bytes());
    bool cancelled = options.copy.cancelled && options.copy.cancelled();
    return cancelled ? absl::CancelledError("interrupted") : absl::OkStatus();
  };
  std::vector<std::vector<std::string>> shards = Shards(weights, element, options.shard_bytes);
  std::map<std::string, std::string> index;
  for (size_t i = 0; i < shards.size(); ++i) {
    std::string file = shards.size() == 1
                           ? kModelFile
                           : absl::StrFormat("model-%05d-of-%05d.safetensors", i + 1, shards.size());
    std::vector<SafetensorsWriter::Tensor> header;
    for (const std::string &name : shards[i]) {
      header.push_back({name, options.dtype, weights.tensors().at(name).tensor->shape});
      index[name] = file;
    }
    absl::StatusOr<SafetensorsWriter> writer =
        SafetensorsWriter::Create(staged.Path(file), header, {{"format", "pt"}});
    if (!writer.ok()) return writer.status();
    for (const std::string &name : shards[i])
      if (absl::Status status =
              CopyTensor(weights, weights.tensors().at(name), options.dtype, *writer, after);
          !status.ok())
        return status;
    if (absl::StatusOr<UnsyncedFile> written = writer->FinishUnsynced(); !written.ok())
      return written.status();
  }
  count = shards.size();
  if (count == 1) return absl::OkStatus();
  std::string text = WeightIndexText(index, weights.bytes() / 4 * element);
  return WriteUnsynced(staged.Path(kWeightIndex), text).status();
}

// config.json with the type, and what else goes with the model.
absl::Status WriteSmallFiles(const std::string &checkpoint, const ExportOptions &options,
                             StagedFolder &staged) {
  absl::StatusOr<ordered_json> config = ReadJsonObject(checkpoint + "/config.json");
  if (!config.ok()) return config.status();
  if (!config->contains("architectures"))
    options.say("note: the model says nothing of itself in config.json (its Config has no "
                "hugging_face_config), so transformers has no class for the folder");
  (*config)["torch_dtype"] = options.dtype == fb::DType::bf16 ? "bfloat16" : "float32";
  absl::StatusOr<std::map<std::string, std::string>> files = ReadCompanionFiles(checkpoint);
  if (!files.ok()) return files.status();
  if (!files->count("generation_config.json")) {
    ordered_json generation = {{"_from_model_config", true}};
    for (const char *key : kTokenIdKeys)
      if (config->contains(key) && !(*config)[key].is_null()) generation[key] = (*config)[key];
    (*files)["generation_config.json"] = JsonText(generation);
  }
  (*files)["config.json"] = JsonText(*config);
  absl::StatusOr<std::string> tokenizer = ReadFile(checkpoint + "/tokenizer.json", kMaxCompanionBytes);
  if (!tokenizer.ok()) return tokenizer.status();
  (*files)["tokenizer.json"] = *std::move(tokenizer);
  for (const auto &[name, text] : *files)
    if (absl::Status status = WriteUnsynced(staged.Path(name), text).status(); !status.ok()) return status;
  return absl::OkStatus();
}

} // namespace

absl::Status ExportFolder(const ExportOptions &options) {
  absl::StatusOr<FoundCheckpoint> found = LocateCheckpoint(options.path, options.say);
  if (!found.ok()) return found.status();
  absl::StatusOr<WeightFiles> weights = WeightFiles::Open(found->path);
  if (!weights.ok()) return weights.status();
  for (const auto &[name, place] : weights->tensors())
    if (place.tensor->dtype != "F32")
      return absl::InvalidArgumentError(absl::StrCat(found->path, ": tensor ", name, " has the type ",
                                                     place.tensor->dtype, " when a checkpoint's are F32"));
  absl::StatusOr<StagedFolder> staged = StagedFolder::Create(options.folder);
  if (!staged.ok()) return staged.status();
  size_t count = 0;
  if (absl::Status status = WriteWeights(*weights, options, *staged, count); !status.ok()) return status;
  if (absl::Status status = WriteSmallFiles(found->path, options, *staged); !status.ok()) return status;
  if (absl::Status status = staged->Commit(); !status.ok()) return status;
  options.say(absl::StrCat("exported ", weights->tensors().size(), " tensors of ", found->path, " into ",
                           staged->path(), count > 1 ? absl::StrCat(", ", count, " files of weights") : ""));
  return absl::OkStatus();
}

} // namespace weft
