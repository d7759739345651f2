#include "runtime/data/pair_counts.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <utility>

#include "runtime/data/text_parts.h"

namespace weft {
namespace {

// Fewer words than this a thread are done by one: waking another takes as long as some hundred.
constexpr size_t kWordsPerThread = 512;
// How many words ahead memory is asked for a word.
constexpr size_t kAhead = 12;
constexpr uint32_t kNoWord = std::numeric_limits<uint32_t>::max();

} // namespace

uint32_t PairCounts::Side::NumberOf(int32_t token) {
  if (static_cast<size_t>(token) >= index.size()) index.resize(static_cast<size_t>(token) * 2 + 256);
  uint32_t &number = index[static_cast<size_t>(token)];
  if (number == 0) {
    neighbours.push_back({token, 0, 0, kNoWord, 0});
    number = static_cast<uint32_t>(neighbours.size());
  }
  return number - 1;
}

void PairCounts::Side::Note(int32_t token, uint32_t word, int64_t count) {
  const uint32_t number = NumberOf(token);
  Neighbour &n = neighbours[number];
  n.count += count;
  if (n.last_word == word) return;
  n.last_word = word;
  ++n.num_words;
  seen.push_back({number, word});
}

void PairCounts::Side::Append(const Side &other) {
  std::vector<uint32_t> numbers;
  for (const Neighbour &o : other.neighbours) {
    numbers.push_back(NumberOf(o.token));
    neighbours[numbers.back()].count += o.count;
    neighbours[numbers.back()].num_words += o.num_words;
  }
  for (const Seen &s : other.seen) seen.push_back({numbers[s.neighbour], s.word});
}

void PairCounts::Side::Clear() {
  for (const Neighbour &n : neighbours) index[static_cast<size_t>(n.token)] = 0;
  neighbours.clear();
  seen.clear();
}

bool PairCounts::Fits(const WordCounts &words) {
  uint64_t numbers = 0;
  for (size_t s = 0; s < WordCounts::kShards; ++s)
    words.ForEach(s, [&](std::string_view word, int64_t) { numbers += kHead + word.size(); });
  return numbers <= std::numeric_limits<uint32_t>::max();
}

PairCounts::PairCounts(const WordCounts &words, int64_t min_count, int threads)
    : min_count_(min_count), team_(threads), sides_(team_.size()) {
  // Where each shard's words end.
  std::vector<uint32_t> ends(WordCounts::kShards);
  OnThreads(threads, WordCounts::kShards, [&](auto next) {
    for (size_t s; next(s);)
      words.ForEach(
          s, [&](std::string_view word, int64_t) { ends[s] += kHead + static_cast<uint32_t>(word.size()); });
  });
  for (size_t s = 1; s < ends.size(); ++s) ends[s] += ends[s - 1];
  words_.resize(ends.back());
  OnThreads(threads, WordCounts::kShards, [&](auto next) {
    for (size_t s; next(s);) {
      uint32_t *to = words_.data() + (s == 0 ? 0 : ends[s - 1]);
      words.ForEach(s, [&](std::string_view word, int64_t count) {
        std::memcpy(to, &count, sizeof(count));
        to[2] = static_cast<uint32_t>(word.size());
        to += kHead;
        for (char c : word) *to++ = static_cast<uint8_t>(c);
      });
    }
  });
  CountPairs(ends);
}

// The pairs of bytes, in a table of all of them for each thread.
void PairCounts::CountPairs(const std::vector<uint32_t> &shard_ends) {
  struct BytePair {
    int64_t count = 0;
    uint32_t last_word = kNoWord, num_words = 0;
    uint32_t *words = nullptr;
  };
  constexpr uint32_t kPairs = 1 << 16;
  std::vector<std::vector<BytePair>> tables(std::min(team_.size(), 1 + words_.size() / (4 * kPairs)));
  const auto run = [&](const std::function<void(size_t)> &work) {
    if (tables.size() == 1) return work(0);
    team_.Run([&](size_t thread) {
      if (thread < tables.size()) work(thread);
    });
  };
  const auto each = [&](size_t thread, auto note) { // pair of the thread's words
    const size_t first = thread * WordCounts::kShards / tables.size();
    const size_t last = (thread + 1) * WordCounts::kShards / tables.size();
    if (first == last) return;
    for (uint32_t w = first == 0 ? 0 : shard_ends[first - 1]; w < shard_ends[last - 1];
         w += kHead + words_[w + 2])
      for (uint32_t i = 1; i < words_[w + 2]; ++i)
        note(w, tables[thread][words_[w + kHead + i - 1] << 8 | words_[w + kHead + i]]);
  };
  run([&](size_t thread) {
    tables[thread].resize(kPairs);
    each(thread, [&](uint32_t w, BytePair &p) {
      p.count += CountOf(w);
      p.num_words += p.last_word != w;
      p.last_word = w;
    });
  });
  for (uint32_t key = 0; key < kPairs; ++key) {
    Pair pair;
    for (const auto &table : tables) pair.count += table[key].count, pair.num_words += table[key].num_words;
    if (pair.num_words == 0) continue;
    uint32_t *list = NewList(pair.num_words);
    pair.words = list;
    for (auto &table : tables) {
      table[key].words = list;
      table[key].last_word = kNoWord;
      list += table[key].num_words;
    }
    const PairKey k = KeyOf(static_cast<int32_t>(key >> 8), static_cast<int32_t>(key & 255));
    pairs_.emplace(k, pair);
    if (pair.count >= min_count_) heap_.push({pair.count, k});
  }
  run([&](size_t thread) {
    each(thread, [&](uint32_t w, BytePair &p) {
      if (p.last_word != w) *p.words++ = w;
      p.last_word = w;
    });
  });
}

int64_t PairCounts::CountOf(uint32_t word) const {
  int64_t count;
  std::memcpy(&count, &words_[word], sizeof(count));
  return count;
}

uint32_t *PairCounts::NewList(size_t size) {
  constexpr size_t kBlock = 1 << 18;
  if (free_ < size) {
    free_ = std::max(kBlock, size);
    lists_.emplace_back(new uint32_t[free_]);
    free_list_ = lists_.back().get();
  }
  free_ -= size;
  return std::exchange(free_list_, free_list_ + size);
}

bool PairCounts::Best(int32_t &left, int32_t &right) {
  while (!heap_.empty()) {
    const Candidate top = heap_.top();
    heap_.pop();
    const auto it = pairs_.find(top.key);
    if (it == pairs_.end() || it->second.count < min_count_) continue;
    if (it->second.count == top.count) {
      left = static_cast<int32_t>(top.key >> 32), right = static_cast<int32_t>(top.key & 0xffffffff);
      return true;
    }
    heap_.push({it->second.count, top.key});
  }
  return false;
}

void PairCounts::Merge(int32_t left, int32_t right, int32_t result) {
  const auto merged = pairs_.find(KeyOf(left, right));
  if (merged == pairs_.end()) return;
  absl::Span<const uint32_t> words(merged->second.words, merged->second.num_words);
  std::vector<uint32_t> once;
  if (merged->second.repeats) { // two threads may not have the same word
    once.assign(words.begin(), words.end());
    std::sort(once.begin(), once.end());
    once.erase(std::unique(once.begin(), once.end()), once.end());
    words = once;
  }
  const auto merge = [&](size_t thread, size_t threads) {
    const size_t first = words.size() * thread / threads, last = words.size() * (thread + 1) / threads;
    for (size_t i = first; i < last; ++i) {
      if (i + kAhead < last) __builtin_prefetch(&words_[words[i + kAhead]], 1);
      MergeInWord(words[i], left, right, result, sides_[thread]);
    }
  };
  if (team_.size() == 1 || words.size() < kWordsPerThread * team_.size()) {
    merge(0, 1);
  } else {
    team_.Run([&](size_t thread) { merge(thread, team_.size()); });
    for (size_t t = 1; t < sides_.size(); ++t) {
      sides_[0].left.Append(sides_[t].left), sides_[0].right.Append(sides_[t].right);
      sides_[t].left.Clear(), sides_[t].right.Clear();
    }
  }
  // What comes before what goes, for a pair that came in a word may go in the same word again.
  Sides &sides = sides_[0];
  Increase(sides.left, [&](int32_t token) { return KeyOf(token, result); });
  Increase(sides.right, [&](int32_t token) { return KeyOf(result, token); });
  Decrease(sides.left, [&](int32_t token) { return KeyOf(token, left); });
  Decrease(sides.right, [&](int32_t token) { return KeyOf(right, token); });
  pairs_.erase(KeyOf(left, right));
  sides.left.Clear(), sides.right.Clear();
}

// a L R b -> a N b: (a, L) and (R, b) go, (a, N) and (N, b) come. Tokens are moved up in place as they are
// read.
void PairCounts::MergeInWord(uint32_t word, int32_t left, int32_t right, int32_t result, Sides &sides) {
  const int64_t count = CountOf(word);
  const uint32_t length = words_[word + 2];
  auto *s = reinterpret_cast<int32_t *>(&words_[word + kHead]);
  uint32_t out = 0;
  for (uint32_t i = 0; i < length; ++i, ++out) {
    if (i + 1 == length || s[i] != left || s[i + 1] != right) {
      s[out] = s[i];
      continue;
    }
    if (out > 0) sides.left.Note(s[out - 1], word, count);
    if (i + 2 < length) sides.right.Note(s[i + 2], word, count);
    s[out] = result;
    ++i;
  }
  words_[word + 2] = out;
}

template <typename Key> void PairCounts::Increase(Side &side, Key key) {
  size_t total = 0;
  for (Side::Neighbour &n : side.neighbours) {
    n.end = static_cast<uint32_t>(total);
    total += n.num_words;
  }
  uint32_t *list = NewList(total);
  for (const Side::Seen &s : side.seen) list[side.neighbours[s.neighbour].end++] = s.word;
  for (const Side::Neighbour &n : side.neighbours) {
    const PairKey k = key(n.token);
    Pair &pair = pairs_[k];
    pair.count += n.count;
    const uint32_t *words = list + n.end - n.num_words;
    if (pair.num_words == 0) {
      pair.words = words;
    } else { // another pair with the same result was merged before
      uint32_t *both = NewList(pair.num_words + n.num_words);
      std::copy_n(words, n.num_words, std::copy_n(pair.words, pair.num_words, both));
      pair.words = both;
      pair.repeats = true;
    }
    pair.num_words += n.num_words;
    if (pair.count >= min_count_) heap_.push({pair.count, k});
  }
}

template <typename Key> void PairCounts::Decrease(const Side &side, Key key) {
  for (const Side::Neighbour &n : side.neighbours)
    if (const auto pair = pairs_.find(key(n.token)); pair != pairs_.end()) pair->second.count -= n.count;
}

} // namespace weft
