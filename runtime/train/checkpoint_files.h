// What reading and writing checkpoints share: the files' names, and how variables become tensors.
#pragma once

#include "runtime/train/checkpoint.h"

namespace weft {

inline constexpr int64_t kCheckpointVersion = 1;
inline constexpr char kModelFile[] = "model.safetensors", kStateFile[] = "weft-state.safetensors",
                      kStateJson[] = "weft-state.json";
inline constexpr char kBestLink[] = "best";
inline constexpr char kTemporaryPrefix[] = ".tmp-"; // of folders half written or half removed

struct CheckpointTensor {
  std::string name;
  std::vector<int64_t> shape;
  absl::Span<char> memory;
};
// One tensor for a variable that is not stacked, one for each layer of one that is: with the parameters' file
// names
// ("model.layers.3.mlp.up_proj.weight"), and of all others the path, "#" and the layer's number.
std::vector<CheckpointTensor> CheckpointTensors(const VariableView &view);

} // namespace weft
