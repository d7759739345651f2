#include "runtime/train/file_hash.h"
#include "runtime/data/file_io.h"

#include "absl/strings/str_cat.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <algorithm>
#include <cerrno>
#include <fcntl.h>
#include <memory>
#include <unistd.h>

namespace weft {

absl::StatusOr<FileHash> HashFile(const std::string &path, uint64_t most) {
  int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return FileError("open", path, errno);
  constexpr size_t kBlock = 1 << 20;
  auto block = std::make_unique<char[]>(kBlock);
  XXH3_state_t state;
  XXH3_64bits_reset(&state);
  FileHash result;
  while (result.bytes < most) {
    ssize_t n = read(fd, block.get(), std::min<uint64_t>(kBlock, most - result.bytes));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) {
      absl::Status status = FileError("read", path, errno);
      close(fd);
      return status;
    }
    if (n == 0) break;
    XXH3_64bits_update(&state, block.get(), n);
    result.bytes += n;
  }
  close(fd);
  result.hash = XXH3_64bits_digest(&state);
  return result;
}

uint64_t HashText(absl::string_view text) { return XXH3_64bits(text.data(), text.size()); }

std::string HashName(uint64_t hash) { return absl::StrCat(absl::Hex(hash, absl::kZeroPad16)); }

} // namespace weft
