// A second opinion on an artifact that was accepted: runs its loops, touching nothing, and looks at every
// address.
#pragma once

#include "runtime/artifact/reader.h"

namespace weft::fuzz {

// Aborts when an instruction would touch a byte outside its space. Goes no further than some thousand
// instructions.
void WalkArtifact(const fb::Artifact &artifact);

} // namespace weft::fuzz
