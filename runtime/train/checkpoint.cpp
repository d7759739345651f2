// Finding, checking and reading checkpoints.
#include "runtime/train/checkpoint.h"
#include "runtime/data/file_io.h"
#include "runtime/data/json_depth.h"
#include "runtime/train/checkpoint_files.h"
#include "runtime/train/file_hash.h"
#include "runtime/train/safetensors.h"

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <filesystem>

namespace weft {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr uint64_t kMaxStateBytes = 16 << 20;

absl::Status Broken(const std::string &path, const std::string &what) {
  return absl::DataLossError(absl::StrCat("checkpoint ", path, " is broken: ", what));
}

// `value` as a whole number that is not negative.
bool Whole(const json &object, const char *key, int64_t *out) {
  auto found = object.find(key);
  if (found == object.end() || !found->is_number_unsigned() || found->get<uint64_t>() > uint64_t{1} << 62)
    return false;
  *out = found->get<int64_t>();
  return true;
}

// What weft-state.json holds, or which of its fields is wrong.
absl::StatusOr<CheckpointState> ParseState(const json &root) {
  CheckpointState state;
  auto wrong = [](const char *field) {
    return absl::DataLossError(absl::StrCat(kStateJson, ": field ", field, " is missing or wrong"));
  };
  if (!Whole(root, "step", &state.step)) return wrong("step");
  auto data = root.find("data"), options = root.find("options"), seed = root.find("seed"),
       level = root.find("cpu_level");
  if (data == root.end() || !data->is_object() || !Whole(*data, "epoch", &state.epoch) ||
      !Whole(*data, "row", &state.row) || !data->contains("hash") || !(*data)["hash"].is_string())
    return wrong("data");
  state.data_hash = (*data)["hash"].get<std::string>();
  if (seed == root.end() || !seed->is_number_unsigned()) return wrong("seed");
  state.seed = seed->get<uint64_t>();
  if (level == root.end() || !level->is_string()) return wrong("cpu_level");
  state.cpu_level = level->get<std::string>();
  if (options == root.end() || !options->is_object()) return wrong("options");
  for (const auto &[key, value] : options->items()) {
    if (!value.is_string()) return wrong("options");
    state.options[key] = value.get<std::string>();
  }
  auto monitor = root.find("monitor");
  if (monitor != root.end() && !ReadMonitor(*monitor, &state.monitor)) return wrong("monitor");
  return state;
}

} // namespace

std::string CheckpointName(int64_t step) { return absl::StrFormat("step-%06d", step); }

std::vector<int64_t> ListCheckpoints(const std::string &folder) {
  std::vector<int64_t> steps;
  std::error_code error;
  for (const fs::directory_entry &entry : fs::directory_iterator(folder, error)) {
    std::string name = entry.path().filename().string();
    int64_t step = 0;
    if (absl::StartsWith(name, "step-") && absl::SimpleAtoi(name.substr(5), &step) && step >= 0 &&
        CheckpointName(step) == name)
      steps.push_back(step);
  }
  std::sort(steps.begin(), steps.end());
  return steps;
}

absl::StatusOr<CheckpointState> VerifyCheckpoint(const std::string &path) {
  absl::StatusOr<std::string> text = ReadFile(absl::StrCat(path, "/", kStateJson), kMaxStateBytes);
  if (absl::IsNotFound(text.status())) return Broken(path, absl::StrCat(kStateJson, " is missing"));
  if (!text.ok()) return Broken(path, std::string(text.status().message()));
  if (JsonNestsDeeper(*text))
    return Broken(path, absl::StrCat(kStateJson, " nests deeper than ", kMaxJsonDepth, " levels"));
  json root = json::parse(*text, nullptr, /*allow_exceptions=*/false);
  if (root.is_discarded() || !root.is_object())
    return Broken(path, absl::StrCat(kStateJson, " is not JSON; it may be cut off"));
  int64_t version = 0;
  if (!Whole(root, "format_version", &version) || version != kCheckpointVersion)
    return Broken(path, absl::StrCat(kStateJson, ": format_version is ",
                                     root.value("format_version", json()).dump(), " when this weft reads ",
                                     kCheckpointVersion));
  std::string checksum =
      root.contains("checksum") && root["checksum"].is_string() ? root["checksum"].get<std::string>() : "";
  root.erase("checksum");
  if (std::string got = HashName(HashText(root.dump(-1, ' ', false, json::error_handler_t::replace)));
      got != checksum)
    return Broken(path, absl::StrCat(kStateJson, ": its checksum is ", got, " when it says ",
                                     checksum.empty() ? "none" : checksum));
  absl::StatusOr<CheckpointState> state = ParseState(root);
  if (!state.ok()) return Broken(path, std::string(state.status().message()));

  auto files = root.find("files");
  if (files == root.end() || !files->is_object())
    return Broken(path, absl::StrCat(kStateJson, ": field files is missing"));
  for (const auto &[name, entry] : files->items()) {
    int64_t bytes = 0;
    if (!entry.is_object() || !Whole(entry, "bytes", &bytes) || !entry.contains("xxh3") ||
        !entry["xxh3"].is_string() || name.find_first_of(std::string_view("/\0", 2)) != std::string::npos)
      return Broken(path, absl::StrCat(kStateJson, ": the entry of ", name, " is wrong"));
    std::error_code error;
    uint64_t size = fs::file_size(absl::StrCat(path, "/", name), error);
    if (error)
      return Broken(path, absl::StrCat(name, error == std::errc::no_such_file_or_directory
                                                 ? " is missing"
                                                 : absl::StrCat(": ", error.message())));
    if (static_cast<int64_t>(size) != bytes)
      return Broken(path, absl::StrCat(name, " has ", size, " bytes when it should have ", bytes));
    absl::StatusOr<FileHash> hash = HashFile(absl::StrCat(path, "/", name));
    if (!hash.ok()) return Broken(path, std::string(hash.status().message()));
    if (HashName(hash->hash) != entry["xxh3"].get<std::string>())
      return Broken(path, absl::StrCat(name, " has the checksum ", HashName(hash->hash),
                                       " when it should be ", entry["xxh3"].get<std::string>()));
  }
  for (const char *name : {kModelFile, kStateFile})
    if (!files->contains(name)) return Broken(path, absl::StrCat(kStateJson, " does not list ", name));
  return state;
}

absl::StatusOr<FoundCheckpoint> FindCheckpoint(const std::string &folder,
                                               const std::function<void(const std::string &)> &notice) {
  std::vector<int64_t> steps = ListCheckpoints(folder);
  if (steps.empty()) return absl::NotFoundError(absl::StrCat("there is no checkpoint in ", folder));
  for (auto step = steps.rbegin(); step != steps.rend(); ++step) {
    std::string path = absl::StrCat(folder, "/", CheckpointName(*step));
    absl::StatusOr<CheckpointState> state = VerifyCheckpoint(path);
    if (state.ok()) {
      if (step != steps.rbegin()) notice(absl::StrCat("using the last good checkpoint, ", path));
      return FoundCheckpoint{path, *std::move(state)};
    }
    notice(std::string(state.status().message()));
  }
  return absl::DataLossError(absl::StrCat(steps.size() == 1 ? "the one checkpoint" : "every checkpoint",
                                          " in ", folder,
                                          " is broken\nhint: start again in another run.dir"));
}

absl::StatusOr<FoundCheckpoint> LocateCheckpoint(const std::string &path,
                                                 const std::function<void(const std::string &)> &notice) {
  std::error_code error;
  if (!fs::is_directory(path, error))
    return absl::NotFoundError(absl::StrCat("there is no run or checkpoint ", path,
                                            fs::exists(path, error) ? " (it is not a folder)" : ""));
  if (fs::exists(absl::StrCat(path, "/", kStateJson), error)) {
    absl::StatusOr<CheckpointState> state = VerifyCheckpoint(path);
    if (!state.ok()) return state.status();
    return FoundCheckpoint{path, *std::move(state)};
  }
  absl::StatusOr<FoundCheckpoint> found = FindCheckpoint(path + "/checkpoints", notice);
  if (!absl::IsNotFound(found.status())) return found;
  bool folder = fs::exists(path + "/config.json", error);
  return absl::NotFoundError(absl::StrCat(
      path, " holds no checkpoint\nhint: ",
      folder ? absl::StrCat("weft import ", path, " CHECKPOINT makes one of a Hugging Face folder")
             : "name a run directory of weft train, or one of its checkpoints"));
}

absl::Status ReadCheckpoint(const std::string &path, absl::Span<const VariableView> variables, bool all) {
  absl::StatusOr<SafetensorsReader> model = SafetensorsReader::Open(absl::StrCat(path, "/", kModelFile));
  if (!model.ok()) return model.status();
  absl::StatusOr<SafetensorsReader> state;
  if (all) {
    state = SafetensorsReader::Open(absl::StrCat(path, "/", kStateFile));
    if (!state.ok()) return state.status();
  }
  for (const VariableView &view : variables) {
    fb::VariableKind kind = view.variable->kind();
    bool weight = kind == fb::VariableKind::parameter;
    if (kind == fb::VariableKind::cache || kind == fb::VariableKind::derived || (!weight && !all)) continue;
    const SafetensorsReader &reader = weight ? *model : *state;
    for (const CheckpointTensor &tensor : CheckpointTensors(view))
      if (absl::Status status = reader.Read(tensor.name, view.variable->dtype(), tensor.shape, tensor.memory);
          !status.ok()) {
        auto kept = reader.tensors().find(tensor.name);
        if (kind != fb::VariableKind::optimizer || kept == reader.tensors().end() ||
            kept->second.dtype == SafetensorsName(view.variable->dtype()) ||
            (kept->second.dtype != "F32" && kept->second.dtype != "BF16"))
          return status;
        return absl::InvalidArgumentError(
            absl::StrCat(std::string(status.message()), "\nhint: optimizer.moments=",
                         absl::AsciiStrToLower(kept->second.dtype), " goes on as the run was"));
      }
  }
  return absl::OkStatus();
}

} // namespace weft
