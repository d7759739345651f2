#include "runtime/data/bpe_merge.h"

#include <algorithm>
#include <gtest/gtest.h>
#include <numeric>
#include <random>
#include <set>

#include "runtime/data/bpe_train.h"
#include "tests/runtime/data/slow_merge.h"
#include "tests/runtime/data/temp_folder.h"

namespace weft {
namespace {

using Ids = std::vector<int32_t>;
using Merges = std::vector<TokenizerParts::Merge>;

struct Vocabulary {
  int32_t byte_ids[256];
  std::vector<std::string> tokens;
  Merges merges;
  MergeTable table;

  void Finish() {
    for (int b = 0; b < 256; ++b) byte_ids[b] = b;
    table.Reserve(merges.size());
    for (size_t rank = 0; rank < merges.size(); ++rank)
      ASSERT_TRUE(table.Insert(merges[rank].left, merges[rank].right, static_cast<int32_t>(rank),
                               merges[rank].result));
  }
  Ids Slow(std::string_view word) const { return SlowMerge(merges, byte_ids, word); }
  Ids Long(std::string_view word, size_t window) const {
    Ids out = {-7}; // what is there stays
    MergeLong(table, byte_ids, word, out, window);
    EXPECT_EQ(out[0], -7);
    return Ids(out.begin() + 1, out.end());
  }
};

Vocabulary Bytes() {
  Vocabulary v;
  for (int b = 0; b < 256; ++b) v.tokens.emplace_back(1, static_cast<char>(b));
  return v;
}

std::string RandomWord(std::mt19937 &rng, size_t length, int letters) {
  std::string word;
  while (word.size() < length) word += static_cast<char>('a' + rng() % letters);
  return word;
}

// Merges in no sensible order, of tokens that none makes, several that give one token.
Vocabulary RandomVocabulary(std::mt19937 &rng, int letters) {
  Vocabulary v = Bytes();
  std::set<std::string> made;
  for (int n = 2 + static_cast<int>(rng() % 40); n > 0; --n)
    made.insert(RandomWord(rng, 2 + rng() % (rng() % 4 ? 4 : 20), letters));
  v.tokens.insert(v.tokens.end(), made.begin(), made.end());
  const auto id = [&](const std::string &bytes) {
    return static_cast<int32_t>(std::find(v.tokens.begin(), v.tokens.end(), bytes) - v.tokens.begin());
  };
  for (const std::string &token : made)
    for (size_t cut = 1; cut < token.size(); ++cut) {
      const int32_t left = id(token.substr(0, cut)), right = id(token.substr(cut));
      if (std::max(left, right) < static_cast<int32_t>(v.tokens.size()) && rng() % 4)
        v.merges.push_back({left, right, id(token)});
    }
  std::shuffle(v.merges.begin(), v.merges.end(), rng);
  v.Finish();
  return v;
}

Vocabulary Golden() {
  const Tokenizer t = Tokenizer::Load("tests/runtime/data/goldens/tokenizer.json").value();
  Vocabulary v;
  v.merges.assign(t.merges().begin(), t.merges().end());
  v.Finish();
  return v;
}

TEST(BpeMerge, GivesWhatASlowMergeGivesForAnyMergesAndWindows) {
  std::mt19937 rng(1);
  for (int round = 0; round < 400; ++round) {
    const int letters = 1 + static_cast<int>(rng() % 4);
    const Vocabulary v = RandomVocabulary(rng, letters);
    const std::string word = RandomWord(rng, 1 + rng() % 150, letters);
    const Ids slow = v.Slow(word);
    for (size_t window : {2, 3, 5, 8, 16, 40, 64, 512})
      ASSERT_EQ(v.Long(word, window), slow) << round << " " << window << " " << word;
    if (word.size() > kShortWord) continue;
    Ids ids;
    for (char c : word) ids.push_back(v.byte_ids[static_cast<uint8_t>(c)]);
    ids.resize(MergeShort(v.table, ids.data(), ids.size()));
    ASSERT_EQ(ids, slow) << round << " " << word;
  }
}

TEST(BpeMerge, GivesTheSameInWindowsForHostileWords) {
  const Vocabulary v = Golden();
  std::mt19937 rng(2);
  std::string bytes, dna, chinese, prose;
  for (int i = 0; i < 3000; ++i) bytes += static_cast<char>(rng());
  for (int i = 0; i < 3000; ++i) dna += "ACGT"[rng() % 4];
  for (int i = 0; i < 1000; ++i)
    chinese += {'\xe4', static_cast<char>(0xb8 + rng() % 4), static_cast<char>(0x80 + rng() % 64)};
  for (char c : Slurp("tests/runtime/data/goldens/sample.txt"))
    if (c != ' ' && prose.size() < 4000) prose += c;
  for (const std::string &word : {std::string(3001, 'e'), std::string(2000, '\0'), bytes, dna, chinese, prose,
                                  prose + std::string(700, 'e') + dna}) {
    const Ids slow = v.Slow(word);
    for (size_t window : {size_t{16}, size_t{100}, kMergeWindow, word.size()})
      EXPECT_EQ(v.Long(word, window), slow) << window;
  }
}

// From the right to the left: x takes in one letter after another, before two letters are merged, so no
// window short of the word has the right tokens.
TEST(BpeMerge, TakesTheWholeWordWhereItsEndDecidesItsFront) {
  Vocabulary v = Bytes();
  std::string token = "x";
  for (int i = 0; i < 300; ++i) {
    const auto right = static_cast<int32_t>(i == 0 ? 'x' : v.tokens.size() - 1);
    v.merges.push_back({'a', right, static_cast<int32_t>(v.tokens.size())});
    v.tokens.push_back(token = "a" + token);
  }
  v.merges.push_back({'a', 'a', static_cast<int32_t>(v.tokens.size())});
  v.tokens.push_back("aa");
  v.Finish();
  const std::string word = std::string(300, 'a') + "x";
  EXPECT_EQ(v.Slow(word).size(), 1u);
  for (size_t window : {2, 16, 100, 256, 301, 512}) {
    EXPECT_EQ(v.Long(word, window), v.Slow(word)) << window;
    EXPECT_EQ(v.Long(word + word + "aaa", window), v.Slow(word + word + "aaa")) << window;
  }
}

TEST(BpeMerge, HasTokensLongerThanItsWindows) {
  Vocabulary v = Bytes();
  v.tokens.push_back("aa");
  v.merges.push_back({'a', 'a', 256});
  for (int i = 1; i < 11; ++i) { // up to 2048 letters
    v.tokens.push_back(v.tokens.back() + v.tokens.back());
    v.merges.push_back({255 + i, 255 + i, 256 + i});
  }
  v.Finish();
  const Ids expected = {266, 266, 263, 'a'};
  EXPECT_EQ(v.Long(std::string(2 * 2048 + 256 + 1, 'a'), kMergeWindow), expected);
}

TEST(BpeMerge, TakesAnEmptyWordAndOneByte) {
  const Vocabulary v = Golden();
  EXPECT_EQ(v.Long("", 512), Ids());
  EXPECT_EQ(v.Long("e", 2), Ids{'e'});
}

TEST(BpeMerge, CopesWithSixteenMegabytesInOneWord) {
  const Vocabulary v = Golden();
  std::mt19937 rng(3);
  std::string word;
  for (int i = 0; i < 16 << 20; ++i) word += "etaoinsrhldcu"[rng() % 13];
  const Ids ids = v.Long(word, kMergeWindow);
  const Ids other = v.Long(word, 4 * kMergeWindow);
  EXPECT_TRUE(ids == other);
}

} // namespace
} // namespace weft
