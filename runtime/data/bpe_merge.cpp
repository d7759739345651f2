#include "runtime/data/bpe_merge.h"

#include <algorithm>
#include <functional>
#include <queue>
#include <utility>

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

// A linked list of tokens, and a heap of pairs by rank and place: one number holds both, so the leftmost
// comes first among equals. An entry is stale when the pair at its place has another rank by now.
size_t MergeLong(const MergeTable &table, std::vector<int32_t> &ids) {
  constexpr int kPlaceBits = 40; // a rank has the other 24
  static_assert(kMaxMerges <= size_t{1} << (64 - kPlaceBits));
  const size_t n = ids.size();
  std::vector<size_t> previous(n), next(n);
  std::vector<int32_t> ranks(n, kNoRank); // of the pair that begins there
  std::vector<uint64_t> entries;
  const auto entry = [](int32_t rank, size_t at) { return static_cast<uint64_t>(rank) << kPlaceBits | at; };
  for (size_t i = 0; i < n; ++i) {
    previous[i] = i - 1, next[i] = i + 1; // that of the first is SIZE_MAX
    if (i + 1 < n) ranks[i] = table.Find(ids[i], ids[i + 1]).rank;
    if (ranks[i] != kNoRank) entries.push_back(entry(ranks[i], i));
  }
  std::priority_queue<uint64_t, std::vector<uint64_t>, std::greater<>> heap({}, std::move(entries));
  const auto update = [&](size_t i) {
    ranks[i] = next[i] < n ? table.Find(ids[i], ids[next[i]]).rank : kNoRank;
    if (ranks[i] != kNoRank) heap.push(entry(ranks[i], i));
  };
  while (!heap.empty()) {
    const uint64_t top = heap.top();
    heap.pop();
    const size_t at = top & ((uint64_t{1} << kPlaceBits) - 1);
    if (ranks[at] != static_cast<int32_t>(top >> kPlaceBits)) continue;
    const size_t right = next[at];
    ids[at] = table.Find(ids[at], ids[right]).result;
    ids[right] = -1; // gone
    ranks[right] = kNoRank;
    next[at] = next[right];
    if (next[right] < n) previous[next[right]] = at;
    update(at);
    if (previous[at] < n) update(previous[at]);
  }
  ids.erase(std::remove(ids.begin(), ids.end(), -1), ids.end());
  return ids.size();
}

} // namespace weft
