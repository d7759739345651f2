// What is done at random to the text of a training set as it becomes tokens. All of it is decided by a seed,
// a document's number and a place in it, so the same corpus gives the same tokens, with any number of
// threads.
//
// Fill in the middle: a document is cut at two places and put in the order prefix, suffix, middle,
//     <|fim_begin|> prefix <|fim_hole|> suffix <|fim_end|> middle <|endoftext|>
// as DeepSeek-V3 was trained (arXiv:2412.19437, 4.1), so that a model learns to write what is missing between
// two texts.
//
// Split tokens: one that joins punctuation and line breaks (".\n\n") is now and then given as its two parts
// (".", "\n\n"), so that a prompt which ends between them is nothing new (4.1 there, after arXiv:2305.10425).
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "runtime/data/bpe.h"

namespace weft {

struct AugmentOptions {
  double fim = 0;          // part of the documents that are filled in the middle, 0 to 1
  double split_tokens = 0; // part of the tokens that join punctuation and line breaks that are split
  uint64_t seed = 1;
  bool Any() const { return fim > 0 || split_tokens > 0; }
};

// The special tokens of fill in the middle that a tokenizer trained for it gets.
inline constexpr std::string_view kFimTokens[] = {"<|fim_begin|>", "<|fim_hole|>", "<|fim_end|>"};

class Augmenter {
public:
  // Longer documents are cut at lines into parts of about so many bytes, each of which may be filled in the
  // middle: the parts of one are nearer to each other than a row is long.
  static constexpr size_t kFimPart = 16384;

  // FailedPrecondition when a document is to be filled in the middle and the tokenizer has no tokens for it:
  // ours, or what DeepSeek, Qwen or StarCoder call them. InvalidArgument for a rate outside [0, 1].
  static absl::StatusOr<Augmenter> Make(Tokenizer tokenizer, const AugmentOptions &options);

  // What documents are made of the texts, in their order: as many or, where parts of them are filled in the
  // middle, more. `first` is the number of the first of them in the whole corpus. Ids without what the
  // template puts around them.
  std::vector<std::vector<int32_t>> Encode(absl::Span<const std::string_view> texts, int64_t first,
                                           int threads) const;

private:
  Augmenter(Tokenizer tokenizer, const AugmentOptions &options)
      : tokenizer_(std::move(tokenizer)), options_(options) {}
  std::vector<int32_t> WithSplitTokens(std::vector<int32_t> ids, int64_t document) const;

  Tokenizer tokenizer_;
  AugmentOptions options_;
  int32_t begin_ = -1, hole_ = -1, end_ = -1;
  // By id: what a token that joins punctuation and line breaks is split into. Only with split_tokens.
  std::vector<std::vector<int32_t>> parts_;
};

} // namespace weft
