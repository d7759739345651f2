#include "runtime/profile/key_part.h"

#include "absl/strings/numbers.h"
#include "absl/strings/string_view.h"

#include <algorithm>

namespace weft {
namespace {

// kernel.attention's sizes, and where the strides of its accesses lie behind them: those of an access of rank
// r take r + 2 places.
enum { kBatch, kQueries, kKeys };
constexpr int kOwnSizes = 7, kRank4 = 6, kRank2 = 4;
constexpr int kBegin = 3, kEnd = 4; // buffers
constexpr int kBeginStrides = kOwnSizes + 3 * kRank4, kEndStrides = kBeginStrides + kRank2;

} // namespace

int64_t KeyBlockOf(const Program &program, int32_t step, const fb::Artifact &artifact) {
  if (program.steps[step].kind != StepKind::launch) return 0;
  const fb::Kernel *kernel = artifact.kernels()->Get(program.sources[step]->op_as_Launch()->kernel());
  const auto *types = kernel->buffers();
  if (!types || types->size() <= kEnd) return 0;
  for (int range : {kBegin, kEnd})
    if (types->Get(range)->dtype() != fb::DType::i32) return 0;
  if (!kernel->family() || kernel->family()->string_view() != "attention" || !kernel->reduction()) return 0;
  absl::string_view text(kernel->reduction()->c_str(), kernel->reduction()->size());
  for (absl::string_view name : {"key_block = ", "key_block="})
    if (size_t at = text.find(name); at != text.npos) {
      text.remove_prefix(at + name.size());
      int64_t keys = 0;
      if (absl::SimpleAtoi(text.substr(0, text.find_first_not_of("0123456789")), &keys)) return keys;
    }
  return 0;
}

KeyPart KeyPartOf(const fb::Launch &launch, absl::Span<char *const> buffers, int64_t key_block) {
  const auto &sizes = *launch.sizes();
  if (sizes.size() < kEndStrides + kRank2 || buffers.size() <= kEnd) return {};
  const int64_t keys = sizes[kKeys];
  double named = 0, blocks = 0;
  auto at = [&](int buffer, int strides, int64_t b, int64_t t) {
    return reinterpret_cast<const int32_t *>(buffers[buffer])[b * sizes[strides] + t * sizes[strides + 1]];
  };
  for (int64_t b = 0; b < sizes[kBatch]; ++b)
    for (int64_t t = 0; t < sizes[kQueries]; ++t) {
      const int64_t begin = std::clamp<int64_t>(at(kBegin, kBeginStrides, b, t), 0, keys);
      const int64_t count = std::clamp<int64_t>(at(kEnd, kEndStrides, b, t), begin, keys) - begin;
      named += static_cast<double>(count);
      blocks += static_cast<double>((count + key_block - 1) / key_block * key_block);
    }
  const double all =
      static_cast<double>(sizes[kBatch]) * static_cast<double>(sizes[kQueries]) * static_cast<double>(keys);
  if (all <= 0) return {};
  return {named / all, std::min(blocks / all, 1.0)};
}

} // namespace weft
