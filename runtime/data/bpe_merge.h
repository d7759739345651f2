// Merging the bytes of one word: the pair of neighbours with the lowest rank first, leftmost first among
// equals, until no pair merges.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <string_view>
#include <vector>

namespace weft {

inline constexpr size_t kMaxMerges = size_t{1} << 24;
inline constexpr int32_t kNoRank = std::numeric_limits<int32_t>::max();

// (left, right) -> (rank, result): open addressing, at most half full, one cache line a look-up as a rule.
class MergeTable {
public:
  struct Entry {
    uint64_t key;
    int32_t rank, result;
  };

  void Reserve(size_t merges) {
    size_t capacity = 16;
    while (capacity < 2 * merges) capacity *= 2;
    entries_.assign(capacity, {kEmpty, kNoRank, -1});
    shift_ = 64 - __builtin_ctzll(capacity);
  }
  bool Insert(int32_t left, int32_t right, int32_t rank, int32_t result) {
    Entry &e = entries_[Slot(Key(left, right))];
    if (e.key != kEmpty) return false;
    e = {Key(left, right), rank, result};
    return true;
  }
  // An entry whose rank is kNoRank where the pair does not merge.
  const Entry &Find(int32_t left, int32_t right) const { return entries_[Slot(Key(left, right))]; }

private:
  static constexpr uint64_t kEmpty = ~uint64_t{0}; // no pair: ids are not negative
  static uint64_t Key(int32_t left, int32_t right) {
    return static_cast<uint64_t>(static_cast<uint32_t>(left)) << 32 | static_cast<uint32_t>(right);
  }
  size_t Slot(uint64_t key) const {
    size_t i = (key * 0x9e3779b97f4a7c15ull) >> shift_;
    while (entries_[i].key != key && entries_[i].key != kEmpty) i = (i + 1) & (entries_.size() - 1);
    return i;
  }
  std::vector<Entry> entries_;
  int shift_ = 60;
};

// The bytes up to which a word is merged by looking for the lowest rank anew each time.
inline constexpr size_t kShortWord = 64;
inline constexpr size_t kMergeWindow = 512;

// Merges `ids` in place for a word of at most kShortWord bytes. Returns the number left.
size_t MergeShort(const MergeTable &table, int32_t *ids, size_t count);

// Appends the tokens of a word of any length to `out`. It is merged in windows of about `window` (at least 2)
// bytes, so in time and memory that are linear in the word and constant; only where what lies further ahead
// than a window decides a token the windows grow, at worst to the whole word. `byte_ids`: of the 256 bytes.
void MergeLong(const MergeTable &table, const int32_t *byte_ids, std::string_view word,
               std::vector<int32_t> &out, size_t window = kMergeWindow);

} // namespace weft
