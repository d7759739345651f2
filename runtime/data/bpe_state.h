// What a Tokenizer is inside: for bpe.cpp, which makes it, and bpe_encode.cpp.
#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "runtime/data/bpe.h"
#include "runtime/data/bpe_merge.h"
#include "runtime/data/word_cache.h"

namespace weft {

// What a thread that encodes needs for itself. Kept from call to call, so that a short text finds the words
// of those before it.
struct Tokenizer::Scratch {
  static constexpr size_t kWords = 256; // at a time
  WordCache cache;
  std::string normal; // the normal form of a piece
  // Of some words of up to kShortWord bytes; 4 more, for Lookup writes whole slots.
  std::vector<int32_t> ids = std::vector<int32_t>(kWords * kShortWord + 4);
};

struct Tokenizer::State {
  TokenizerParts parts;
  std::vector<bool> is_added, is_special; // by id
  std::vector<std::string_view> bytes;    // by id, into parts.tokens: a view is half a string
  std::vector<std::string> raw_texts, normal_texts;
  AddedTokenMatcher raw_matcher, normal_matcher; // in the text as it is, and in the normalised text
  int32_t byte_ids[256];
  int32_t end_of_text = -1;
  MergeTable table;
  absl::flat_hash_map<std::string_view, int32_t> whole_words; // only with ignore_merges
  uint64_t hash = 0;

  mutable std::mutex mutex;
  mutable std::vector<std::unique_ptr<Scratch>> scratch; // that no thread uses now

  absl::Status PlaceAdded(const TokenizerParts &p);
  void Finish(); // what follows from `parts`, which are valid

  bool FindsAdded(bool with_specials) const {
    return with_specials ? !raw_matcher.empty() || !normal_matcher.empty()
                         : raw_matcher.has_plain() || normal_matcher.has_plain();
  }
  void EncodeDocument(std::string_view text, bool with_specials, Scratch &scratch,
                      std::vector<int32_t> &out) const;

private:
  void EncodeNormal(std::string_view text, bool with_specials, Scratch &scratch,
                    std::vector<int32_t> &out) const;
  void EncodeWords(std::string_view text, Scratch &scratch, std::vector<int32_t> &out) const;
  size_t EncodeWord(std::string_view word, int32_t *ids) const; // of at most kShortWord bytes
};

} // namespace weft
