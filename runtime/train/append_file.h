// A file that grows by whole records: metrics.jsonl, TensorBoard's event files.
#pragma once

#include "absl/status/status.h"
#include "absl/status/statusor.h"

#include <cstdint>
#include <string>
#include <string_view>

namespace weft {

// A record is written by one call, so a process that is killed leaves it whole or not at all; where a disk is
// full, what was written of it is cut off again. Such records are kept and written before the next one: the
// file never has a hole.
class AppendFile {
public:
  // Opens or creates `path` and cuts off what is beyond `keep_bytes`.
  static absl::StatusOr<AppendFile> Open(const std::string &path, uint64_t keep_bytes);
  AppendFile(AppendFile &&other) noexcept;
  ~AppendFile();

  // An error names the file and the system's reason; the record is then kept in memory.
  absl::Status Append(std::string_view record);
  // Tries again to write what is kept.
  absl::Status Flush();
  // Puts what is written onto the disk. May be called by another thread.
  absl::Status Sync() const;
  const std::string &path() const { return path_; }

private:
  AppendFile(std::string path, int fd, uint64_t size) : path_(std::move(path)), fd_(fd), size_(size) {}
  std::string path_;
  int fd_ = -1;
  uint64_t size_ = 0;   // of the whole records in the file
  std::string waiting_; // records that could not be written yet
};

} // namespace weft
