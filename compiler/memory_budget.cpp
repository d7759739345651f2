#include "compiler/memory_budget.h"
#include "runtime/train/byte_size.h"

#include <algorithm>
#include <map>
#include <set>

namespace weft {

std::variant<std::vector<std::string>, std::string>
fitMemory(int64_t budget, const std::function<MemoryTrial(const std::vector<std::string> &)> &compile) {
  std::vector<std::string> chosen;
  std::set<std::string> tried;
  MemoryTrial now = compile(chosen);
  int64_t whole = now.bytes;
  while (now.error.empty() && now.bytes > budget) {
    // What was kept for one op's sake may be kept for another's once that is computed again: the list is new
    // each time.
    const MemoryTrial::Kept *best = nullptr;
    auto price = [](const MemoryTrial::Kept &k) {
      return double(k.flops) / double(std::max<int64_t>(k.bytes, 1));
    };
    std::map<std::string, MemoryTrial::Kept> ops; // an op of several values is computed once
    for (const MemoryTrial::Kept &k : now.kept)
      if (auto [known, added] = ops.emplace(k.op, k); !added) known->second.bytes += k.bytes;
    for (const auto &[op, k] : ops)
      if (!tried.count(k.op) && (!best || price(k) < price(*best))) best = &k;
    if (!best)
      return "the program takes " + ByteText(now.bytes) + " a rank with all computed again that can be (" +
             ByteText(whole) + " with nothing), more than the memory budget of " + ByteText(budget) +
             "\nhint: a smaller train.micro_batch takes less";
    tried.insert(best->op);
    std::vector<std::string> more = chosen;
    more.push_back(best->op);
    MemoryTrial next = compile(more);
    if (!next.error.empty()) return next.error;
    // The peak may lie elsewhere until another op joins in: what does no harm stays chosen.
    if (next.bytes > now.bytes) continue;
    chosen = more;
    now = std::move(next);
  }
  if (!now.error.empty()) return now.error;
  // What the last ones made unnecessary is kept after all, the dearest first to come back.
  for (size_t i = chosen.size(); i-- > 0;) {
    std::vector<std::string> fewer = chosen;
    fewer.erase(fewer.begin() + i);
    MemoryTrial without = compile(fewer);
    if (without.error.empty() && without.bytes <= budget) chosen = fewer;
  }
  return chosen;
}

} // namespace weft
