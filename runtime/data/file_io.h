// Whole files: written so that a crash leaves the old one or the new one, read with their size bounded first.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace weft {

// Writes beside `path` under a temporary name; Commit() syncs and renames it into place. Without Commit (an
// error, or the writer going away) the temporary file is removed and `path` is left as it was. Errors name
// the file and carry the system's reason (a full disk, no permission); InvalidArgument where `path` is a
// device or a pipe.
class AtomicFile {
public:
  static absl::StatusOr<AtomicFile> Create(const std::string &path);
  AtomicFile(AtomicFile &&other) noexcept;
  AtomicFile &operator=(AtomicFile &&other) noexcept;
  ~AtomicFile();

  absl::Status Append(const void *data, size_t bytes);
  // Overwrites bytes already written, such as a header.
  absl::Status WriteAt(uint64_t offset, const void *data, size_t bytes);
  absl::Status Commit();

private:
  AtomicFile(std::string path, std::string temporary, int fd)
      : path_(std::move(path)), temporary_(std::move(temporary)), fd_(fd) {}
  void Abandon();

  std::string path_, temporary_;
  int fd_ = -1;
};

// A file with all its bytes written, of which the disk may have none yet. It is kept open, so that Sync()
// hears of whatever went wrong since.
class UnsyncedFile {
public:
  UnsyncedFile(std::string path, int fd) : path_(std::move(path)), fd_(fd) {}
  UnsyncedFile(UnsyncedFile &&other) noexcept;
  ~UnsyncedFile();
  // Waits for the disk, and closes the file.
  absl::Status Sync();

private:
  std::string path_;
  int fd_ = -1;
};

// Writes a new file, or over an old one.
absl::StatusOr<UnsyncedFile> WriteUnsynced(const std::string &path, std::string_view content);

// Waits until the disk has a folder's entries.
absl::Status SyncFolder(const std::string &path);

// Where a user's programs keep what they can find out again: $XDG_CACHE_HOME/weft, or ~/.cache/weft; ""
// without a home. A relative $XDG_CACHE_HOME counts as unset (XDG Base Directory Specification).
std::string UserCacheFolder();

absl::Status WriteFileAtomically(const std::string &path, std::string_view content);

// A regular file that is read in parts. Errors as of ReadFile.
class InputFile {
public:
  static absl::StatusOr<InputFile> Open(const std::string &path);
  InputFile(InputFile &&other) noexcept
      : path_(std::move(other.path_)), fd_(std::exchange(other.fd_, -1)), size_(other.size_) {}
  ~InputFile();

  uint64_t size() const { return size_; } // when it was opened
  // Returns the bytes that were read: fewer than `bytes` only where the file ends.
  absl::StatusOr<size_t> ReadAt(uint64_t offset, char *to, size_t bytes) const;

private:
  InputFile(std::string path, int fd) : path_(std::move(path)), fd_(fd) {}

  std::string path_;
  int fd_;
  uint64_t size_ = 0;
};

// NotFound when there is no such file; InvalidArgument when it is not a regular file; ResourceExhausted when
// it is larger than `max_bytes`.
absl::StatusOr<std::string> ReadFile(const std::string &path, uint64_t max_bytes);

// The status for a failed system call: "cannot WHAT PATH: REASON", its code after errno.
absl::Status FileError(std::string_view what, std::string_view path, int error);

} // namespace weft
