// The weights of a Hugging Face folder: model.safetensors, or several files with an index.
#pragma once

#include "runtime/train/safetensors.h"

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"

#include <map>
#include <string>
#include <vector>

namespace weft {

// Open files whose headers have been checked. Nothing of the tensors is in memory.
class WeightFiles {
public:
  // As transformers, model.safetensors goes before an index. NotFound when the folder has neither (the hint
  // knows of other formats); DataLoss names the file and what is wrong: a file that is missing or cut off, a
  // tensor that is in another file than the index says, in two, or in none.
  static absl::StatusOr<WeightFiles> Open(const std::string &folder);

  struct Place {
    const SafetensorsReader *file;
    const SafeTensor *tensor;
  };
  const std::map<std::string, Place> &tensors() const { return tensors_; }
  uint64_t bytes() const { return bytes_; } // of all tensors

  // Elements [begin, begin + out.size()) of a tensor as f32, exactly: of F32, BF16 or F16, or F8_E4M3, which
  // still lacks its scales (block_scales.h). DataLoss when they cannot be read. InvalidArgument for another
  // type.
  absl::Status ReadF32(const Place &place, uint64_t begin, absl::Span<float> out) const;

private:
  absl::Status OpenShards(const std::string &folder, absl::string_view index);
  std::vector<std::unique_ptr<SafetensorsReader>> files_;
  std::map<std::string, Place> tensors_;
  uint64_t bytes_ = 0;
};

// Whether ReadF32 gives the numbers of tensors of the type "F32", "BF16", …
bool ReadableType(const std::string &dtype);

} // namespace weft
