// The words of a text as rows of tokens, and how often each pair of neighbours stands in them, while pairs
// are merged one after another.
#pragma once

#include <cstdint>
#include <memory>
#include <queue>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/types/span.h"
#include "runtime/data/thread_team.h"
#include "runtime/data/word_counts.h"

namespace weft {

class PairCounts {
public:
  // Every word starts as its bytes, tokens 0 to 255. Pairs that occur less than `min_count` times do not
  // count. Up to `threads` threads (0 = one for each processor).
  PairCounts(const WordCounts &words, int64_t min_count, int threads);

  // Whether the words can be held: 4 bytes for each of theirs and 12 for each of them, 16 GiB at most.
  static bool Fits(const WordCounts &words);

  // Takes the pair that occurs most often; of equals the one whose left token is smaller, then whose right
  // is. False when there is none left. It comes again only if Merge makes more of it.
  bool Best(int32_t &left, int32_t &right);

  // left right becomes result wherever it stands, in each word from left to right. `result` may have been the
  // result of another pair. What comes of it depends on nothing but the words.
  void Merge(int32_t left, int32_t right, int32_t result);

private:
  using PairKey = uint64_t; // left << 32 | right
  static PairKey KeyOf(int32_t left, int32_t right) {
    return static_cast<uint64_t>(static_cast<uint32_t>(left)) << 32 | static_cast<uint32_t>(right);
  }
  struct Pair {
    int64_t count = 0;
    // The words that hold it, or held it, by where they begin in words_; and whether one may be there twice.
    const uint32_t *words = nullptr;
    uint32_t num_words = 0;
    bool repeats = false;
  };
  struct Candidate {
    int64_t count;
    PairKey key;
    bool operator<(const Candidate &o) const { return count != o.count ? count < o.count : key > o.key; }
  };

  // The neighbours on one side of a pair that is merged: how often each stood there, and in which words.
  struct Side {
    struct Neighbour {
      int32_t token;
      uint32_t num_words;
      int64_t count;
      uint32_t last_word, end; // `end`: of its words in the list that is made of them
    };
    struct Seen {
      uint32_t neighbour, word;
    };
    std::vector<uint32_t> index; // by token: its neighbour's number and one, or 0
    std::vector<Neighbour> neighbours;
    std::vector<Seen> seen;

    uint32_t NumberOf(int32_t token);
    void Note(int32_t token, uint32_t word, int64_t count);
    void Append(const Side &other);
    void Clear();
  };
  struct Sides {
    Side left, right;
  };

  static constexpr uint32_t kHead =
      3; // numbers before a word's tokens: its count in two, and how many they are
  int64_t CountOf(uint32_t word) const;
  void CountPairs(const std::vector<uint32_t> &shard_ends); // where each shard's words end
  void MergeInWord(uint32_t word, int32_t left, int32_t right, int32_t result, Sides &sides);
  // key(token) is the pair with the neighbour that comes, or that goes.
  template <typename Key> void Increase(Side &side, Key key);
  template <typename Key> void Decrease(const Side &side, Key key);
  uint32_t *NewList(size_t size);

  int64_t min_count_;
  std::vector<uint32_t> words_; // rows of kHead numbers and then tokens
  absl::flat_hash_map<PairKey, Pair> pairs_;
  // The greatest is on top. A pair's count only falls after the round that made it, so an entry is at worst
  // too high: it is put back with its count of now.
  std::priority_queue<Candidate> heap_;
  ThreadTeam team_;
  std::vector<Sides> sides_;                       // one for each of the team
  std::vector<std::unique_ptr<uint32_t[]>> lists_; // of words, which pairs point to
  uint32_t *free_list_ = nullptr;
  size_t free_ = 0;
};

} // namespace weft
