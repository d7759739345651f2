#include "runtime/data/word_counts.h"

#include <algorithm>
#include <atomic>

#include "runtime/data/corpus.h"
#include "runtime/data/text_parts.h"

namespace weft {

// What one thread counts, kept apart until there is much of it or no more comes.
class WordCounts::Worker {
public:
  explicit Worker(WordCounts &all) : all_(all), words_(kShards) {}
  Worker(const Worker &) = delete;
  ~Worker() { Flush(); }

  void Add(std::string_view text) {
    WordCutter cutter(all_.pre_tokenizer_, text);
    size_t at = 0;
    for (auto ends = cutter.Next(); !ends.empty(); ends = cutter.Next()) {
      for (const size_t end : ends)
        while (at < end) {
          const std::string_view word = text.substr(at, std::min(kMaxWordBytes, end - at));
          Met &met = met_[met_count_++];
          met = {word, WordKey::Of(word, text.size() - at), 0};
          met.hash = met.key.Hash();
          words_[ShardOf(met.hash)].Prefetch(met.hash);
          at += word.size();
          if (met_count_ == std::size(met_)) Count();
        }
    }
    Count();
    size_t held = 0;
    for (const WordTable &shard : words_) held += shard.size();
    if (held > kMaxHeld) Flush();
  }

private:
  static constexpr size_t kMaxHeld = 1 << 20; // 64 MB of slots at most, and the longer words
  struct Met {
    std::string_view word;
    WordKey key;
    uint64_t hash;
  };
  static size_t ShardOf(uint64_t hash) { return hash >> 58; }
  static_assert(kShards == 1 << 6);

  void Count() {
    for (size_t i = 0; i < met_count_; ++i)
      words_[ShardOf(met_[i].hash)].Add(met_[i].word, met_[i].key, met_[i].hash, 1);
    met_count_ = 0;
  }
  void Flush() {
    for (size_t s = 0; s < kShards; ++s) {
      Shard &shard = all_.shards_[s];
      std::lock_guard<std::mutex> lock(shard.mutex);
      words_[s].ForEach([&](std::string_view word, const WordKey &key, int64_t count) {
        shard.words.Add(word, key, key.Hash(), count);
      });
      words_[s] = {};
    }
  }

  WordCounts &all_;
  std::vector<WordTable> words_;
  Met met_[64]; // words whose slots are on their way from memory
  size_t met_count_ = 0;
};

void WordCounts::Add(absl::Span<const std::string_view> documents, int threads) {
  const std::vector<TextPart> parts = CutDocuments(documents, pre_tokenizer_.CutsAfterWords());
  OnThreads(threads, parts.size(), [&](auto next_part) {
    Worker worker(*this);
    for (size_t i; next_part(i);) worker.Add(parts[i].text);
  });
}

absl::StatusOr<uint64_t> WordCounts::AddFiles(absl::Span<const std::string> files, int threads) {
  std::atomic<uint64_t> bytes{0};
  const absl::Status read = ForEachText(files, pre_tokenizer_.CutsAfterWords(), threads, [&] {
    return [&, worker = std::make_shared<Worker>(*this)](std::string_view text) {
      worker->Add(text);
      bytes += text.size();
    };
  });
  if (!read.ok()) return read;
  return bytes.load();
}

size_t WordCounts::size() const {
  size_t n = 0;
  for (const Shard &shard : shards_) n += shard.words.size();
  return n;
}

} // namespace weft
