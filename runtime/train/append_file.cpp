#include "runtime/train/append_file.h"
#include "runtime/data/file_io.h"

#include <cerrno>
#include <fcntl.h>
#include <unistd.h>
#include <utility>

namespace weft {

absl::StatusOr<AppendFile> AppendFile::Open(const std::string &path, uint64_t keep_bytes) {
  int fd = open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  if (fd < 0) return FileError("open", path, errno);
  AppendFile file(path, fd, keep_bytes);
  if (ftruncate(fd, static_cast<off_t>(keep_bytes)) != 0) return FileError("cut", path, errno);
  return file;
}

AppendFile::AppendFile(AppendFile &&other) noexcept
    : path_(std::move(other.path_)), fd_(std::exchange(other.fd_, -1)), size_(other.size_),
      waiting_(std::move(other.waiting_)) {}

AppendFile::~AppendFile() {
  if (fd_ >= 0) close(fd_);
}

absl::Status AppendFile::Append(std::string_view record) {
  waiting_ += record;
  return Flush();
}

absl::Status AppendFile::Flush() {
  if (waiting_.empty()) return absl::OkStatus();
  ssize_t n;
  do n = write(fd_, waiting_.data(), waiting_.size());
  while (n < 0 && errno == EINTR);
  if (n == static_cast<ssize_t>(waiting_.size())) {
    size_ += waiting_.size();
    waiting_.clear();
    return absl::OkStatus();
  }
  int error = n < 0 ? errno : ENOSPC; // a write that stops short met the end of the disk, or of a limit
  if (n > 0 && ftruncate(fd_, static_cast<off_t>(size_)) != 0) return FileError("cut", path_, errno);
  return FileError("write", path_, error);
}

absl::Status AppendFile::Sync() const {
  return fsync(fd_) == 0 ? absl::OkStatus() : FileError("sync", path_, errno);
}

} // namespace weft
