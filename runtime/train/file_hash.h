// XXH3-64 of files and strings, as 16 hexadecimal digits where it is text.
#pragma once

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

#include <cstdint>
#include <string>

namespace weft {

struct FileHash {
  uint64_t bytes = 0, hash = 0;
};
// Reads the file once, or its first `most` bytes. Errors name it.
absl::StatusOr<FileHash> HashFile(const std::string &path, uint64_t most = UINT64_MAX);
uint64_t HashText(absl::string_view text);
std::string HashName(uint64_t hash);

} // namespace weft
