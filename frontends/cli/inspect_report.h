// An artifact as tables for people, and as JSON for scripts.
#pragma once

#include "runtime/artifact/reader.h"

#include <string>

namespace weft {

std::string SummaryText(const LoadedArtifact &artifact);
std::string ParamsText(const LoadedArtifact &artifact);
std::string MemoryText(const LoadedArtifact &artifact);
std::string KernelsText(const LoadedArtifact &artifact);
std::string RemarksText(const LoadedArtifact &artifact);
std::string InspectJson(const LoadedArtifact &artifact);

} // namespace weft
