#include "runtime/data/word_counts.h"

#include <algorithm>
#include <cstring>
#include <mutex>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "runtime/data/text_parts.h"

namespace weft {

void WordCounts::Shard::Add(std::string_view word, int64_t count) {
  const auto it = counts.find(word);
  if (it != counts.end()) {
    it->second += count;
    return;
  }
  constexpr size_t kBlock = 1 << 16;
  if (free < word.size()) {
    blocks.push_back(std::make_unique<char[]>(kBlock));
    free = kBlock;
  }
  char *place = blocks.back().get() + (kBlock - free);
  std::memcpy(place, word.data(), word.size());
  free -= word.size();
  counts.emplace(std::string_view(place, word.size()), count);
}

void WordCounts::Add(absl::Span<const std::string_view> documents, int threads) {
  const std::vector<TextPart> parts = CutDocuments(documents, pre_tokenizer_.CutsAtLines());
  using Sharded = std::array<Counts, kShards>;
  std::mutex mutex;
  std::vector<std::unique_ptr<Sharded>> all;
  OnThreads(threads, parts.size(), [&](auto next_part) {
    auto mine = std::make_unique<Sharded>();
    for (size_t i; next_part(i);) {
      const std::string_view text = parts[i].text;
      WordCutter cutter(pre_tokenizer_, text);
      size_t at = 0;
      for (auto ends = cutter.Next(); !ends.empty(); ends = cutter.Next())
        for (const size_t end : ends)
          while (at < end) {
            const std::string_view word = text.substr(at, std::min(kMaxWordBytes, end - at));
            ++(*mine)[XXH3_64bits(word.data(), word.size()) % kShards][word];
            at += word.size();
          }
    }
    std::lock_guard<std::mutex> lock(mutex);
    all.push_back(std::move(mine));
  });
  OnThreads(threads, kShards, [&](auto next_shard) {
    for (size_t s; next_shard(s);)
      for (const auto &counts : all) {
        for (const auto &[word, count] : (*counts)[s]) shards_[s].Add(word, count);
        (*counts)[s] = {};
      }
  });
}

size_t WordCounts::size() const {
  size_t n = 0;
  for (const Shard &shard : shards_) n += shard.counts.size();
  return n;
}

} // namespace weft
