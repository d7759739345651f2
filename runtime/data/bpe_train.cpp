#include "runtime/data/bpe_train.h"

#include <algorithm>
#include <cstdint>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "runtime/data/pair_counts.h"
#include "runtime/data/str_cat.h"

namespace weft {
absl::StatusOr<Tokenizer> TrainBpe(const WordCounts &words, const BpeTrainOptions &options) {
  const int64_t fixed = 256 + static_cast<int64_t>(options.special_tokens.size());
  if (options.vocab_size < fixed)
    return absl::InvalidArgumentError(StrCat("a vocabulary of ", options.vocab_size,
                                             " is too small: 256 bytes and ", options.special_tokens.size(),
                                             " special tokens need ", fixed));
  if (options.vocab_size > Tokenizer::kMaxVocab)
    return absl::InvalidArgumentError(StrCat("a vocabulary of ", options.vocab_size,
                                             " is too large: at most ", Tokenizer::kMaxVocab,
                                             " tokens are possible"));

  TokenizerParts parts;
  parts.pre_tokenizer = words.pre_tokenizer();
  if (words.size() == 0)
    return absl::InvalidArgumentError("there is no text to train a tokenizer on: the corpus is empty");
  if (!PairCounts::Fits(words))
    return absl::ResourceExhaustedError(StrCat(
        "the corpus has ", words.size(),
        " different words, more than a tokenizer can be trained on; train it on a part of the corpus"));

  for (int b = 0; b < 256; ++b) parts.tokens.emplace_back(1, static_cast<char>(b));
  for (const std::string &text : options.special_tokens) {
    parts.added.push_back({text, static_cast<int32_t>(parts.tokens.size())});
    parts.tokens.push_back(text);
  }

  // Two pairs may spell the same bytes ("a" "bc" and "ab" "c"): they become the same token. What would spell
  // a special token is left unmerged.
  absl::flat_hash_map<std::string, int32_t> ids;
  for (size_t id = 0; id < parts.tokens.size(); ++id)
    ids.emplace(parts.tokens[id], id < 256 ? static_cast<int32_t>(id) : -1);

  PairCounts counts(words, std::max<int64_t>(1, options.min_pair_count), options.threads);
  int32_t left, right;
  while (static_cast<int64_t>(parts.tokens.size()) < options.vocab_size && counts.Best(left, right)) {
    const auto [it, is_new] =
        ids.emplace(parts.tokens[left] + parts.tokens[right], static_cast<int32_t>(parts.tokens.size()));
    if (it->second < 0) continue;
    if (is_new) parts.tokens.push_back(it->first);
    parts.merges.push_back({left, right, it->second});
    counts.Merge(left, right, it->second);
  }
  return Tokenizer::Make(std::move(parts));
}

absl::StatusOr<Tokenizer> TrainBpe(absl::Span<const std::string_view> documents,
                                   const BpeTrainOptions &options) {
  WordCounts words{PreTokenizer(options.split)};
  words.Add(documents, options.threads);
  return TrainBpe(words, options);
}

absl::StatusOr<Tokenizer> TrainBpe(absl::Span<const std::string_view> documents, int vocab_size) {
  BpeTrainOptions options;
  options.vocab_size = vocab_size;
  return TrainBpe(documents, options);
}

} // namespace weft
