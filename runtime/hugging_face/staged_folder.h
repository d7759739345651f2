// A folder that appears whole or not at all: made beside its place under another name, synced, renamed.
#pragma once

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

#include <string>
#include <utility>

namespace weft {

class StagedFolder {
public:
  // AlreadyExists when `path` is there and not an empty folder; FailedPrecondition when another process is
  // making it; otherwise the system's error. What a killed one left is removed. Missing parents are made.
  static absl::StatusOr<StagedFolder> Create(const std::string &path);
  StagedFolder(StagedFolder &&other) noexcept;
  // Without Commit nothing of it is left.
  ~StagedFolder();

  const std::string &folder() const { return temporary_; }
  std::string Path(absl::string_view name) const;
  // Where it will be.
  const std::string &path() const { return path_; }
  absl::Status Commit();

private:
  StagedFolder(std::string path, std::string temporary, std::string made)
      : path_(std::move(path)), temporary_(std::move(temporary)), made_(std::move(made)) {}
  absl::Status Begin();

  std::string path_, temporary_;
  std::string made_; // the outermost parent that was not there before; "" = none
  int lock_ = -1;
  bool done_ = false;
};

} // namespace weft
