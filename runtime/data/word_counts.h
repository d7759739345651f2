// How often each word occurs in a text: what a tokenizer is trained on.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "runtime/data/pretokenize.h"
#include "runtime/data/word_table.h"

namespace weft {

class WordCounts {
public:
  // A longer word is counted in pieces of this many bytes, which bounds the work on text without blanks.
  static constexpr size_t kMaxWordBytes = 256;
  static constexpr size_t kShards = 64; // words by hash, so that threads add up different ones

  explicit WordCounts(PreTokenizer pre_tokenizer = PreTokenizer())
      : pre_tokenizer_(std::move(pre_tokenizer)) {}

  // Counts on up to `threads` threads (0 = one for each processor), which share long documents too. Words are
  // copied: the documents may go. The counts are the same for any number of threads, and for documents in any
  // order.
  void Add(absl::Span<const std::string_view> documents, int threads = 0);
  // The same for files, read in parts as ForEachText (corpus.h) does, whose errors these are. Returns the
  // bytes of their text.
  absl::StatusOr<uint64_t> AddFiles(absl::Span<const std::string> files, int threads = 0);

  const PreTokenizer &pre_tokenizer() const { return pre_tokenizer_; }
  size_t size() const; // different words
  // Calls f(word, count) for each word of a shard, in no particular order. The word is valid during the call.
  template <typename F> void ForEach(size_t shard, F f) const {
    shards_[shard].words.ForEach(
        [&](std::string_view word, const WordKey &, int64_t count) { f(word, count); });
  }

private:
  class Worker;
  struct Shard {
    std::mutex mutex;
    WordTable words;
  };
  std::array<Shard, kShards> shards_;
  PreTokenizer pre_tokenizer_;
};

} // namespace weft
