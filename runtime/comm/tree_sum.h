// The one order in which values of several ranks (or virtual shards) are added.
#pragma once
#include "runtime/artifact/artifact_generated.h"

#include "absl/types/span.h"

#include <cstdint>

namespace weft {

// sources[0 .. n): n >= 1 arrays. For each element i in [begin, end): result = tree(0, n), where tree of one
// value is the value and
//   tree(a, b) = tree(a, m) + tree(m, b),   m = a + the largest power of two below b - a
// so that n = 5 gives ((0 + 1) + (2 + 3)) + 4. The result replaces element i of every array. f32, f64, i32 or
// i64 (wrapping).
void TreeSumInPlace(absl::Span<void *const> sources, fb::DType dtype, int64_t begin, int64_t end);

} // namespace weft
