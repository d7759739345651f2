#include "runtime/data/bpe.h"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <limits>
#include <queue>
#include <thread>
#include <tuple>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_format.h"
#include "runtime/data/str_cat.h"
#include "runtime/data/unicode.h"

namespace weft {
namespace {

constexpr int32_t kNoRank = std::numeric_limits<int32_t>::max();

// (left, right) -> (rank, result): open addressing, at most half full, one cache line a look-up as a rule.
class MergeTable {
public:
  struct Entry {
    uint64_t key;
    int32_t rank, result;
  };

  void Reserve(size_t merges) {
    size_t capacity = 16;
    while (capacity < 2 * merges) capacity *= 2;
    entries_.assign(capacity, {kEmpty, kNoRank, -1});
    shift_ = 64 - __builtin_ctzll(capacity);
  }
  bool Insert(int32_t left, int32_t right, int32_t rank, int32_t result) {
    Entry &e = entries_[Slot(Key(left, right))];
    if (e.key != kEmpty) return false;
    e = {Key(left, right), rank, result};
    return true;
  }
  // An entry whose rank is kNoRank where the pair does not merge.
  const Entry &Find(int32_t left, int32_t right) const { return entries_[Slot(Key(left, right))]; }

private:
  static constexpr uint64_t kEmpty = ~uint64_t{0}; // no pair: ids are not negative
  static uint64_t Key(int32_t left, int32_t right) {
    return static_cast<uint64_t>(static_cast<uint32_t>(left)) << 32 | static_cast<uint32_t>(right);
  }
  size_t Slot(uint64_t key) const {
    size_t i = (key * 0x9e3779b97f4a7c15ull) >> shift_;
    while (entries_[i].key != key && entries_[i].key != kEmpty) i = (i + 1) & (entries_.size() - 1);
    return i;
  }
  std::vector<Entry> entries_;
  int shift_ = 60;
};

} // namespace

struct Tokenizer::State {
  TokenizerParts parts;
  std::vector<int32_t> special_order;  // indices of specials, longest text first
  std::vector<bool> is_special;        // by id
  std::vector<std::string_view> bytes; // by id, into parts.tokens: a view is half a string
  int32_t byte_ids[256];
  int32_t end_of_text = -1;
  MergeTable table;
  absl::flat_hash_map<std::string_view, int32_t> whole_words; // only with ignore_merges
  uint64_t hash = 0;
};

// Words already encoded, so that a word of a document is merged once. Keys are views of the text being
// encoded, which must outlive the cache.
class Tokenizer::WordCache {
public:
  // Appends the ids of `word` and returns true, or returns false.
  bool Lookup(std::string_view word, uint64_t hash, std::vector<int32_t> &out) const {
    if (slots_.empty()) return false;
    for (size_t i = hash & (slots_.size() - 1);; i = (i + 1) & (slots_.size() - 1)) {
      const Slot &s = slots_[i];
      if (!s.word) return false;
      if (s.hash == hash && s.length == word.size() && std::memcmp(s.word, word.data(), word.size()) == 0) {
        out.insert(out.end(), ids_.begin() + s.first, ids_.begin() + s.first + s.count);
        return true;
      }
    }
  }

  void Insert(std::string_view word, uint64_t hash, const int32_t *ids, size_t count) {
    if (used_ >= kMaxWords) return; // bounds memory on text without repetition
    if (2 * (used_ + 1) > slots_.size()) Grow();
    Place({word.data(), hash, static_cast<uint32_t>(word.size()), static_cast<uint32_t>(ids_.size()),
           static_cast<uint32_t>(count)});
    ids_.insert(ids_.end(), ids, ids + count);
    ++used_;
  }

  static constexpr size_t kMaxWordBytes = 64; // a longer word hardly comes twice

private:
  static constexpr size_t kMaxWords = 1 << 20;
  struct Slot {
    const char *word = nullptr;
    uint64_t hash = 0;
    uint32_t length = 0, first = 0, count = 0;
  };
  void Place(const Slot &slot) {
    size_t i = slot.hash & (slots_.size() - 1);
    while (slots_[i].word) i = (i + 1) & (slots_.size() - 1);
    slots_[i] = slot;
  }
  void Grow() {
    std::vector<Slot> old(slots_.empty() ? 64 : 2 * slots_.size());
    old.swap(slots_);
    for (const Slot &s : old)
      if (s.word) Place(s);
  }
  std::vector<Slot> slots_;
  std::vector<int32_t> ids_;
  size_t used_ = 0;
};

namespace {

// Merges `ids` in place for a short word: the lowest rank is searched anew each time. Returns the number
// left.
size_t MergeShort(const MergeTable &table, int32_t *ids, size_t count) {
  constexpr size_t kMax = Tokenizer::kShortWord;
  int32_t ranks[kMax]; // ranks[i]: of the pair (ids[i], ids[i + 1])
  for (size_t i = 0; i + 1 < count; ++i) ranks[i] = table.Find(ids[i], ids[i + 1]).rank;
  while (count > 1) {
    size_t best = 0;
    for (size_t i = 1; i + 1 < count; ++i)
      if (ranks[i] < ranks[best]) best = i;
    if (ranks[best] == kNoRank) break;
    ids[best] = table.Find(ids[best], ids[best + 1]).result;
    for (size_t i = best + 1; i + 1 < count; ++i) {
      ids[i] = ids[i + 1];
      ranks[i - 1] = ranks[i];
    }
    --count;
    // The shift moved the rank of (best + 1, best + 2) to `best`; both neighbours of the new token are looked
    // up.
    if (best + 1 < count) ranks[best] = table.Find(ids[best], ids[best + 1]).rank;
    if (best > 0) ranks[best - 1] = table.Find(ids[best - 1], ids[best]).rank;
  }
  return count;
}

// The same for any length in n log n: a linked list of tokens and a heap of pairs, leftmost first among
// equals.
size_t MergeLong(const MergeTable &table, std::vector<int32_t> &ids) {
  const int64_t n = static_cast<int64_t>(ids.size());
  std::vector<int64_t> previous(n), next(n);
  struct Pair {
    int32_t rank;
    int64_t at;
    int32_t left, right; // as they were: the pair is stale when its tokens have changed
    bool operator>(const Pair &o) const { return std::tie(rank, at) > std::tie(o.rank, o.at); }
  };
  std::priority_queue<Pair, std::vector<Pair>, std::greater<>> heap;
  auto push = [&](int64_t i) {
    if (i < 0 || next[i] >= n) return;
    const int32_t rank = table.Find(ids[i], ids[next[i]]).rank;
    if (rank != kNoRank) heap.push({rank, i, ids[i], ids[next[i]]});
  };
  for (int64_t i = 0; i < n; ++i) previous[i] = i - 1, next[i] = i + 1;
  for (int64_t i = 0; i < n; ++i) push(i);
  while (!heap.empty()) {
    const Pair p = heap.top();
    heap.pop();
    const int64_t right = next[p.at];
    if (ids[p.at] != p.left || right >= n || ids[right] != p.right) continue;
    ids[p.at] = table.Find(p.left, p.right).result;
    ids[right] = -1; // gone
    next[p.at] = next[right];
    if (next[right] < n) previous[next[right]] = p.at;
    push(previous[p.at]);
    push(p.at);
  }
  ids.erase(std::remove(ids.begin(), ids.end(), -1), ids.end());
  return ids.size();
}

} // namespace

absl::StatusOr<Tokenizer> Tokenizer::Make(TokenizerParts parts) {
  auto state = std::make_shared<State>();
  const int64_t vocab = static_cast<int64_t>(parts.tokens.size());
  if (vocab > kMaxVocab)
    return absl::InvalidArgumentError(
        StrCat("the vocabulary has ", vocab, " tokens when at most ", kMaxVocab, " are read"));
  auto known = [&](int32_t id) { return id >= 0 && id < vocab; };

  state->is_special.assign(vocab, false);
  for (const TokenizerParts::Special &s : parts.specials) {
    if (!known(s.id))
      return absl::InvalidArgumentError(
          StrCat("special token \"", s.text, "\" has id ", s.id, " outside [0, ", vocab, ")"));
    if (s.text.empty()) return absl::InvalidArgumentError(StrCat("special token ", s.id, " has no text"));
    if (state->is_special[s.id])
      return absl::InvalidArgumentError(StrCat("two special tokens have id ", s.id));
    state->is_special[s.id] = true;
    if (parts.tokens[s.id] != s.text)
      return absl::InvalidArgumentError(
          StrCat("special token \"", s.text, "\" has id ", s.id, ", which is another token's"));
  }

  std::fill(std::begin(state->byte_ids), std::end(state->byte_ids), -1);
  for (int64_t id = 0; id < vocab; ++id) {
    const std::string &bytes = parts.tokens[id];
    if (bytes.empty()) return absl::InvalidArgumentError(StrCat("token ", id, " is empty"));
    if (bytes.size() == 1 && !state->is_special[id]) {
      int32_t &byte_id = state->byte_ids[static_cast<uint8_t>(bytes[0])];
      if (byte_id >= 0)
        return absl::InvalidArgumentError(StrCat("tokens ", byte_id, " and ", id, " are the same byte"));
      byte_id = static_cast<int32_t>(id);
    }
  }
  for (int b = 0; b < 256; ++b)
    if (state->byte_ids[b] < 0)
      return absl::InvalidArgumentError(
          absl::StrFormat("byte 0x%02x has no token, so text that holds it could not be encoded", b));

  state->table.Reserve(parts.merges.size());
  for (size_t rank = 0; rank < parts.merges.size(); ++rank) {
    const TokenizerParts::Merge &m = parts.merges[rank];
    if (!known(m.left) || !known(m.right) || !known(m.result))
      return absl::InvalidArgumentError(StrCat("merge ", rank, " names token ",
                                               !known(m.left)    ? m.left
                                               : !known(m.right) ? m.right
                                                                 : m.result,
                                               " outside [0, ", vocab, ")"));
    if (parts.tokens[m.result] != parts.tokens[m.left] + parts.tokens[m.right])
      return absl::InvalidArgumentError(StrCat("merge ", rank, " of tokens ", m.left, " and ", m.right,
                                               " gives token ", m.result, ", which is not their bytes"));
    if (!state->table.Insert(m.left, m.right, static_cast<int32_t>(rank), m.result))
      return absl::InvalidArgumentError(
          StrCat("merge ", rank, " of tokens ", m.left, " and ", m.right, " is listed before"));
  }
  for (const auto *ids : {&parts.prefix, &parts.suffix})
    for (int32_t id : *ids)
      if (!known(id))
        return absl::InvalidArgumentError(
            StrCat("the template names token ", id, " outside [0, ", vocab, ")"));

  state->parts = std::move(parts);
  const TokenizerParts &p = state->parts;
  state->bytes.assign(p.tokens.begin(), p.tokens.end());
  for (std::string_view name :
       {kEndOfText, std::string_view("<|end_of_text|>"), std::string_view("</s>"), std::string_view("<eos>")})
    for (const TokenizerParts::Special &s : p.specials)
      if (state->end_of_text < 0 && s.text == name) state->end_of_text = s.id;
  for (size_t i = 0; i < p.specials.size(); ++i) state->special_order.push_back(static_cast<int32_t>(i));
  std::stable_sort(state->special_order.begin(), state->special_order.end(), [&](int32_t a, int32_t b) {
    return p.specials[a].text.size() > p.specials[b].text.size();
  });
  if (p.ignore_merges)
    for (int64_t id = 0; id < vocab; ++id)
      if (!state->is_special[id]) state->whole_words.emplace(state->bytes[id], static_cast<int32_t>(id));

  std::string all = StrCat("weft-bpe-1 ", SplitRegex(p.split), " ", p.ignore_merges ? 1 : 0);
  for (const std::string &t : p.tokens) all += StrCat("\n", t.size(), " ", t);
  for (const auto &m : p.merges) all += StrCat("\nm ", m.left, " ", m.right);
  for (const auto &s : p.specials) all += StrCat("\ns ", s.id);
  state->hash = XXH3_64bits(all.data(), all.size());
  return Tokenizer(std::move(state));
}

void Tokenizer::EncodeText(std::string_view text, WordCache &cache, std::vector<int32_t> &out) const {
  const State &s = *state_;
  int32_t short_ids[kShortWord];
  for (size_t at = 0; at < text.size();) {
    const size_t end = WordEnd(s.parts.split, text, at);
    const std::string_view word = text.substr(at, end - at);
    at = end;
    const bool cached = word.size() <= WordCache::kMaxWordBytes;
    const uint64_t hash = cached ? XXH3_64bits(word.data(), word.size()) : 0;
    if (cached && cache.Lookup(word, hash, out)) continue;
    const size_t first = out.size();
    const auto whole = s.parts.ignore_merges ? s.whole_words.find(word) : s.whole_words.end();
    if (whole != s.whole_words.end()) {
      out.push_back(whole->second);
    } else if (word.size() <= kShortWord) {
      for (size_t i = 0; i < word.size(); ++i) short_ids[i] = s.byte_ids[static_cast<uint8_t>(word[i])];
      const size_t count = MergeShort(s.table, short_ids, word.size());
      out.insert(out.end(), short_ids, short_ids + count);
    } else {
      std::vector<int32_t> ids(word.size());
      for (size_t i = 0; i < word.size(); ++i) ids[i] = s.byte_ids[static_cast<uint8_t>(word[i])];
      MergeLong(s.table, ids);
      out.insert(out.end(), ids.begin(), ids.end());
    }
    if (cached) cache.Insert(word, hash, out.data() + first, out.size() - first);
  }
}

std::vector<int32_t> Tokenizer::Encode(std::string_view text) const {
  std::vector<int32_t> out;
  out.reserve(text.size() / 3 + 1);
  WordCache cache;
  EncodeText(text, cache, out);
  return out;
}

std::vector<int32_t> Tokenizer::EncodeWithSpecials(std::string_view text) const {
  const auto &specials = state_->parts.specials;
  std::vector<int32_t> out;
  WordCache cache;
  size_t plain = 0; // the start of the text not yet encoded
  for (size_t at = 0; at < text.size();) {
    const TokenizerParts::Special *found = nullptr; // the leftmost, and of these the longest
    for (int32_t i : state_->special_order)
      if (text.substr(at, specials[i].text.size()) == specials[i].text) {
        found = &specials[i];
        break;
      }
    if (!found) {
      ++at;
      continue;
    }
    EncodeText(text.substr(plain, at - plain), cache, out);
    out.push_back(found->id);
    plain = at += found->text.size();
  }
  EncodeText(text.substr(plain), cache, out);
  return out;
}

std::vector<std::vector<int32_t>> Tokenizer::EncodeAll(absl::Span<const std::string_view> documents,
                                                       int threads) const {
  std::vector<std::vector<int32_t>> out(documents.size());
  const size_t processors = std::max(1u, std::thread::hardware_concurrency());
  const size_t workers = std::min(threads > 0 ? static_cast<size_t>(threads) : processors, documents.size());
  std::atomic<size_t> next{0};
  auto work = [&] {
    WordCache cache; // one a thread: a corpus shares most of its words
    for (size_t i; (i = next.fetch_add(1)) < documents.size();) {
      out[i].reserve(documents[i].size() / 3 + 1);
      EncodeText(documents[i], cache, out[i]);
    }
  };
  std::vector<std::thread> pool;
  for (size_t t = 1; t < workers; ++t) pool.emplace_back(work);
  work();
  for (std::thread &t : pool) t.join();
  return out;
}

std::string Tokenizer::Decode(absl::Span<const int32_t> ids, bool skip_specials) const {
  std::string out;
  for (int32_t id : ids) {
    if (id < 0 || id >= vocab_size())
      AppendUtf8(0xfffd, out);
    else if (!skip_specials || !state_->is_special[id])
      out += state_->bytes[id];
  }
  return out;
}

std::string_view Tokenizer::TokenBytes(int32_t id) const {
  return id >= 0 && id < vocab_size() ? state_->bytes[id] : std::string_view();
}

int Tokenizer::vocab_size() const { return static_cast<int>(state_->bytes.size()); }
int Tokenizer::end_of_text() const { return state_->end_of_text; }
bool Tokenizer::IsSpecial(int32_t id) const { return id >= 0 && id < vocab_size() && state_->is_special[id]; }
int32_t Tokenizer::SpecialId(std::string_view text) const {
  for (const auto &s : state_->parts.specials)
    if (s.text == text) return s.id;
  return -1;
}
Split Tokenizer::split() const { return state_->parts.split; }
bool Tokenizer::ignore_merges() const { return state_->parts.ignore_merges; }
absl::Span<const TokenizerParts::Special> Tokenizer::specials() const { return state_->parts.specials; }
absl::Span<const TokenizerParts::Merge> Tokenizer::merges() const { return state_->parts.merges; }
absl::Span<const int32_t> Tokenizer::prefix() const { return state_->parts.prefix; }
absl::Span<const int32_t> Tokenizer::suffix() const { return state_->parts.suffix; }
uint64_t Tokenizer::hash() const { return state_->hash; }

} // namespace weft
