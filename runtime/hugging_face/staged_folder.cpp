#include "runtime/hugging_face/staged_folder.h"
#include "runtime/data/file_io.h"

#include "absl/strings/str_cat.h"

#include <cerrno>
#include <cstdio>
#include <fcntl.h>
#include <filesystem>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include <vector>

namespace weft {
namespace {

namespace fs = std::filesystem;

absl::Status SyncFile(const std::string &path) {
  int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
  if (fd < 0) return FileError("open", path, errno);
  UnsyncedFile file(path, fd);
  return file.Sync();
}

absl::Status SyncTree(const std::string &folder) {
  std::error_code error;
  for (const fs::directory_entry &entry : fs::directory_iterator(folder, error)) {
    std::string path = entry.path().string();
    if (absl::Status status = entry.is_directory() ? SyncTree(path) : SyncFile(path); !status.ok())
      return status;
  }
  return error ? FileError("read", folder, error.value()) : SyncFolder(folder);
}

} // namespace

absl::StatusOr<StagedFolder> StagedFolder::Create(const std::string &path) {
  fs::path whole = fs::absolute(path).lexically_normal();
  if (!whole.has_filename()) whole = whole.parent_path(); // "folder/"
  std::error_code error;
  if (fs::exists(fs::symlink_status(whole, error)) &&
      !(fs::is_directory(whole) && fs::is_empty(whole, error)))
    return absl::AlreadyExistsError(
        absl::StrCat(whole.string(), " is there already\nhint: remove it, or choose another name"));
  fs::path made, parent = whole.parent_path();
  for (fs::path at = parent; !at.empty() && !fs::exists(at, error); at = at.parent_path()) made = at;
  fs::create_directories(parent, error);
  if (error) return FileError("create", parent.string(), error.value());
  std::string temporary = (parent / absl::StrCat(".tmp-", whole.filename().string())).string();
  StagedFolder folder(whole.string(), temporary, made.string());
  if (absl::Status status = folder.Begin(); !status.ok()) return status;
  return folder;
}

absl::Status StagedFolder::Begin() {
  // A folder that is locked is someone's; one that is not was left by a process that is no more.
  for (int attempt = 0; attempt < 2; ++attempt) {
    bool fresh = mkdir(temporary_.c_str(), 0755) == 0;
    if (!fresh && errno != EEXIST) {
      int failed = errno;
      temporary_.clear();
      return FileError("create", path_, failed);
    }
    lock_ = open(temporary_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    if (lock_ < 0 || flock(lock_, LOCK_EX | LOCK_NB) != 0) {
      int failed = errno;
      std::string name = std::exchange(temporary_, "");
      if (failed == EWOULDBLOCK)
        return absl::FailedPreconditionError(absl::StrCat(path_, " is being written by another weft"));
      return FileError("lock", name, failed);
    }
    if (fresh) return absl::OkStatus();
    std::error_code error;
    fs::remove_all(temporary_, error);
    close(std::exchange(lock_, -1));
  }
  return absl::UnavailableError(absl::StrCat("cannot make ", std::exchange(temporary_, "")));
}

StagedFolder::StagedFolder(StagedFolder &&other) noexcept
    : path_(std::move(other.path_)), temporary_(std::exchange(other.temporary_, "")),
      made_(std::exchange(other.made_, "")), lock_(std::exchange(other.lock_, -1)), done_(other.done_) {}

StagedFolder::~StagedFolder() {
  std::error_code error;
  if (!done_ && !temporary_.empty()) fs::remove_all(temporary_, error);
  if (!done_ && !made_.empty()) // parents that nothing else has been put into
    for (fs::path at = fs::path(path_).parent_path(); rmdir(at.c_str()) == 0 && at != made_;)
      at = at.parent_path();
  if (lock_ >= 0) close(lock_);
}

std::string StagedFolder::Path(absl::string_view name) const { return absl::StrCat(temporary_, "/", name); }

absl::Status StagedFolder::Commit() {
  if (absl::Status status = SyncTree(temporary_); !status.ok()) return status;
  if (rename(temporary_.c_str(), path_.c_str()) != 0) return FileError("create", path_, errno);
  done_ = true;
  return SyncFolder(fs::path(path_).parent_path().string());
}

} // namespace weft
