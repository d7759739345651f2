// What reading, writing and importing checkpoints share: the files' names and state, and how variables become
// tensors.
#pragma once

#include "runtime/train/checkpoint.h"
#include "runtime/train/file_hash.h"

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
// names ("model.layers.3.mlp.up_proj.weight"), and of all others the path, "#" and the layer's number. A file
// name with a further {} gives one for each index of the next dimension, too:
// "model.layers.{}.mlp.experts.{}.up_proj.weight" of (layers, experts, ffn, dim). Without memory, names and
// shapes alone.
std::vector<CheckpointTensor> CheckpointTensors(const VariableView &view);

// weft-state.json, with its checksum; `files`: every other file of the checkpoint.
std::string StateJsonText(const CheckpointState &state, const std::map<std::string, FileHash> &files);

} // namespace weft
