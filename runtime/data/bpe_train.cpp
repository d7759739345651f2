#include "runtime/data/bpe_train.h"

#include <algorithm>
#include <cstdint>
#include <mutex>
#include <queue>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "runtime/data/str_cat.h"
#include "runtime/data/text_parts.h"

namespace weft {
namespace {

using PairKey = uint64_t; // left << 32 | right
PairKey KeyOf(int32_t left, int32_t right) {
  return static_cast<uint64_t>(static_cast<uint32_t>(left)) << 32 | static_cast<uint32_t>(right);
}

// The distinct words of the documents, as token ids that shrink as pairs are merged, and for each pair how
// often it occurs and in which words: a merge then visits only the words that hold the pair. Threads take
// words, note what changes for which pair, and the notes are added up: sums of whole numbers, so their order
// does not matter.
class Counts {
public:
  explicit Counts(int threads) : threads_(threads) {}

  void Add(std::string_view word, int64_t count) {
    words_.push_back({symbols_.size(), static_cast<uint32_t>(word.size()), count});
    for (char c : word) symbols_.push_back(static_cast<uint8_t>(c));
  }

  void CountPairs() {
    InChunks(words_.size(), [&](size_t w, Changes &changes) {
      const int32_t *s = symbols_.data() + words_[w].first;
      for (size_t i = 1; i < words_[w].length; ++i)
        Increase(KeyOf(s[i - 1], s[i]), static_cast<uint32_t>(w), changes);
    });
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
    std::vector<uint32_t> in_words = std::move(pairs_[key].words);
    // A word that got the pair in several rounds stands there several times; two threads may not have it.
    std::sort(in_words.begin(), in_words.end());
    in_words.erase(std::unique(in_words.begin(), in_words.end()), in_words.end());
    InChunks(in_words.size(),
             [&](size_t i, Changes &changes) { MergeInWord(in_words[i], left, right, result, changes); });
    pairs_.erase(key);
  }

private:
  struct Word {
    size_t first; // of symbols_
    uint32_t length;
    int64_t count;
  };
  struct Pair {
    int64_t count = 0;
    std::vector<uint32_t> words; // that hold it, or held it
  };
  struct Change {
    int64_t count = 0;
    std::vector<uint32_t> words; // that got the pair
  };
  using Changes = absl::flat_hash_map<PairKey, Change>;
  struct Candidate {
    int64_t count;
    PairKey key;
    // The heap's top is the greatest: by count, then the smaller left id, then the smaller right id.
    bool operator<(const Candidate &o) const { return count != o.count ? count < o.count : key > o.key; }
  };

  // Calls note(i, changes) for i below `count`, and makes the changes.
  template <typename Note> void InChunks(size_t count, Note note) {
    constexpr size_t kChunk = 1 << 14;
    const size_t chunks = (count + kChunk - 1) / kChunk;
    std::mutex mutex;
    OnThreads(threads_, chunks, [&](auto next_chunk) {
      Changes changes;
      for (size_t c; next_chunk(c);)
        for (size_t i = c * kChunk; i < std::min(count, (c + 1) * kChunk); ++i) note(i, changes);
      std::lock_guard<std::mutex> lock(mutex);
      Make(changes);
    });
  }

  void Make(Changes &changes) {
    for (auto &[key, change] : changes) {
      const auto it = change.words.empty() ? pairs_.find(key) : pairs_.try_emplace(key).first;
      if (it == pairs_.end()) continue;
      Pair &pair = it->second;
      pair.count += change.count;
      if (change.words.empty()) continue;
      if (pair.words.empty())
        pair.words = std::move(change.words);
      else
        pair.words.insert(pair.words.end(), change.words.begin(), change.words.end());
      if (pair.count > 0) heap_.push({pair.count, key});
    }
  }

  void Increase(PairKey key, uint32_t w, Changes &changes) const {
    Change &c = changes[key];
    c.count += words_[w].count;
    if (c.words.empty() || c.words.back() != w) c.words.push_back(w);
  }
  void Decrease(PairKey key, uint32_t w, Changes &changes) const { changes[key].count -= words_[w].count; }

  // a L R b -> a N b: (a, L) and (R, b) go, (a, N) and (N, b) come. Tokens are moved up in place as they are
  // read.
  void MergeInWord(uint32_t w, int32_t left, int32_t right, int32_t result, Changes &changes) {
    Word &word = words_[w];
    int32_t *s = symbols_.data() + word.first;
    uint32_t out = 0;
    for (uint32_t i = 0; i < word.length; ++i, ++out) {
      if (i + 1 == word.length || s[i] != left || s[i + 1] != right) {
        s[out] = s[i];
        continue;
      }
      if (out > 0) {
        Decrease(KeyOf(s[out - 1], left), w, changes);
        Increase(KeyOf(s[out - 1], result), w, changes);
      }
      if (i + 2 < word.length) {
        Decrease(KeyOf(right, s[i + 2]), w, changes);
        Increase(KeyOf(result, s[i + 2]), w, changes);
      }
      s[out] = result;
      ++i;
    }
    word.length = out;
  }

  int threads_;
  std::vector<Word> words_;
  std::vector<int32_t> symbols_;
  absl::flat_hash_map<PairKey, Pair> pairs_;
  std::priority_queue<Candidate> heap_;
};

} // namespace

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

  Counts counts(options.threads);
  words.ForEach([&](std::string_view word, int64_t count) { counts.Add(word, count); });
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
