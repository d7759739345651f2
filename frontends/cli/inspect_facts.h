// What the inspection counts in an artifact.
#pragma once

#include "runtime/artifact/reader.h"

#include "absl/status/statusor.h"

#include <cstdint>
#include <string>
#include <vector>

namespace weft {

// A kernel's launches in one call of an entry, loops counted; a run-time loop counts as one iteration.
struct KernelUse {
  int64_t launches = 0, flops = 0, bytes = 0;
};
// By kernel, over the entries of all stages whose name is `entry` ("" = of all).
std::vector<KernelUse> CountUses(const fb::Artifact &artifact, const std::string &entry);

// The number of the kernel of that name, or of the only one whose name begins so. NotFound suggests the
// nearest name, InvalidArgument lists what it may be short for.
absl::StatusOr<int> FindKernel(const fb::Artifact &artifact, const std::string &name);

std::string Text(const flatbuffers::String *string);
std::string DTypeText(fb::DType dtype);
std::string KindText(fb::VariableKind kind);
std::string InitText(const fb::Variable &variable);               // "normal 0.02"
std::string LineText(const fb::Artifact &artifact, int32_t line); // "model.cc:12 (layers.mlp)"; "" for none

} // namespace weft
