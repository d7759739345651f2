#include "runtime/data/pair_counts.h"

#include <gtest/gtest.h>
#include <map>
#include <random>

namespace weft {
namespace {

// Words as lists, and every pair counted anew each round.
struct Slow {
  std::vector<std::pair<std::vector<int32_t>, int64_t>> words;

  explicit Slow(const WordCounts &counts) {
    for (size_t s = 0; s < WordCounts::kShards; ++s)
      counts.ForEach(s, [&](std::string_view word, int64_t count) {
        std::vector<int32_t> ids;
        for (char c : word) ids.push_back(static_cast<uint8_t>(c));
        words.emplace_back(ids, count);
      });
  }
  bool Best(int64_t min_count, int32_t &left, int32_t &right) const {
    std::map<std::pair<int32_t, int32_t>, int64_t> counts;
    for (const auto &[ids, count] : words)
      for (size_t i = 1; i < ids.size(); ++i) counts[{ids[i - 1], ids[i]}] += count;
    int64_t most = min_count - 1;
    for (const auto &[pair, count] : counts)
      if (count > most) most = count, left = pair.first, right = pair.second;
    return most >= min_count;
  }
  void Merge(int32_t left, int32_t right, int32_t result) {
    for (auto &[ids, count] : words) {
      std::vector<int32_t> merged;
      for (size_t i = 0; i < ids.size(); ++i)
        if (i + 1 < ids.size() && ids[i] == left && ids[i + 1] == right)
          merged.push_back(result), ++i;
        else
          merged.push_back(ids[i]);
      ids = merged;
    }
  }
};

// Results that another pair has given before, so that a pair's words come in several rounds, and long runs of
// one letter; few enough words for one thread, and so many that all of a team have some.
TEST(PairCounts, GivesWhatCountingAnewGives) {
  for (int round = 0; round < 12; ++round) {
    std::mt19937 rng(round);
    std::string text;
    const size_t words = round < 8 ? 200 : 20'000;
    for (size_t w = 0; w < words; ++w) {
      for (uint32_t i = 1 + rng() % 14; i > 0; --i) text += static_cast<char>('a' + rng() % (1 + round % 4));
      text += ' ';
    }
    WordCounts counts;
    const std::string_view document = text;
    counts.Add({&document, 1}, 1);
    for (int threads : {1, 2, 3, 7}) {
      const int64_t min_count = 1 + round % 3;
      std::mt19937 results(round);
      Slow slow(counts);
      PairCounts pairs(counts, min_count, threads);
      int32_t next = 256;
      for (int merge = 0; merge < (round < 8 ? 200 : 25); ++merge) {
        int32_t left = -1, right = -1, slow_left = -1, slow_right = -1;
        const bool more = pairs.Best(left, right);
        ASSERT_EQ(more, slow.Best(min_count, slow_left, slow_right)) << round << " " << merge;
        if (!more) break;
        ASSERT_EQ(std::pair(left, right), std::pair(slow_left, slow_right)) << round << " " << merge;
        // One of the results before, unless it is part of itself.
        int32_t result =
            results() % 3 || next == 256 ? next++ : 256 + static_cast<int32_t>(results() % (next - 256));
        if (result == left || result == right) result = next++;
        pairs.Merge(left, right, result);
        slow.Merge(left, right, result);
      }
    }
  }
}

TEST(PairCounts, HasNoPairInWordsOfOneByte) {
  WordCounts counts;
  const std::string_view document = "a\nb\nc";
  counts.Add({&document, 1});
  PairCounts pairs(counts, 1, 2);
  int32_t left, right;
  EXPECT_FALSE(pairs.Best(left, right));
  EXPECT_TRUE(PairCounts::Fits(counts));
}

} // namespace
} // namespace weft
