// Reads an artifact and checks everything in it that the runtime will rely on, before anything executes.
// What is checked and what the checksum promises: docs/artifact.md.
#pragma once
#include "runtime/artifact/artifact_generated.h"

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"

#include <memory>
#include <string>

namespace weft {

// Raised when the meaning of a field changes; new optional fields do not need it.
inline constexpr int32_t kArtifactFormatVersion = 2;
// The executor keeps its loop counters in an array of this size.
inline constexpr int kMaxLoopDepth = 16;

// A checked artifact. Immutable; `root` points into `bytes` and lives as long as this.
struct LoadedArtifact {
  std::string path; // for messages
  std::unique_ptr<uint8_t[]> bytes;
  int64_t size = 0;
  const fb::Artifact *root = nullptr;

  const fb::Artifact *operator->() const { return root; }
};

// Errors name the file, the field, what was found and what was expected:
//   NotFound, PermissionDenied, … the file cannot be read
//   FailedPrecondition            not of this runtime's format version
//   DataLoss                      not an artifact, truncated or damaged
//   InvalidArgument               intact, but a field does not hold together with another
absl::StatusOr<std::shared_ptr<const LoadedArtifact>> LoadArtifact(const std::string &path);

// The same for bytes in memory; `name` stands for the path in messages.
absl::StatusOr<std::shared_ptr<const LoadedArtifact>> LoadArtifactFromMemory(absl::Span<const uint8_t> bytes,
                                                                             const std::string &name);

} // namespace weft
