#include "runtime/data/permutation.h"

#include <cmath>

#include "runtime/data/philox.h"

namespace weft {

// A Feistel network whose halves are digits of a mixed radix, i = left * b + right with a * b >= n barely: in
// turn
//     left  = (left  + F(round, right)) mod a
//     right = (right + F(round, left )) mod b
// Each step can be undone, so the whole is a permutation of [0, a * b). An image outside [0, n) is permuted
// again until it lies within (cycle walking), which keeps it a permutation of [0, n); a * b < n + a + 1 makes
// that rare.
uint64_t PermutedIndex(uint64_t seed, uint64_t stream, uint64_t n, uint64_t i) {
  if (n <= 1) return 0;
  auto a = static_cast<uint64_t>(std::sqrt(static_cast<double>(n)));
  if (a < 1) a = 1;
  const uint64_t b = (n + a - 1) / a;
  // A key of its own sets the shuffle's draws apart from those of initialisers or sampling under the same
  // seed.
  const PhiloxKey key = {static_cast<uint32_t>(seed) ^ 0x73687566,
                         static_cast<uint32_t>(seed >> 32) ^ 0x666c6521};
  auto draw = [&](uint32_t round, uint64_t half) -> uint64_t {
    const PhiloxCounter r =
        Philox4x32({static_cast<uint32_t>(half), static_cast<uint32_t>(half >> 32) ^ round << 28,
                    static_cast<uint32_t>(stream), static_cast<uint32_t>(stream >> 32)},
                   key);
    return static_cast<uint64_t>(r[1]) << 32 | r[0];
  };
  do {
    uint64_t left = i / b, right = i % b;
    for (uint32_t round = 0; round < 8; round += 2) {
      left = (left + draw(round, right) % a) % a;
      right = (right + draw(round + 1, left) % b) % b;
    }
    i = left * b + right;
  } while (i >= n);
  return i;
}

} // namespace weft
