// model.safetensors.index.json: which file of a folder holds which tensor, where the weights are in several.
#pragma once

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

#include <cstdint>
#include <map>
#include <string>

namespace weft {

inline constexpr char kWeightIndex[] = "model.safetensors.index.json";
inline constexpr uint64_t kMaxWeightIndexBytes = 256 << 20;

// Tensor -> file. The files are plain names that end in .safetensors: an index cannot lead out of its folder.
// DataLoss says what is wrong, after the file's name.
absl::StatusOr<std::map<std::string, std::string>> ParseWeightIndex(absl::string_view text);

// The other way; `total_bytes`: of all tensors.
std::string WeightIndexText(const std::map<std::string, std::string> &files, uint64_t total_bytes);

} // namespace weft
