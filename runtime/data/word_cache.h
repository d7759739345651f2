// Words already encoded, so that a word that comes again is not merged again. A cache, not a map: it forgets,
// and so keeps to a few megabytes whatever the text.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/data/word_key.h"

namespace weft {

class WordCache {
public:
  static constexpr size_t kMaxWordBytes = 64; // a longer word hardly comes twice

  // Appends the ids of `word` and returns true, or returns false. There is room for 4 ids after `out`, and
  // there are as many as the word has bytes.
  bool Lookup(std::string_view word, WordKey key, int32_t *&out) const {
    const Slot *s = slots_.data() + Home(key);
    for (size_t i = 0; i < kWays; ++i, ++s) {
      if (!(s->key == key)) continue;
      if (!key.holds_word() && std::memcmp(bytes_.data() + s->ids[1], word.data(), word.size()) != 0)
        continue;
      if (s->count <= 3 && key.holds_word()) {
        std::memcpy(out, s->ids, sizeof(s->ids)); // three at once: what is too many is written over
        out += s->count;
      } else {
        std::memcpy(out, ids_.data() + s->ids[0], s->count * sizeof(int32_t));
        out += s->count;
      }
      return true;
    }
    return false;
  }

  void Insert(std::string_view word, WordKey key, const int32_t *ids, size_t count) {
    if (bytes_.size() + ids_.size() > kMaxOutside) Clear();
    if (used_ * 2 > slots_.size() && slots_.size() < kMaxSlots) Grow();
    Slot slot{key, {}, static_cast<uint32_t>(count)};
    if (!key.holds_word() || count > 3) {
      slot.ids[0] = static_cast<int32_t>(ids_.size());
      ids_.insert(ids_.end(), ids, ids + count);
      slot.ids[1] = static_cast<int32_t>(bytes_.size());
      if (!key.holds_word()) bytes_.append(word);
    } else {
      std::copy_n(ids, count, slot.ids);
    }
    Place(slot);
  }

private:
  struct alignas(32) Slot {
    WordKey key; // high is 0 where there is none
    // The word's, or where in ids_ they are, and in bytes_ the word, when it has more than 3 or is long.
    int32_t ids[3] = {};
    uint32_t count = 0;
  };
  static constexpr size_t kWays = 4, kFirstSlots = 1 << 9, kMaxSlots = 1 << 18, kMaxOutside = 1 << 22;

  size_t Home(WordKey key) const { // the first of kWays slots
    return (key.Hash() >> 32) & (slots_.size() - 1) & ~(kWays - 1);
  }
  void Place(const Slot &slot) {
    Slot *home = slots_.data() + Home(slot.key);
    for (size_t i = 0; i < kWays; ++i)
      if (home[i].key.high == 0) {
        home[i] = slot;
        ++used_;
        return;
      }
    home[turn_++ % kWays] = slot;
  }
  void Grow() {
    std::vector<Slot> old(slots_.size() * 4);
    old.swap(slots_);
    used_ = 0;
    for (const Slot &s : old)
      if (s.key.high) Place(s);
  }
  void Clear() {
    slots_.assign(kFirstSlots, {});
    ids_.clear();
    bytes_.clear();
    used_ = 0;
  }

  std::vector<Slot> slots_ = std::vector<Slot>(kFirstSlots);
  std::vector<int32_t> ids_;
  std::string bytes_;
  size_t used_ = 0, turn_ = 0;
};

} // namespace weft
