// The weights of a Hugging Face folder as a checkpoint's: checked against what a model has, then copied
// through a buffer of some megabytes, whatever their size.
#pragma once

#include "runtime/artifact/artifact_generated.h"
#include "runtime/hugging_face/weight_files.h"
#include "runtime/train/file_hash.h"

#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

namespace weft {

// Shapes of the tensors that a checkpoint of the artifact's model has, by their names in the file.
using WeightShapes = std::map<std::string, std::vector<int64_t>>;
WeightShapes WeightShapesOf(const fb::Artifact &artifact);

// Which other tensors a folder may have: as frontends/dsl/hugging_face_config.h's WeightMap says.
struct OtherWeights {
  std::vector<std::string> ignored;
  std::vector<std::pair<std::string, std::string>> equal; // {second, first}
};
// Whether the folder has a tensor whose name the pattern (* = any text) takes.
bool HasTensor(const WeightFiles &files, const std::string &pattern);

struct CopyOptions {
  std::function<void(uint64_t done, uint64_t all)> progress; // bytes read; may be empty
  std::function<bool()> cancelled;                           // asked after each buffer; may be empty
};

// InvalidArgument lists what does not fit: missing and unknown tensors, other shapes, types that are not
// read.
absl::Status CheckWeights(const WeightFiles &files, const WeightShapes &shapes, const OtherWeights &others);

// Writes `path` in f32, tensors in the order of their names, not synced. Errors of reading and writing;
// InvalidArgument when two tensors of others.equal differ; Cancelled.
absl::StatusOr<FileHash> CopyWeights(const WeightFiles &files, const WeightShapes &shapes,
                                     const OtherWeights &others, const std::string &path,
                                     const CopyOptions &options);

} // namespace weft
