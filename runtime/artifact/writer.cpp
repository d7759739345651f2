#include "runtime/artifact/writer.h"
#include "runtime/artifact/check.h"
#include "runtime/artifact/reader.h"

#include "absl/strings/str_cat.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fcntl.h>
#include <unistd.h>

namespace weft {

uint64_t ArtifactChecksum(absl::Span<const uint8_t> bytes, size_t checksum_at) {
  const uint8_t zeros[8] = {};
  XXH3_state_t state;
  XXH3_64bits_reset(&state);
  XXH3_64bits_update(&state, bytes.data(), checksum_at);
  XXH3_64bits_update(&state, zeros, sizeof zeros);
  XXH3_64bits_update(&state, bytes.data() + checksum_at + 8, bytes.size() - checksum_at - 8);
  return XXH3_64bits_digest(&state);
}

bool PatchChecksum(absl::Span<uint8_t> bytes) {
  flatbuffers::Verifier verifier(bytes.data(), bytes.size());
  if (bytes.size() < 16 || !verifier.VerifyBuffer<fb::ArtifactHeader>("WEFT")) return false;
  const auto *header = flatbuffers::GetRoot<flatbuffers::Table>(bytes.data());
  const uint8_t *field = header->GetAddressOf(fb::ArtifactHeader::VT_CHECKSUM);
  if (!field) return false;
  uint64_t checksum = ArtifactChecksum(bytes, field - bytes.data());
  flatbuffers::WriteScalar(bytes.data() + (field - bytes.data()), checksum);
  return true;
}

std::vector<uint8_t> SerializeArtifact(fb::ArtifactT &artifact) {
  artifact.format_version = kArtifactFormatVersion;
  artifact.checksum = 1; // not the default, so that the field has a place in the file
  flatbuffers::FlatBufferBuilder builder(1 << 20);
  fb::FinishArtifactBuffer(builder, fb::Artifact::Pack(builder, &artifact));
  std::vector<uint8_t> bytes(builder.GetBufferPointer(), builder.GetBufferPointer() + builder.GetSize());
  PatchChecksum(absl::MakeSpan(bytes));
  artifact.checksum = fb::GetArtifact(bytes.data())->checksum();
  return bytes;
}

absl::Status WriteArtifact(fb::ArtifactT &artifact, const std::string &path) {
  std::vector<uint8_t> bytes = SerializeArtifact(artifact);
  if (absl::Status status = LoadArtifactFromMemory(bytes, path).status(); !status.ok()) return status;

  std::string temporary = absl::StrCat(path, ".tmp.", getpid());
  int fd = open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (fd < 0) return absl::ErrnoToStatus(errno, absl::StrCat("cannot create ", temporary));
  auto fail = [&](const char *what) {
    absl::Status status = absl::ErrnoToStatus(errno, absl::StrCat(what, " ", temporary));
    if (fd >= 0) close(fd);
    unlink(temporary.c_str());
    return status;
  };
  for (size_t written = 0; written < bytes.size();) {
    ssize_t n = write(fd, bytes.data() + written, bytes.size() - written);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return fail("cannot write");
    written += n;
  }
  if (fsync(fd) != 0) return fail("cannot sync");
  int closed = close(fd);
  fd = -1;
  if (closed != 0) return fail("cannot close");
  if (rename(temporary.c_str(), path.c_str()) != 0) return fail("cannot rename to its final name");
  // The rename itself must survive a power cut.
  size_t slash = path.rfind('/');
  std::string folder = slash == std::string::npos ? "." : path.substr(0, slash + 1);
  if (int directory = open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC); directory >= 0) {
    fsync(directory);
    close(directory);
  }
  return absl::OkStatus();
}

} // namespace weft
