// A run directory, held by one process at a time.
#pragma once

#include "absl/status/statusor.h"

#include <cstdio>
#include <memory>
#include <string>

namespace weft {

class RunFolder {
public:
  // Makes the folder if need be, locks it, removes what a killed run left half-written beside its
  // checkpoints, and opens log.txt for appending. FailedPrecondition when another process holds it. The lock
  // ends with the process, however that ends.
  static absl::StatusOr<std::unique_ptr<RunFolder>> Open(const std::string &path);
  ~RunFolder();
  FILE *log() const { return log_; }

private:
  RunFolder() = default;
  int lock_ = -1;
  FILE *log_ = nullptr;
};

} // namespace weft
