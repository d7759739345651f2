#include "runtime/data/bpe_train.h"

#include <algorithm>
#include <cstdint>
#include <queue>
#include <tuple>

#include "absl/container/flat_hash_map.h"
#include "runtime/data/str_cat.h"

namespace weft {
namespace {

constexpr size_t kMaxWordBytes = 256;

using PairKey = uint64_t; // left << 32 | right
PairKey KeyOf(int32_t left, int32_t right) {
  return static_cast<uint64_t>(static_cast<uint32_t>(left)) << 32 | static_cast<uint32_t>(right);
}

// The distinct words of the documents, as token ids that shrink as pairs are merged, and for each pair how
// often it occurs and in which words: a merge then visits only the words that hold the pair.
class Counts {
public:
  void Add(std::string_view word, int64_t count) {
    words_.push_back({symbols_.size(), word.size(), count});
    for (char c : word) symbols_.push_back(static_cast<uint8_t>(c));
  }

  void CountPairs() {
    for (uint32_t w = 0; w < words_.size(); ++w)
      for (size_t i = 1; i < words_[w].length; ++i)
        Increase(KeyOf(symbols_[words_[w].first + i - 1], symbols_[words_[w].first + i]), w);
    for (const auto &[key, pair] : pairs_) heap_.push({pair.count, key});
  }

  // The most frequent pair, or false when none occurs `min_count` times. A pair's count only falls after the
  // round that made it, so an entry of the heap is at worst too high: it is put back with its count of now.
  bool Best(int64_t min_count, PairKey &key) {
    while (!heap_.empty()) {
      const Candidate top = heap_.top();
      heap_.pop();
      const auto it = pairs_.find(top.key);
      if (it == pairs_.end() || it->second.count < min_count) continue;
      if (it->second.count == top.count) {
        key = top.key;
        return true;
      }
      heap_.push({it->second.count, top.key});
    }
    return false;
  }

  void Merge(PairKey key, int32_t result) {
    const auto left = static_cast<int32_t>(key >> 32), right = static_cast<int32_t>(key & 0xffffffff);
    const std::vector<uint32_t> in_words = std::move(pairs_[key].words);
    made_.clear();
    for (uint32_t w : in_words) MergeInWord(w, left, right, result);
    pairs_.erase(key);
    std::sort(made_.begin(), made_.end());
    made_.erase(std::unique(made_.begin(), made_.end()), made_.end());
    for (PairKey k : made_)
      if (const auto it = pairs_.find(k); it != pairs_.end() && it->second.count > 0)
        heap_.push({it->second.count, k});
  }

private:
  struct Word {
    size_t first, length; // of symbols_
    int64_t count;
  };
  struct Pair {
    int64_t count = 0;
    std::vector<uint32_t> words; // that hold it, or held it
  };
  struct Candidate {
    int64_t count;
    PairKey key;
    // The heap's top is the greatest: by count, then the smaller left id, then the smaller right id.
    bool operator<(const Candidate &o) const { return count != o.count ? count < o.count : key > o.key; }
  };

  void Increase(PairKey key, uint32_t w) {
    Pair &p = pairs_[key];
    p.count += words_[w].count;
    if (p.words.empty() || p.words.back() != w) p.words.push_back(w);
  }
  void Decrease(PairKey key, uint32_t w) {
    if (const auto it = pairs_.find(key); it != pairs_.end()) it->second.count -= words_[w].count;
  }

  // a L R b -> a N b: (a, L) and (R, b) go, (a, N) and (N, b) come. Tokens are moved up in place as they are
  // read.
  void MergeInWord(uint32_t w, int32_t left, int32_t right, int32_t result) {
    Word &word = words_[w];
    int32_t *s = symbols_.data() + word.first;
    size_t out = 0;
    for (size_t i = 0; i < word.length; ++i, ++out) {
      if (i + 1 == word.length || s[i] != left || s[i + 1] != right) {
        s[out] = s[i];
        continue;
      }
      if (out > 0) {
        Decrease(KeyOf(s[out - 1], left), w);
        Increase(KeyOf(s[out - 1], result), w);
        made_.push_back(KeyOf(s[out - 1], result));
      }
      if (i + 2 < word.length) {
        Decrease(KeyOf(right, s[i + 2]), w);
        Increase(KeyOf(result, s[i + 2]), w);
        made_.push_back(KeyOf(result, s[i + 2]));
      }
      s[out] = result;
      ++i;
    }
    word.length = out;
  }

  std::vector<Word> words_;
  std::vector<int32_t> symbols_;
  absl::flat_hash_map<PairKey, Pair> pairs_;
  std::priority_queue<Candidate> heap_;
  std::vector<PairKey> made_; // pairs that the merge under way has made
};

} // namespace

absl::StatusOr<Tokenizer> TrainBpe(absl::Span<const std::string_view> documents,
                                   const BpeTrainOptions &options) {
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
  absl::flat_hash_map<std::string_view, int64_t> words;
  for (std::string_view text : documents)
    for (size_t at = 0; at < text.size();) {
      const size_t end = WordEnd(parts.split, text, at);
      for (; at < end; at += std::min(kMaxWordBytes, end - at))
        ++words[text.substr(at, std::min(kMaxWordBytes, end - at))];
    }
  if (words.empty())
    return absl::InvalidArgumentError("there is no text to train a tokenizer on: the corpus is empty");

  for (int b = 0; b < 256; ++b) parts.tokens.emplace_back(1, static_cast<char>(b));
  for (const std::string &text : options.special_tokens) {
    parts.specials.push_back({text, static_cast<int32_t>(parts.tokens.size())});
    parts.tokens.push_back(text);
  }

  // Two pairs may spell the same bytes ("a" "bc" and "ab" "c"): they become the same token. What would spell
  // a special token is left unmerged.
  absl::flat_hash_map<std::string, int32_t> ids;
  for (size_t id = 0; id < parts.tokens.size(); ++id)
    ids.emplace(parts.tokens[id], id < 256 ? static_cast<int32_t>(id) : -1);

  Counts counts;
  for (const auto &[word, count] : words) counts.Add(word, count);
  counts.CountPairs();
  PairKey key;
  while (static_cast<int64_t>(parts.tokens.size()) < options.vocab_size &&
         counts.Best(std::max<int64_t>(1, options.min_pair_count), key)) {
    const auto left = static_cast<int32_t>(key >> 32), right = static_cast<int32_t>(key & 0xffffffff);
    const auto [it, is_new] =
        ids.emplace(parts.tokens[left] + parts.tokens[right], static_cast<int32_t>(parts.tokens.size()));
    if (it->second < 0) continue;
    if (is_new) parts.tokens.push_back(it->first);
    parts.merges.push_back({left, right, it->second});
    counts.Merge(key, it->second);
  }
  return Tokenizer::Make(std::move(parts));
}

absl::StatusOr<Tokenizer> TrainBpe(absl::Span<const std::string_view> documents, int vocab_size) {
  BpeTrainOptions options;
  options.vocab_size = vocab_size;
  return TrainBpe(documents, options);
}

} // namespace weft
