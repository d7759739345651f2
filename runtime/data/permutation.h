// A shuffle that is computed, not stored: the i-th of n rows in constant time and memory.
#pragma once

#include <cstdint>

namespace weft {

// The image of `i` under a permutation of 0 … n-1 that `seed` and `stream` choose; 0 <= i < n, n < 2^62.
uint64_t PermutedIndex(uint64_t seed, uint64_t stream, uint64_t n, uint64_t i);

} // namespace weft
