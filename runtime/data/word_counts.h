// How often each word occurs in a text: what a tokenizer is trained on.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/types/span.h"
#include "runtime/data/pretokenize.h"

namespace weft {

class WordCounts {
public:
  // A longer word is counted in pieces of this many bytes, which bounds the work on text without blanks.
  static constexpr size_t kMaxWordBytes = 256;

  explicit WordCounts(PreTokenizer pre_tokenizer = PreTokenizer())
      : pre_tokenizer_(std::move(pre_tokenizer)) {}

  // Counts on up to `threads` threads (0 = one for each processor), which share long documents too. Words are
  // copied: the documents may go. The counts are the same for any number of threads, and for documents in any
  // order.
  void Add(absl::Span<const std::string_view> documents, int threads = 0);

  const PreTokenizer &pre_tokenizer() const { return pre_tokenizer_; }
  size_t size() const; // different words
  // Calls f(word, count) for each word, in no particular order.
  template <typename F> void ForEach(F f) const {
    for (const Shard &shard : shards_)
      for (const auto &[word, count] : shard.counts) f(word, count);
  }

private:
  static constexpr size_t kShards = 64; // by hash, so that threads add up different words
  using Counts = absl::flat_hash_map<std::string_view, int64_t>;
  struct Shard {
    Counts counts; // of words in `blocks`
    std::vector<std::unique_ptr<char[]>> blocks;
    size_t free = 0; // bytes at the end of the last block
    void Add(std::string_view word, int64_t count);
  };
  std::array<Shard, kShards> shards_;
  PreTokenizer pre_tokenizer_;
};

} // namespace weft
