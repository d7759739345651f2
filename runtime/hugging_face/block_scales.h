// Weights of 8 bits with a scale for each block of 128 by 128, as DeepSeek-V3 is published: the tensor X, in
// F8_E4M3, is that times X_scale_inv, which has a number for each block of it, those at the edges cut off.
// Source: weight_dequant in DeepSeek-V3's inference code, and "fine-grained quantization", arXiv:2412.19437,
// section 3.3.
#pragma once

#include "runtime/hugging_face/weight_files.h"

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"

#include <cstdint>
#include <string>
#include <vector>

namespace weft {

// Whether a tensor of the type has to have scales beside it.
bool NeedsScales(const std::string &dtype);
// The tensor that has the scales of `name`, and that whose scales `name` are ("" if it is none by its name).
std::string ScalesOf(const std::string &name);
std::string ScaledBy(const std::string &name);

class BlockScales {
public:
  // What is wrong with the scales of a tensor that needs them; "" if nothing is.
  static std::string Wrong(const WeightFiles &files, const std::string &name);

  // Those of a tensor that is right. Errors of reading.
  static absl::StatusOr<BlockScales> Read(const WeightFiles &files, const std::string &name);

  // Multiplies elements [begin, begin + out.size()) of the tensor, in f32.
  void Multiply(uint64_t begin, absl::Span<float> out) const;

private:
  uint64_t columns_ = 0;      // of the tensor
  std::vector<float> scales_; // (rows / 128, columns / 128), rounded up
};

} // namespace weft
