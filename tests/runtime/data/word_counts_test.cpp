#include "runtime/data/word_counts.h"

#include <algorithm>
#include <gtest/gtest.h>
#include <map>
#include <random>

#include "tests/runtime/data/temp_folder.h"

namespace weft {
namespace {

using Map = std::map<std::string, int64_t>;

Map Counted(const WordCounts &words) {
  Map counts;
  for (size_t s = 0; s < WordCounts::kShards; ++s)
    words.ForEach(s, [&](std::string_view word, int64_t count) {
      EXPECT_TRUE(counts.emplace(word, count).second) << "a word is counted once";
    });
  EXPECT_EQ(counts.size(), words.size());
  return counts;
}

Map Slowly(absl::Span<const std::string_view> documents, Split split) {
  Map counts;
  const PreTokenizer pre_tokenizer(split);
  for (std::string_view text : documents) {
    WordCutter cutter(pre_tokenizer, text);
    size_t at = 0;
    for (auto ends = cutter.Next(); !ends.empty(); ends = cutter.Next())
      for (const size_t end : ends)
        for (; at < end; at = std::min(end, at + WordCounts::kMaxWordBytes))
          ++counts[std::string(text.substr(at, std::min(end - at, WordCounts::kMaxWordBytes)))];
  }
  return counts;
}

std::string HostileText(int seed, size_t bytes) {
  std::mt19937 rng(seed);
  std::string text;
  while (text.size() < bytes) {
    const uint32_t kind = rng() % 8, length = 1 + rng() % (kind == 0 ? 700 : 24);
    for (uint32_t i = 0; i < length; ++i)
      text += static_cast<char>(kind == 1 ? rng() : kind == 2 ? 0 : 'a' + rng() % 3);
    text += " \n.,"[rng() % 4];
  }
  return text;
}

TEST(WordCounts, CountsAsAMapDoesOnAnyNumberOfThreads) {
  const std::string one = HostileText(1, 3'000'000), two = HostileText(2, 100'000);
  const std::string_view documents[] = {
      one, "", "a", two, std::string_view("a\0", 2), " a", std::string_view("\0\0", 2)};
  for (Split split : {Split::kLlama3, Split::kGpt2, Split::kDeepSeek3}) {
    const Map slow = Slowly(documents, split);
    for (int threads : {1, 2, 3, 7}) {
      WordCounts words{PreTokenizer(split)};
      words.Add(documents, threads);
      EXPECT_TRUE(Counted(words) == slow) << threads;
    }
  }
}

TEST(WordCounts, CountsFilesAsTheirTexts) {
  TempFolder f;
  std::vector<std::string> files, texts = {HostileText(3, 4'000'000), "", "x"};
  texts.emplace_back(2'500'000, 'y');
  texts.back() += " end\n";
  for (int i = 0; i < 300; ++i) texts.push_back(HostileText(10 + i, i));
  std::vector<std::string_view> documents;
  uint64_t bytes = 0;
  for (const std::string &text : texts) {
    files.push_back(f.Write(std::to_string(files.size()) + ".txt", text));
    documents.push_back(text);
    bytes += text.size();
  }
  const Map slow = Slowly(documents, Split::kLlama3);
  for (int threads : {1, 2, 3, 7}) {
    WordCounts words;
    EXPECT_EQ(words.AddFiles(files, threads).value(), bytes);
    EXPECT_TRUE(Counted(words) == slow) << threads;
  }
  WordCounts words;
  EXPECT_EQ(words.AddFiles({f / "none"}).status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(words.AddFiles({files[1]}).status().code(), absl::StatusCode::kInvalidArgument); // no text
  EXPECT_EQ(words.size(), 0u);
}

// More different words than a thread keeps for itself.
TEST(WordCounts, AddsUpWhatThreadsHandOverInBetween) {
  constexpr int kWords = 1'200'000, kTwice = 100'000;
  std::string text;
  for (int i = 0; i < kWords + kTwice; ++i) {
    for (int n = i % kWords; n > 0; n /= 26) text += static_cast<char>('a' + n % 26);
    text += "_ ";
  }
  std::replace(text.begin(), text.end(), '_', 'A');
  const std::string_view document = text;
  for (int threads : {1, 2}) {
    WordCounts words;
    words.Add({&document, 1}, threads);
    std::map<int64_t, int> words_of; // by how often they occur
    for (size_t s = 0; s < WordCounts::kShards; ++s)
      words.ForEach(s, [&](std::string_view, int64_t count) { ++words_of[count]; });
    // The first word has no space before it, and so occurs once as two words.
    EXPECT_EQ(words_of, (std::map<int64_t, int>{{1, kWords - kTwice + 1 + 2}, {2, kTwice - 1}}));
  }
}

} // namespace
} // namespace weft
