// What a word is looked up by in a table: the word itself where it is short.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace weft {

// A word of up to kMaxInKey bytes is its own key, the bytes in order and the length in the last one; that of
// a longer one is a hash and the length, so its bytes have to be compared besides. No key has high 0.
struct WordKey {
  static constexpr size_t kMaxInKey = 15;
  uint64_t low = 0, high = 0;

  // `readable`: the bytes that may be read from word.data() on; the word is not empty.
  static WordKey Of(std::string_view word, size_t readable) {
    const size_t n = word.size();
    if (n > kMaxInKey) return {XXH3_64bits(word.data(), n), uint64_t{0xff} << 56 | n};
    char buffer[16];
    if (readable < 16) {
      std::memset(buffer, 0, 16);
      std::memcpy(buffer, word.data(), n);
    } else {
      std::memcpy(buffer, word.data(), 16);
    }
    WordKey k;
    std::memcpy(&k, buffer, 16);
    k.low = n < 8 ? k.low & ((uint64_t{1} << 8 * n) - 1) : k.low;
    k.high = n > 8 ? k.high & ((uint64_t{1} << 8 * (n - 8)) - 1) : 0;
    k.high |= static_cast<uint64_t>(n) << 56;
    return k;
  }
  bool holds_word() const { return high >> 56 <= kMaxInKey; }
  size_t length() const { return holds_word() ? high >> 56 : high & ((uint64_t{1} << 56) - 1); }
  // Its upper bits are the better ones.
  uint64_t Hash() const { return (low ^ high * 0x9e3779b97f4a7c15ull) * 0xff51afd7ed558ccdull; }
  bool operator==(const WordKey &o) const { return low == o.low && high == o.high; }
};

} // namespace weft
