#include "runtime/train/safetensors.h"

#include "absl/strings/str_cat.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <nlohmann/json.hpp>

#include <cerrno>
#include <fcntl.h>
#include <set>
#include <unistd.h>

namespace weft {

struct SafetensorsWriter::Hash {
  XXH3_state_t state;
};

SafetensorsWriter::SafetensorsWriter(std::string path, int fd)
    : path_(std::move(path)), fd_(fd), hash_(std::make_unique<Hash>()) {
  XXH3_64bits_reset(&hash_->state);
}

SafetensorsWriter::SafetensorsWriter(SafetensorsWriter &&other) noexcept
    : path_(std::move(other.path_)), fd_(std::exchange(other.fd_, -1)), size_(other.size_),
      expected_(other.expected_), hash_(std::move(other.hash_)) {}

SafetensorsWriter::~SafetensorsWriter() {
  if (fd_ >= 0) close(fd_);
}

uint64_t SafetensorsWriter::hash() const { return XXH3_64bits_digest(&hash_->state); }

absl::StatusOr<SafetensorsWriter>
SafetensorsWriter::Create(const std::string &path, const std::vector<Tensor> &tensors,
                          const std::map<std::string, std::string> &metadata) {
  // Written by hand, in the tensors' order: a JSON library would sort the names, and readers want the bytes
  // in order.
  auto quoted = [](const std::string &text) {
    return nlohmann::json(text).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  };
  std::string header = "{";
  if (!metadata.empty()) absl::StrAppend(&header, "\"__metadata__\":", nlohmann::json(metadata).dump(), ",");
  std::set<std::string> names;
  uint64_t end = 0;
  for (const Tensor &tensor : tensors) {
    if (!names.insert(tensor.name).second)
      return absl::AlreadyExistsError(absl::StrCat(path, ": two tensors have the name ", tensor.name));
    uint64_t bytes = ByteSize(tensor.dtype);
    for (int64_t size : tensor.shape) bytes *= size;
    absl::StrAppend(&header, quoted(tensor.name), ":{\"dtype\":\"", SafetensorsName(tensor.dtype),
                    "\",\"shape\":", nlohmann::json(tensor.shape).dump(), ",\"data_offsets\":[", end, ",",
                    end + bytes, "]},");
    end += bytes;
  }
  if (header.back() == ',') header.pop_back();
  header += '}';
  while (header.size() % 8 != 0) header += ' '; // the tensors begin aligned

  int fd = open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (fd < 0) return FileError("create", path, errno);
  SafetensorsWriter writer(path, fd);
  writer.expected_ = 8 + header.size() + end;
  char length[8];
  for (int i = 0; i < 8; ++i) length[i] = static_cast<char>(header.size() >> (8 * i));
  if (absl::Status status = writer.Write(length, 8); !status.ok()) return status;
  if (absl::Status status = writer.Write(header.data(), header.size()); !status.ok()) return status;
  return writer;
}

absl::Status SafetensorsWriter::Append(absl::Span<const char> bytes) {
  return Write(bytes.data(), bytes.size());
}

absl::Status SafetensorsWriter::Write(const char *data, size_t bytes) {
  XXH3_64bits_update(&hash_->state, data, bytes);
  size_ += bytes;
  while (bytes > 0) {
    ssize_t n = write(fd_, data, std::min<size_t>(bytes, 1 << 30));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return FileError("write", path_, errno);
    data += n, bytes -= n;
  }
  return absl::OkStatus();
}

absl::StatusOr<UnsyncedFile> SafetensorsWriter::FinishUnsynced() {
  if (size_ != expected_)
    return absl::FailedPreconditionError(
        absl::StrCat(path_, ": ", size_, " bytes were written when the header says ", expected_));
  return UnsyncedFile(path_, std::exchange(fd_, -1));
}

absl::Status SafetensorsWriter::Finish() {
  absl::StatusOr<UnsyncedFile> file = FinishUnsynced();
  return file.ok() ? file->Sync() : file.status();
}

} // namespace weft
