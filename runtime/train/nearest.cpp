#include "runtime/train/nearest.h"

#include <algorithm>
#include <cstdlib>

namespace weft {
namespace {

size_t Distance(absl::string_view a, absl::string_view b) {
  std::vector<size_t> before(b.size() + 1), last(b.size() + 1), row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) last[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      row[j] = std::min({last[j] + 1, row[j - 1] + 1, last[j - 1] + (a[i - 1] != b[j - 1])});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
        row[j] = std::min(row[j], before[j - 2] + 1);
    }
    before.swap(last);
    last.swap(row);
  }
  return last[b.size()];
}

} // namespace

std::string Nearest(absl::string_view name, const std::vector<std::string> &candidates) {
  constexpr size_t kLongest = 512; // a hostile name must not cost a quadratic time
  std::string best;
  size_t best_distance = SIZE_MAX;
  if (name.size() > kLongest) return best;
  for (const std::string &candidate : candidates) {
    size_t longer = std::max(name.size(), candidate.size());
    size_t shorter = std::min(name.size(), candidate.size());
    if (candidate.size() > kLongest || longer - shorter > longer / 2) continue;
    size_t distance = Distance(name, candidate);
    if (distance <= longer / 2 && distance < best_distance) best = candidate, best_distance = distance;
  }
  return best;
}

} // namespace weft
