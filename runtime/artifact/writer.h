// Writes an artifact: used by the compiler, and by tests.
#pragma once
#include "runtime/artifact/artifact_generated.h"

#include "absl/status/status.h"
#include "absl/types/span.h"

#include <string>
#include <vector>

namespace weft {

// The file's bytes, with format version and checksum filled in (the two fields of `artifact` are set, too).
// Nothing else is checked.
std::vector<uint8_t> SerializeArtifact(fb::ArtifactT &artifact);

// XXH3-64 of `bytes` as if the eight bytes at `checksum_at` were zero.
uint64_t ArtifactChecksum(absl::Span<const uint8_t> bytes, size_t checksum_at);

// Makes the checksum of a serialised artifact right again. Returns false when the bytes hold no checksum
// field.
bool PatchChecksum(absl::Span<uint8_t> bytes);

// Serialises, runs the reader's checks (so that a compiler that writes nonsense is told at once), and
// replaces `path`: a temporary file beside it is written, synced and renamed, so that a reader sees the old
// file or the new one.
absl::Status WriteArtifact(fb::ArtifactT &artifact, const std::string &path);

} // namespace weft
