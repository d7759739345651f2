#include "runtime/data/file_io.h"
#include "runtime/executor/initialise.h"
#include "runtime/train/checkpoint.h"
#include "runtime/train/checkpoint_files.h"
#include "runtime/train/file_hash.h"
#include "runtime/train/safetensors.h"

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <sys/stat.h>
#include <unistd.h>

namespace weft {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

// Writes the tensors of the variables that `wanted` accepts.
template <typename F>
absl::StatusOr<FileHash> WriteTensors(const std::string &path, const std::vector<VariableView> &variables,
                                      std::vector<UnsyncedFile> &files, F wanted) {
  std::map<std::string, CheckpointTensor>
      tensors; // by name, so that stages and stacks do not show in the file
  std::vector<SafetensorsWriter::Tensor> header;
  std::map<std::string, fb::DType> types;
  for (const VariableView &view : variables) {
    if (!wanted(view.variable->kind())) continue;
    for (CheckpointTensor &tensor : CheckpointTensors(view)) {
      auto [at, fresh] = tensors.try_emplace(tensor.name, tensor);
      types[tensor.name] = view.variable->dtype();
      if (!fresh && (at->second.memory.size() != tensor.memory.size() ||
                     memcmp(at->second.memory.data(), tensor.memory.data(), tensor.memory.size()) != 0))
        return absl::InternalError(absl::StrCat("two variables are called ", tensor.name, " and differ"));
    }
  }
  for (const auto &[name, tensor] : tensors) header.push_back({name, types[name], tensor.shape});
  absl::StatusOr<SafetensorsWriter> writer = SafetensorsWriter::Create(path, header, {{"format", "pt"}});
  if (!writer.ok()) return writer.status();
  for (const auto &[name, tensor] : tensors)
    if (absl::Status status = writer->Append(tensor.memory); !status.ok()) return status;
  absl::StatusOr<UnsyncedFile> file = writer->FinishUnsynced();
  if (!file.ok()) return file.status();
  files.push_back(*std::move(file));
  return FileHash{writer->size(), writer->hash()};
}

// The tensor, or one for each index of its first dimension while its name has a {} for it.
void AddParts(CheckpointTensor tensor, std::vector<CheckpointTensor> &out) {
  size_t braces = tensor.name.find("{}");
  if (braces == std::string::npos || tensor.shape.empty()) return out.push_back(std::move(tensor));
  int64_t count = tensor.shape[0];
  std::vector<int64_t> shape(tensor.shape.begin() + 1, tensor.shape.end());
  for (int64_t i = 0; i < count; ++i) {
    int64_t bytes = tensor.memory.size() / count;
    std::string name = tensor.name;
    name.replace(braces, 2, absl::StrCat(i));
    AddParts({std::move(name), shape, tensor.memory.subspan(i * bytes, bytes)}, out);
  }
}

// Under another name first, so that a crash while it is removed leaves no broken checkpoint behind.
void RemoveCheckpoint(const std::string &folder, const std::string &name) {
  std::string doomed = absl::StrCat(folder, "/", kTemporaryPrefix, "old-", name);
  std::error_code error;
  fs::remove_all(doomed, error);
  fs::rename(absl::StrCat(folder, "/", name), doomed, error);
  if (!error) fs::remove_all(doomed, error);
}

} // namespace

std::string StateJsonText(const CheckpointState &s, const std::map<std::string, FileHash> &files) {
  json entries = json::object();
  for (const auto &[name, file] : files)
    entries[name] = {{"bytes", file.bytes}, {"xxh3", HashName(file.hash)}};
  json root = {{"format_version", kCheckpointVersion},
               {"step", s.step},
               {"seed", s.seed},
               {"data", {{"epoch", s.epoch}, {"row", s.row}, {"hash", s.data_hash}}},
               {"cpu_level", s.cpu_level},
               {"options", json(s.options)},
               {"monitor", MonitorJson(s.monitor)},
               {"files", entries}};
  if (s.options.empty()) root["options"] = json::object();
  root["checksum"] = HashName(HashText(root.dump(-1, ' ', false, json::error_handler_t::replace)));
  return root.dump(2, ' ', false, json::error_handler_t::replace) + "\n";
}

std::vector<CheckpointTensor> CheckpointTensors(const VariableView &view) {
  const fb::Variable &v = *view.variable;
  std::vector<int64_t> shape;
  if (v.shape()) shape.assign(v.shape()->begin(), v.shape()->end());
  bool stacked = v.layers() > 0;
  int64_t count = stacked ? v.layers() : 1, bytes = view.memory.size() / count;
  if (stacked && !shape.empty()) shape.erase(shape.begin());
  std::vector<CheckpointTensor> tensors;
  for (int64_t i = 0; i < count; ++i) {
    int64_t layer = v.layer_begin() + i;
    CheckpointTensor tensor{WeightName(v, layer), shape, view.memory.subspan(i * bytes, bytes)};
    if (v.kind() == fb::VariableKind::parameter)
      AddParts(std::move(tensor), tensors);
    else
      tensors.push_back(std::move(tensor));
  }
  return tensors;
}

std::string UnsyncedCheckpoint::Temporary() const {
  return absl::StrCat(folder_, "/", kTemporaryPrefix, CheckpointName(step_));
}

absl::Status UnsyncedCheckpoint::Write(const CheckpointContents &contents) {
  std::string path = Temporary();
  std::map<std::string, FileHash> files;
  auto model = WriteTensors(absl::StrCat(path, "/", kModelFile), contents.variables, files_,
                            [](fb::VariableKind kind) { return kind == fb::VariableKind::parameter; });
  if (!model.ok()) return model.status();
  files[kModelFile] = *model;
  auto state = WriteTensors(absl::StrCat(path, "/", kStateFile), contents.variables, files_,
                            [](fb::VariableKind kind) {
                              return kind == fb::VariableKind::optimizer || kind == fb::VariableKind::other;
                            });
  if (!state.ok()) return state.status();
  files[kStateFile] = *state;
  auto add = [&](const std::string &name, const std::string &text) {
    absl::StatusOr<UnsyncedFile> file = WriteUnsynced(absl::StrCat(path, "/", name), text);
    if (file.ok()) files_.push_back(*std::move(file));
    return file.status();
  };
  for (const auto &[name, text] : contents.files) {
    if (absl::Status status = add(name, text); !status.ok()) return status;
    files[name] = {text.size(), HashText(text)};
  }

  return add(kStateJson, StateJsonText(contents.state, files));
}

absl::Status UnsyncedCheckpoint::PutIntoPlace() {
  for (UnsyncedFile &file : files_)
    if (absl::Status status = file.Sync(); !status.ok()) return status;
  std::string name = CheckpointName(step_), path = absl::StrCat(folder_, "/", name), temporary = Temporary();
  if (absl::Status status = SyncFolder(temporary); !status.ok()) return status;
  // One of this step may be there, broken or of a run that went back to an earlier step: it goes only once
  // the new one has taken its place.
  std::error_code error;
  if (renameat2(AT_FDCWD, temporary.c_str(), AT_FDCWD, path.c_str(), RENAME_EXCHANGE) == 0) {
    fs::remove_all(temporary, error);
  } else {
    if (errno == EINVAL || errno == ENOSYS || errno == ENOTSUP)
      RemoveCheckpoint(folder_, name); // a file system that cannot exchange
    else if (errno != ENOENT)
      return FileError("rename", temporary, errno);
    if (rename(temporary.c_str(), path.c_str()) != 0) return FileError("rename", temporary, errno);
  }
  return SyncFolder(folder_);
}

void UnsyncedCheckpoint::Abandon() {
  files_.clear(); // open files would keep their space
  std::error_code error;
  fs::remove_all(Temporary(), error);
}

absl::Status LinkBest(const std::string &folder, int64_t step) {
  std::string name = CheckpointName(step), link = absl::StrCat(folder, "/", kBestLink),
              temporary = absl::StrCat(folder, "/", kTemporaryPrefix, kBestLink);
  std::error_code error;
  if (step < 0 || !fs::is_directory(absl::StrCat(folder, "/", name), error)) return absl::OkStatus();
  if (fs::read_symlink(link, error) == name) return absl::OkStatus();
  fs::remove(temporary, error);
  if (symlink(name.c_str(), temporary.c_str()) != 0) return FileError("link", link, errno);
  if (rename(temporary.c_str(), link.c_str()) != 0) return FileError("rename", temporary, errno);
  return SyncFolder(folder);
}

absl::StatusOr<std::string> UnsyncedCheckpoint::Commit(int64_t keep, absl::Status *best) {
  if (absl::Status status = PutIntoPlace(); !status.ok()) {
    Abandon();
    return status;
  }
  // Before anything is removed: what was the best until now may go.
  absl::Status linked = LinkBest(folder_, best_);
  if (best) *best = linked;
  std::error_code error;
  std::string named =
      best_ >= 0 ? fs::read_symlink(absl::StrCat(folder_, "/", kBestLink), error).string() : "";
  std::vector<int64_t> steps = ListCheckpoints(folder_);
  // Later ones, left by a run that was resumed from an earlier step, belong to another future: they count as
  // oldest.
  std::stable_partition(steps.begin(), steps.end(), [&](int64_t step) { return step > step_; });
  // The initial weights were asked for by name.
  steps.erase(std::remove(steps.begin(), steps.end(), 0), steps.end());
  for (size_t i = 0; keep > 0 && i + keep < steps.size(); ++i)
    if (std::string name = CheckpointName(steps[i]);
        steps[i] != best_ && steps[i] != anchor_ && name != named)
      RemoveCheckpoint(folder_, name);
  return absl::StrCat(folder_, "/", CheckpointName(step_));
}

absl::StatusOr<UnsyncedCheckpoint> BeginCheckpoint(const std::string &folder,
                                                   const CheckpointContents &contents) {
  UnsyncedCheckpoint checkpoint(folder, contents);
  std::string temporary = checkpoint.Temporary();
  std::error_code error;
  fs::create_directories(folder, error);
  if (error) return absl::UnavailableError(absl::StrCat("cannot create ", folder, ": ", error.message()));
  fs::remove_all(temporary, error);
  if (mkdir(temporary.c_str(), 0755) != 0) return FileError("create", temporary, errno);
  if (absl::Status status = checkpoint.Write(contents); !status.ok()) {
    checkpoint.Abandon();
    return status;
  }
  return checkpoint;
}

absl::StatusOr<std::string> WriteCheckpoint(const std::string &folder, const CheckpointContents &contents,
                                            int64_t keep) {
  absl::StatusOr<UnsyncedCheckpoint> checkpoint = BeginCheckpoint(folder, contents);
  return checkpoint.ok() ? checkpoint->Commit(keep) : checkpoint.status();
}

void RemoveLeftovers(const std::string &folder) {
  std::error_code error;
  std::vector<fs::path> leftovers;
  for (const fs::directory_entry &entry : fs::directory_iterator(folder, error))
    if (absl::StartsWith(entry.path().filename().string(), kTemporaryPrefix))
      leftovers.push_back(entry.path());
  for (const fs::path &path : leftovers) fs::remove_all(path, error);
}

} // namespace weft
