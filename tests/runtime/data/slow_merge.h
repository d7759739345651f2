// Byte-pair merging as plainly as it can be said: what the fast ways are held against.
#pragma once

#include <cstdint>
#include <map>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/types/span.h"
#include "runtime/data/bpe.h"

namespace weft {

// Of all pairs of neighbours the one listed first in `merges` is merged, the leftmost of several, until none
// is.
inline std::vector<int32_t> SlowMerge(absl::Span<const TokenizerParts::Merge> merges, const int32_t *byte_ids,
                                      std::string_view word) {
  std::map<std::pair<int32_t, int32_t>, size_t> ranks;
  for (size_t rank = 0; rank < merges.size(); ++rank)
    ranks.emplace(std::pair(merges[rank].left, merges[rank].right), rank);
  std::vector<int32_t> ids;
  for (char c : word) ids.push_back(byte_ids[static_cast<uint8_t>(c)]);
  for (;;) {
    size_t best = merges.size(), at = 0;
    for (size_t i = 0; i + 1 < ids.size(); ++i)
      if (const auto found = ranks.find({ids[i], ids[i + 1]}); found != ranks.end() && found->second < best)
        best = found->second, at = i;
    if (best == merges.size()) return ids;
    ids[at] = merges[best].result;
    ids.erase(ids.begin() + static_cast<std::ptrdiff_t>(at) + 1);
  }
}

} // namespace weft
