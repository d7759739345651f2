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

absl::Status SyncFolder(const std::string &path) {
  int fd = open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return FileError("open", path, errno);
  int failed = fsync(fd), error = errno;
  close(fd);
  return failed ? FileError("sync", path, error) : absl::OkStatus();
}

json FileEntry(uint64_t bytes, uint64_t hash) { return {{"bytes", bytes}, {"xxh3", HashName(hash)}}; }

// Writes the tensors of the variables that `wanted` accepts.
template <typename F>
absl::StatusOr<json> WriteTensors(const std::string &path, const std::vector<VariableView> &variables,
                                  F wanted) {
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
  if (absl::Status status = writer->Finish(); !status.ok()) return status;
  return FileEntry(writer->size(), writer->hash());
}

absl::Status WriteFolder(const std::string &path, const CheckpointContents &contents) {
  json files;
  auto model = WriteTensors(absl::StrCat(path, "/", kModelFile), contents.variables,
                            [](fb::VariableKind kind) { return kind == fb::VariableKind::parameter; });
  if (!model.ok()) return model.status();
  files[kModelFile] = *model;
  auto state =
      WriteTensors(absl::StrCat(path, "/", kStateFile), contents.variables, [](fb::VariableKind kind) {
        return kind == fb::VariableKind::optimizer || kind == fb::VariableKind::other;
      });
  if (!state.ok()) return state.status();
  files[kStateFile] = *state;
  for (const auto &[name, text] : contents.files) {
    if (absl::Status status = WriteFileAtomically(absl::StrCat(path, "/", name), text); !status.ok())
      return status;
    files[name] = FileEntry(text.size(), HashText(text));
  }

  const CheckpointState &s = contents.state;
  json root = {{"format_version", kCheckpointVersion},
               {"step", s.step},
               {"seed", s.seed},
               {"data", {{"epoch", s.epoch}, {"row", s.row}, {"hash", s.data_hash}}},
               {"cpu_level", s.cpu_level},
               {"options", json(s.options)},
               {"files", files}};
  if (s.options.empty()) root["options"] = json::object();
  root["checksum"] = HashName(HashText(root.dump(-1, ' ', false, json::error_handler_t::replace)));
  std::string text = root.dump(2, ' ', false, json::error_handler_t::replace) + "\n";
  if (absl::Status status = WriteFileAtomically(absl::StrCat(path, "/", kStateJson), text); !status.ok())
    return status;
  return SyncFolder(path);
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
    std::string name = v.kind() == fb::VariableKind::parameter ? WeightName(v, layer)
                       : stacked                               ? absl::StrCat(v.name()->str(), "#", layer)
                                                               : v.name()->str();
    tensors.push_back({std::move(name), shape, view.memory.subspan(i * bytes, bytes)});
  }
  return tensors;
}

absl::StatusOr<std::string> WriteCheckpoint(const std::string &folder, const CheckpointContents &contents,
                                            int64_t keep) {
  std::string name = CheckpointName(contents.state.step), path = absl::StrCat(folder, "/", name);
  std::string temporary = absl::StrCat(folder, "/", kTemporaryPrefix, name);
  std::error_code error;
  fs::create_directories(folder, error);
  if (error) return absl::UnavailableError(absl::StrCat("cannot create ", folder, ": ", error.message()));
  fs::remove_all(temporary, error);
  if (mkdir(temporary.c_str(), 0755) != 0) return FileError("create", temporary, errno);
  if (absl::Status status = WriteFolder(temporary, contents); !status.ok()) {
    fs::remove_all(temporary, error); // gives the space of a full disk back
    return status;
  }
  // One of this step may be there, broken or of a run that went back to an earlier step: it goes only once
  // the new one has taken its place.
  if (renameat2(AT_FDCWD, temporary.c_str(), AT_FDCWD, path.c_str(), RENAME_EXCHANGE) == 0) {
    fs::remove_all(temporary, error);
  } else {
    if (errno != ENOENT) RemoveCheckpoint(folder, name); // a file system that cannot exchange
    if (rename(temporary.c_str(), path.c_str()) != 0) return FileError("rename", temporary, errno);
  }
  if (absl::Status status = SyncFolder(folder); !status.ok()) return status;

  std::vector<int64_t> steps = ListCheckpoints(folder);
  // Later ones, left by a run that was resumed from an earlier step, belong to another future: they count as
  // oldest.
  std::stable_partition(steps.begin(), steps.end(), [&](int64_t step) { return step > contents.state.step; });
  // The initial weights were asked for by name.
  steps.erase(std::remove(steps.begin(), steps.end(), 0), steps.end());
  for (size_t i = 0; keep > 0 && i + keep < steps.size(); ++i)
    RemoveCheckpoint(folder, CheckpointName(steps[i]));
  return path;
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
