#include "runtime/data/bpe_merge.h"

#include <algorithm>
#include <bit>
#include <cstddef>
#include <utility>

#include "absl/types/span.h"

namespace weft {

size_t MergeShort(const MergeTable &table, int32_t *ids, size_t count) {
  int32_t ranks[kShortWord]; // ranks[i]: of the pair (ids[i], ids[i + 1])
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

namespace {

// The encoding of a piece of a word. Pairs lie in a tree of minima: leaf i holds the pair of the token that
// starts at byte i and the next one, each inner node the least of its two children, so the root holds the
// pair that is merged next. A pair is one number, rank and place, which brings the leftmost first among
// equals.
class MergeWindow {
public:
  size_t bytes() const { return bytes_; }
  absl::Span<const int32_t> ids() const { return ids_; }
  size_t start(size_t token) const { return starts_[token]; }

  // The last token that starts at or before `at`.
  size_t TokenAt(size_t at) const {
    return static_cast<size_t>(std::upper_bound(starts_.begin(), starts_.end(), at) - starts_.begin()) - 1;
  }

  void Merge(const MergeTable &table, const int32_t *byte_ids, std::string_view text) { // not empty
    bytes_ = text.size();
    leaves_ = std::bit_ceil(bytes_);
    tree_.assign(2 * leaves_, kNone);
    tokens_.resize(bytes_);
    for (size_t i = 0; i < bytes_; ++i)
      tokens_[i] = {byte_ids[static_cast<uint8_t>(text[i])], -1, i - 1, i + 1};
    for (size_t i = 0; i + 1 < bytes_; ++i) tree_[leaves_ + i] = Pair(table, i, i + 1);
    for (size_t i = leaves_; --i > 0;) tree_[i] = std::min(tree_[2 * i], tree_[2 * i + 1]);
    while (tree_[1] != kNone) {
      const size_t at = tree_[1] & ((uint64_t{1} << kPlaceBits) - 1);
      Token &token = tokens_[at];
      const size_t right = token.next;
      token.id = token.merged;
      token.next = tokens_[right].next;
      uint64_t pair = kNone;
      if (token.next < bytes_) {
        tokens_[token.next].previous = at;
        pair = Pair(table, at, token.next);
      }
      if (at > 0) Set(token.previous, Pair(table, token.previous, at));
      Set(right, kNone);
      Set(at, pair);
    }
    ids_.clear(), starts_.clear();
    for (size_t i = 0; i < bytes_; i = tokens_[i].next) ids_.push_back(tokens_[i].id), starts_.push_back(i);
  }

private:
  static constexpr int kPlaceBits = 40; // a rank has the other 24
  static_assert(kMaxMerges <= size_t{1} << (64 - kPlaceBits));
  static constexpr uint64_t kNone = ~uint64_t{0};
  struct Token {
    int32_t id, merged; // what it becomes with the next one, where its leaf is not kNone
    size_t previous, next;
  };

  uint64_t Pair(const MergeTable &table, size_t at, size_t next) {
    const MergeTable::Entry &e = table.Find(tokens_[at].id, tokens_[next].id);
    tokens_[at].merged = e.result;
    return e.rank == kNoRank ? kNone : static_cast<uint64_t>(e.rank) << kPlaceBits | at;
  }
  void Set(size_t place, uint64_t pair) {
    size_t i = leaves_ + place;
    for (tree_[i] = pair; i > 1; tree_[i] = pair) {
      pair = std::min(pair, tree_[i ^ 1]);
      i /= 2;
    }
  }

  size_t bytes_ = 0, leaves_ = 0;
  std::vector<uint64_t> tree_;
  std::vector<Token> tokens_; // by the byte at which they start
  std::vector<int32_t> ids_;  // of the tokens that are left
  std::vector<size_t> starts_;
};

} // namespace

// Each window but the first starts where a token of the one before starts, some way before its end. If its
// first token is that token the two are joined there, else the window before is taken longer; and if it has
// another first token then, all windows were too short. That is exact, whatever the merges are:
// 1. As long as nothing is merged across a place, each side does what it does alone, for the pair that comes
//    first of all comes first on its side. So any run of an encoding's tokens, alone, is encoded as itself.
// 2. Tokens are an encoding if each two neighbours, alone, are encoded as themselves: before the first merge
//    across the border of two of them these two did what they do alone, and alone would make that merge next.
// Each two neighbours among the joined tokens are neighbours in one of the windows.
void MergeLong(const MergeTable &table, const int32_t *byte_ids, std::string_view word,
               std::vector<int32_t> &out, size_t window) {
  if (word.empty()) return;
  MergeWindow here, ahead;
  const size_t before = out.size();
  size_t begin = 0, size = window;
  here.Merge(table, byte_ids, word.substr(0, size));
  while (begin + here.bytes() < word.size()) {
    const size_t token = here.TokenAt(here.bytes() - 1 - here.bytes() / 8), at = here.start(token);
    if (at > here.bytes() / 4) { // which bounds how often a byte is merged
      ahead.Merge(table, byte_ids, word.substr(begin + at, size));
      if (ahead.ids()[0] == here.ids()[token]) {
        out.insert(out.end(), here.ids().begin(), here.ids().begin() + static_cast<std::ptrdiff_t>(token));
        begin += at;
        std::swap(here, ahead);
        size = std::max(window, size / 2);
        continue;
      }
    }
    const int32_t first = here.ids()[0];
    size *= 2;
    here.Merge(table, byte_ids, word.substr(begin, size));
    if (begin > 0 && here.ids()[0] != first) {
      out.resize(before);
      begin = 0;
      window = size;
      here.Merge(table, byte_ids, word.substr(0, size));
    }
  }
  out.insert(out.end(), here.ids().begin(), here.ids().end());
}

} // namespace weft
