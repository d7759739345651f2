// The semantic checks of an artifact whose bytes FlatBuffers' verifier has accepted.
#pragma once
#include "runtime/artifact/artifact_generated.h"

#include "absl/status/status.h"

#include <string>

namespace weft {

// InvalidArgument with the path of the first field that does not hold together with the rest, for example
//   stages[0].entries[1].body[3].buffers[2]: bytes [128, 192) are touched when the arena has 160
absl::Status CheckArtifact(const fb::Artifact &artifact);

} // namespace weft
