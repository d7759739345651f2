#include "runtime/comm/tree_sum.h"

#include <algorithm>
#include <cstring>

namespace weft {
namespace {

// Elements summed at once: small enough that a tree's partial sums stay in the first-level cache.
constexpr int64_t kBlock = 512;

// Writes tree(first, last) of elements [at, at + count) to `out`.
template <typename T>
void Tree(absl::Span<void *const> sources, size_t first, size_t last, int64_t at, int64_t count, T *out) {
  if (last - first == 1) {
    std::memcpy(out, static_cast<const T *>(sources[first]) + at, count * sizeof(T));
    return;
  }
  size_t half = 1;
  while (half * 2 < last - first) half *= 2;
  T right[kBlock];
  Tree(sources, first, first + half, at, count, out);
  Tree(sources, first + half, last, at, count, right);
  for (int64_t i = 0; i < count; ++i) out[i] += right[i];
}

template <typename T> void Sum(absl::Span<void *const> sources, int64_t begin, int64_t end) {
  T sum[kBlock];
  for (int64_t at = begin; at < end; at += kBlock) {
    int64_t count = std::min(kBlock, end - at);
    Tree(sources, 0, sources.size(), at, count, sum);
    for (void *source : sources) std::memcpy(static_cast<T *>(source) + at, sum, count * sizeof(T));
  }
}

} // namespace

void TreeSumInPlace(absl::Span<void *const> sources, fb::DType dtype, int64_t begin, int64_t end) {
  switch (dtype) {
  case fb::DType::f32:
    return Sum<float>(sources, begin, end);
  case fb::DType::f64:
    return Sum<double>(sources, begin, end);
  // Unsigned, so that wrapping is defined.
  case fb::DType::i32:
    return Sum<uint32_t>(sources, begin, end);
  case fb::DType::i64:
    return Sum<uint64_t>(sources, begin, end);
  case fb::DType::boolean:
  case fb::DType::bf16:
    return;
  }
}

} // namespace weft
