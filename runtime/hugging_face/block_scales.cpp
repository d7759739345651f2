#include "runtime/hugging_face/block_scales.h"

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

#include <algorithm>

namespace weft {
namespace {

constexpr int64_t kBlock = 128;
constexpr absl::string_view kSuffix = "_scale_inv";

int64_t Blocks(int64_t size) { return size / kBlock + (size % kBlock != 0); }

} // namespace

bool NeedsScales(const std::string &dtype) { return dtype == "F8_E4M3"; }

std::string ScalesOf(const std::string &name) { return absl::StrCat(name, kSuffix); }

std::string ScaledBy(const std::string &name) {
  return absl::EndsWith(name, kSuffix) ? name.substr(0, name.size() - kSuffix.size()) : "";
}

std::string BlockScales::Wrong(const WeightFiles &files, const std::string &name) {
  const SafeTensor &tensor = *files.tensors().at(name).tensor;
  if (tensor.shape.size() != 2)
    return absl::StrCat(name, " is ", tensor.dtype, " of ", tensor.shape.size(),
                        " dimensions when only matrices have scales");
  auto found = files.tensors().find(ScalesOf(name));
  if (found == files.tensors().end())
    return absl::StrCat(name, " is ", tensor.dtype, " and has no ", ScalesOf(name));
  const SafeTensor &scales = *found->second.tensor;
  std::vector<int64_t> shape = {Blocks(tensor.shape[0]), Blocks(tensor.shape[1])};
  if (scales.shape != shape || !ReadableType(scales.dtype))
    return absl::StrCat(ScalesOf(name), " is ", scales.dtype, " (", absl::StrJoin(scales.shape, ", "),
                        ") when it should be F32 (", absl::StrJoin(shape, ", "), "), a number for each ",
                        kBlock, " by ", kBlock);
  return "";
}

absl::StatusOr<BlockScales> BlockScales::Read(const WeightFiles &files, const std::string &name) {
  const SafeTensor &tensor = *files.tensors().at(name).tensor;
  BlockScales scales;
  scales.columns_ = static_cast<uint64_t>(tensor.shape[1]);
  scales.scales_.resize(static_cast<size_t>(Blocks(tensor.shape[0]) * Blocks(tensor.shape[1])));
  absl::Status status = files.ReadF32(files.tensors().at(ScalesOf(name)), 0, absl::MakeSpan(scales.scales_));
  if (!status.ok()) return status;
  return scales;
}

void BlockScales::Multiply(uint64_t begin, absl::Span<float> out) const {
  const uint64_t row_blocks = static_cast<uint64_t>(Blocks(static_cast<int64_t>(columns_)));
  for (uint64_t i = 0; i < out.size();) { // up to the next block, or row
    uint64_t row = (begin + i) / columns_, column = (begin + i) % columns_;
    float scale = scales_[row / kBlock * row_blocks + column / kBlock];
    uint64_t end = std::min({i + kBlock - column % kBlock, i + columns_ - column, uint64_t{out.size()}});
    for (; i < end; ++i) out[i] *= scale;
  }
}

} // namespace weft
