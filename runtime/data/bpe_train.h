// Learns a byte-pair vocabulary from text.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "runtime/data/bpe.h"
#include "runtime/data/word_counts.h"

namespace weft {

struct BpeTrainOptions {
  int vocab_size = 4096; // all tokens: 256 bytes, the special tokens, and one for each merge
  // Get the ids after the bytes', 256 …; the first is what ends a document unless one is named <|endoftext|>.
  std::vector<std::string> special_tokens = {std::string(kEndOfText)};
  Split split = Split::kLlama3;
  int threads = 0;            // 0 = one for each processor
  int64_t min_pair_count = 2; // a rarer pair is not merged, so a small corpus gives a smaller vocabulary
};

// Ids: 0–255 the bytes by value, then the special tokens, then the merges in the order they were learnt. In
// each round the pair of neighbouring tokens that occurs most often within words becomes a token; of equally
// frequent pairs the one whose left id is smaller, then whose right id is smaller. The result depends on
// nothing but the documents' words and their counts: not on the order of documents, nor on a hash, nor on the
// number of threads.
//
// InvalidArgument: a vocabulary smaller than the bytes and special tokens, or no text at all.
// ResourceExhausted: more different words than can be held (PairCounts::Fits).
absl::StatusOr<Tokenizer> TrainBpe(absl::Span<const std::string_view> documents,
                                   const BpeTrainOptions &options);
absl::StatusOr<Tokenizer> TrainBpe(absl::Span<const std::string_view> documents, int vocab_size);
// The same from words counted already; the split is theirs.
absl::StatusOr<Tokenizer> TrainBpe(const WordCounts &words, const BpeTrainOptions &options);

} // namespace weft
