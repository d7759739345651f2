#include "runtime/artifact/reader.h"
#include "runtime/artifact/check.h"
#include "runtime/artifact/writer.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace weft {
namespace {

// Every table that the writer makes takes four bytes of its own at least. A file may reach one table along
// many ways, each of which is read again: those that ask for more work than their size explains are refused.
constexpr uint32_t kMaxTables = 8'000'000, kBytesOfATable = 4;
// Each loop nests two tables; the rest is a fixed handful.
constexpr uint32_t kMaxTableDepth = 2 * kMaxLoopDepth + 16;

absl::Status Damaged(const std::string &name, const std::string &what) {
  return absl::DataLossError(absl::StrCat(name, ": ", what));
}

absl::StatusOr<std::shared_ptr<const LoadedArtifact>> Check(std::unique_ptr<uint8_t[]> bytes, size_t size,
                                                            const std::string &name) {
  const uint8_t *data = bytes.get();
  if (size < 16) return Damaged(name, absl::StrCat("has ", size, " bytes, too few for a Weft artifact"));
  if (!fb::ArtifactBufferHasIdentifier(data))
    return Damaged(name, "is not a Weft artifact (bytes 4 to 8 are not \"WEFT\")");
  if (size >= FLATBUFFERS_MAX_BUFFER_SIZE)
    return Damaged(name, absl::StrCat("has ", size, " bytes when an artifact has less than 2 GiB"));

  // The header first: nothing else of a file of another version can be trusted to be laid out as we know it.
  flatbuffers::Verifier header_verifier(data, size);
  if (!header_verifier.VerifyBuffer<fb::ArtifactHeader>("WEFT"))
    return Damaged(name,
                   absl::StrCat("the header is damaged, or the file is cut off (it has ", size, " bytes)"));
  const auto *header = flatbuffers::GetRoot<fb::ArtifactHeader>(data);
  const uint8_t *checksum_field =
      reinterpret_cast<const flatbuffers::Table *>(header)->GetAddressOf(fb::ArtifactHeader::VT_CHECKSUM);
  if (!checksum_field) return Damaged(name, "has no checksum: the header is damaged");
  uint64_t expected = header->checksum();
  uint64_t got = ArtifactChecksum({data, size}, checksum_field - data);
  if (int32_t version = header->format_version(); version != kArtifactFormatVersion) {
    if (got != expected)
      return Damaged(name,
                     absl::StrFormat("the file is damaged: its checksum is %016x when the header says %016x",
                                     got, expected));
    return absl::FailedPreconditionError(absl::StrFormat(
        "%s: format version is %d when this runtime reads version %d: %s", name, version,
        kArtifactFormatVersion,
        version > kArtifactFormatVersion ? "use the runtime that belongs to the compiler that wrote it"
                                         : "compile the model again"));
  }
  if (got != expected)
    return Damaged(
        name, absl::StrFormat("the file is damaged or cut off: its checksum is %016x when the header says "
                              "%016x; copy or compile it again",
                              got, expected));

  uint32_t most_tables = static_cast<uint32_t>(std::min<size_t>(kMaxTables, size / kBytesOfATable));
  flatbuffers::Verifier verifier(data, size, kMaxTableDepth, most_tables);
  if (!fb::VerifyArtifactBuffer(verifier))
    return Damaged(name,
                   absl::StrFormat("the tables are malformed, or nested deeper than %d, or more than %d",
                                   kMaxTableDepth, most_tables));
  auto loaded = std::make_shared<LoadedArtifact>();
  loaded->path = name;
  loaded->bytes = std::move(bytes);
  loaded->size = size;
  loaded->root = fb::GetArtifact(data);
  if (absl::Status status = CheckArtifact(*loaded->root); !status.ok())
    return absl::Status(status.code(), absl::StrCat(name, ": ", status.message()));
  return std::shared_ptr<const LoadedArtifact>(std::move(loaded));
}

} // namespace

absl::StatusOr<std::shared_ptr<const LoadedArtifact>> LoadArtifact(const std::string &path) {
  // Read rather than mapped: a file that is cut off while mapped would kill the process.
  int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return absl::ErrnoToStatus(errno, absl::StrCat("cannot open artifact ", path));
  struct Closer {
    int fd;
    ~Closer() { close(fd); }
  } closer{fd};
  struct stat info;
  if (fstat(fd, &info) != 0) return absl::ErrnoToStatus(errno, absl::StrCat("cannot read artifact ", path));
  if (!S_ISREG(info.st_mode))
    return absl::InvalidArgumentError(absl::StrCat(path, ": is not a regular file"));
  size_t size = info.st_size;
  if (size >= FLATBUFFERS_MAX_BUFFER_SIZE)
    return Damaged(path, absl::StrCat("has ", size, " bytes when an artifact has less than 2 GiB"));
  std::unique_ptr<uint8_t[]> bytes(new uint8_t[size + 1]);
  size_t filled = 0;
  while (filled < size) {
    ssize_t n = read(fd, bytes.get() + filled, size - filled);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return absl::ErrnoToStatus(errno, absl::StrCat("cannot read artifact ", path));
    if (n == 0) break;
    filled += n;
  }
  return Check(std::move(bytes), filled, path);
}

absl::StatusOr<std::shared_ptr<const LoadedArtifact>> LoadArtifactFromMemory(absl::Span<const uint8_t> bytes,
                                                                             const std::string &name) {
  std::unique_ptr<uint8_t[]> copy(new uint8_t[bytes.size() + 1]);
  if (!bytes.empty()) std::memcpy(copy.get(), bytes.data(), bytes.size());
  return Check(std::move(copy), bytes.size(), name);
}

} // namespace weft
