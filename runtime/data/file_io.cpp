#include "runtime/data/file_io.h"

#include "runtime/data/str_cat.h"
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>

namespace weft {
namespace {

// write() until done; a short write is continued, so that a full disk gives its own errno.
bool WriteAll(int fd, const char *data, size_t bytes, int64_t offset) {
  while (bytes > 0) {
    const ssize_t n = offset < 0 ? ::write(fd, data, bytes) : ::pwrite(fd, data, bytes, offset);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    data += n;
    bytes -= static_cast<size_t>(n);
    if (offset >= 0) offset += n;
  }
  return true;
}

} // namespace

absl::Status FileError(std::string_view what, std::string_view path, int error) {
  const std::string text = StrCat("cannot ", what, " ", path, ": ", std::strerror(error));
  switch (error) {
  case ENOENT:
    return absl::NotFoundError(text);
  case EACCES:
  case EPERM:
  case EROFS:
    return absl::PermissionDeniedError(text);
  case ENOSPC:
  case EDQUOT:
  case EFBIG:
    return absl::ResourceExhaustedError(text);
  case ENOTDIR:
  case EISDIR:
  case ENAMETOOLONG:
    return absl::InvalidArgumentError(text);
  default:
    return absl::UnavailableError(text);
  }
}

absl::StatusOr<AtomicFile> AtomicFile::Create(const std::string &path) {
  // Renaming would put a file in the place of a device: of /dev/null, for one who may.
  struct stat info;
  if (::stat(path.c_str(), &info) == 0 && !S_ISREG(info.st_mode) && !S_ISDIR(info.st_mode))
    return absl::InvalidArgumentError(StrCat("cannot write ", path, ": it is not a regular file"));
  // The process id keeps two writers of one file apart; the last to commit wins.
  std::string temporary = StrCat(path, ".tmp-", ::getpid());
  const int fd = ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (fd < 0) return FileError("create", path, errno);
  return AtomicFile(path, std::move(temporary), fd);
}

AtomicFile::AtomicFile(AtomicFile &&other) noexcept { *this = std::move(other); }

AtomicFile &AtomicFile::operator=(AtomicFile &&other) noexcept {
  if (this == &other) return *this;
  Abandon();
  path_ = std::move(other.path_);
  temporary_ = std::move(other.temporary_);
  fd_ = std::exchange(other.fd_, -1);
  return *this;
}

AtomicFile::~AtomicFile() { Abandon(); }

void AtomicFile::Abandon() {
  if (fd_ < 0) return;
  ::close(fd_);
  ::unlink(temporary_.c_str());
  fd_ = -1;
}

absl::Status AtomicFile::Append(const void *data, size_t bytes) {
  if (!WriteAll(fd_, static_cast<const char *>(data), bytes, -1)) return FileError("write", path_, errno);
  return absl::OkStatus();
}

absl::Status AtomicFile::WriteAt(uint64_t offset, const void *data, size_t bytes) {
  if (!WriteAll(fd_, static_cast<const char *>(data), bytes, static_cast<int64_t>(offset)))
    return FileError("write", path_, errno);
  return absl::OkStatus();
}

absl::Status AtomicFile::Commit() {
  if (::fsync(fd_) != 0) return FileError("write", path_, errno);
  if (::close(std::exchange(fd_, -1)) != 0) {
    const int error = errno;
    ::unlink(temporary_.c_str());
    return FileError("write", path_, error);
  }
  if (::rename(temporary_.c_str(), path_.c_str()) != 0) {
    const int error = errno;
    ::unlink(temporary_.c_str());
    return FileError("replace", path_, error);
  }
  // The rename itself must survive a power cut: sync the folder. Some file systems refuse; the data is safe
  // anyway.
  const size_t slash = path_.rfind('/');
  const std::string folder = slash == std::string::npos ? "." : path_.substr(0, slash + 1);
  if (const int fd = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC); fd >= 0) {
    (void)::fsync(fd);
    ::close(fd);
  }
  return absl::OkStatus();
}

UnsyncedFile::UnsyncedFile(UnsyncedFile &&other) noexcept
    : path_(std::move(other.path_)), fd_(std::exchange(other.fd_, -1)) {}

UnsyncedFile::~UnsyncedFile() {
  if (fd_ >= 0) ::close(fd_);
}

absl::Status UnsyncedFile::Sync() {
  if (::fsync(fd_) != 0) return FileError("write", path_, errno);
  if (::close(std::exchange(fd_, -1)) != 0) return FileError("write", path_, errno);
  return absl::OkStatus();
}

absl::StatusOr<UnsyncedFile> WriteUnsynced(const std::string &path, std::string_view content) {
  const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (fd < 0) return FileError("create", path, errno);
  UnsyncedFile file(path, fd);
  if (!WriteAll(fd, content.data(), content.size(), -1)) return FileError("write", path, errno);
  return file;
}

absl::Status SyncFolder(const std::string &path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return FileError("open", path, errno);
  const int failed = ::fsync(fd), error = errno;
  ::close(fd);
  return failed ? FileError("sync", path, error) : absl::OkStatus();
}

absl::Status WriteFileAtomically(const std::string &path, std::string_view content) {
  absl::StatusOr<AtomicFile> file = AtomicFile::Create(path);
  if (!file.ok()) return file.status();
  if (absl::Status s = file->Append(content.data(), content.size()); !s.ok()) return s;
  return file->Commit();
}

absl::StatusOr<InputFile> InputFile::Open(const std::string &path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) return FileError("read", path, errno);
  InputFile file(path, fd);
  struct stat info;
  if (::fstat(fd, &info) != 0) return FileError("read", path, errno);
  if (!S_ISREG(info.st_mode)) return absl::InvalidArgumentError(StrCat(path, " is not a regular file"));
  file.size_ = static_cast<uint64_t>(info.st_size);
  return file;
}

InputFile::~InputFile() {
  if (fd_ >= 0) ::close(fd_);
}

absl::StatusOr<size_t> InputFile::ReadAt(uint64_t offset, char *to, size_t bytes) const {
  size_t done = 0;
  while (done < bytes) {
    const ssize_t n = ::pread(fd_, to + done, bytes - done, static_cast<off_t>(offset + done));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return FileError("read", path_, errno);
    if (n == 0) break;
    done += static_cast<size_t>(n);
  }
  return done;
}

absl::StatusOr<std::string> ReadFile(const std::string &path, uint64_t max_bytes) {
  absl::StatusOr<InputFile> file = InputFile::Open(path);
  if (!file.ok()) return file.status();
  if (file->size() > max_bytes)
    return absl::ResourceExhaustedError(
        StrCat(path, " has ", file->size(), " bytes when at most ", max_bytes, " are read"));
  std::string content(file->size(), '\0');
  absl::StatusOr<size_t> got = file->ReadAt(0, content.data(), content.size());
  if (!got.ok()) return got.status();
  content.resize(*got);
  return content;
}

std::string UserCacheFolder() {
  const char *cache = std::getenv("XDG_CACHE_HOME"), *home = std::getenv("HOME");
  if (cache && *cache == '/') return std::string(cache) + "/weft";
  return home && *home ? std::string(home) + "/.cache/weft" : "";
}

} // namespace weft
