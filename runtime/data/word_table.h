// Words and how often each was met: what counting words spends its time in.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string_view>
#include <utility>
#include <vector>

#include "runtime/data/word_key.h"

namespace weft {

// Open addressing, at most half full, a slot half a cache line; a short word lies in its slot.
class WordTable {
public:
  size_t size() const { return used_; }

  // For a key that is added soon: fetches its slot.
  void Prefetch(uint64_t hash) const {
    if (!slots_.empty()) __builtin_prefetch(&slots_[Home(hash)], 1);
  }

  // `key` is the word's and `hash` the key's; the word's bytes are copied where they are not in the key.
  void Add(std::string_view word, const WordKey &key, uint64_t hash, int64_t count) {
    if (2 * used_ >= slots_.size()) Grow();
    for (size_t i = Home(hash);; i = (i + 1) & (slots_.size() - 1)) {
      Slot &s = slots_[i];
      if (s.key == key && (key.holds_word() || std::memcmp(s.bytes, word.data(), word.size()) == 0)) {
        s.count += count;
        return;
      }
      if (s.key.high != 0) continue;
      s = {key, count, key.holds_word() ? nullptr : Copy(word)};
      ++used_;
      return;
    }
  }

  // Calls f(word, key, count) for each, in no particular order. The word is valid during the call.
  template <typename F> void ForEach(F f) const {
    for (const Slot &s : slots_) {
      if (s.key.high == 0) continue;
      const char *bytes = s.key.holds_word() ? reinterpret_cast<const char *>(&s.key) : s.bytes;
      f(std::string_view(bytes, s.key.length()), s.key, s.count);
    }
  }

private:
  struct Slot {
    WordKey key; // high is 0 where there is none
    int64_t count = 0;
    const char *bytes = nullptr; // in `blocks_`, of a word that its key does not hold
  };
  static_assert(sizeof(Slot) == 32);

  // By the hash's upper bits without the uppermost, by which words are shared out among tables.
  static constexpr int kSharedBits = 6;
  size_t Home(uint64_t hash) const { return (hash << kSharedBits) >> shift_; }

  void Grow() {
    std::vector<Slot> old(std::max<size_t>(16, 2 * slots_.size()));
    old.swap(slots_);
    shift_ = 64 - __builtin_ctzll(slots_.size());
    for (const Slot &s : old) {
      if (s.key.high == 0) continue;
      size_t i = Home(s.key.Hash());
      while (slots_[i].key.high != 0) i = (i + 1) & (slots_.size() - 1);
      slots_[i] = s;
    }
  }
  const char *Copy(std::string_view word) {
    constexpr size_t kBlock = 1 << 14;
    if (free_ < word.size()) {
      free_ = std::max(kBlock, word.size());
      blocks_.emplace_back(new char[free_]);
      next_ = blocks_.back().get();
    }
    std::memcpy(next_, word.data(), word.size());
    free_ -= word.size();
    return std::exchange(next_, next_ + word.size());
  }

  std::vector<Slot> slots_;
  size_t used_ = 0;
  int shift_ = 64;
  std::vector<std::unique_ptr<char[]>> blocks_;
  char *next_ = nullptr;
  size_t free_ = 0; // bytes of the last block from `next_` on
};

} // namespace weft
