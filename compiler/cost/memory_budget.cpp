#include "compiler/cost/memory_budget.h"
#include "runtime/train/byte_size.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <limits>
#include <map>
#include <optional>
#include <set>

namespace weft {
namespace {

using Ops = std::set<std::string>;

// What is smaller than this part of what is wanted waits until nothing larger helps.
constexpr double kSmallPart = 0.02;

// Less of a step than this is not worth a value more that is computed again.
constexpr double kSmallGain = 0.002;
// Of improve: how many ops it combines, and how many sets it tries.
constexpr size_t kMostLarge = 12, kMostGuesses = 12;
// Ops that escape goes on behind.
constexpr size_t kMostEscapes = 6;

// What choosing an op changed when it was tried last, and the most that it has saved.
struct Change {
  int64_t saved = 0, most = 0;
  double added = 0;
};

// The smallest size of three figures that is not below.
std::string atLeastText(int64_t bytes) {
  for (int64_t up = bytes;; up += std::max<int64_t>(bytes / 400, 1)) {
    std::string text = ByteText(up);
    if (ParseByteSize(text).value_or(bytes) >= bytes) return text;
  }
}

class Search {
public:
  explicit Search(const CompileTrial &compile) : compile(compile) {}

  const MemoryTrial &trial(const Ops &again) {
    auto [it, fresh] = trials.try_emplace(again);
    if (fresh) it->second = compile({again.begin(), again.end()});
    if (error.empty()) error = it->second.error;
    return it->second;
  }
  int64_t numTrials() const { return int64_t(trials.size()); }

  // Chooses op after op as if `wanted` bytes were to be reached, until the program is within `budget` or
  // nothing saves anything.
  void descend(int64_t wanted, int64_t budget) {
    while (error.empty() && trial(chosen).bytes > budget) {
      std::optional<std::string> next = best(wanted);
      if (!next) return;
      chosen.insert(*next);
    }
  }

  // From everything kept down to `budget`, or to the least that there is a way to. The way does not depend on
  // the budget: what is reported as the least can be had.
  void descendAllTheWay(int64_t budget) {
    chosen.clear();
    known.clear();
    do descend(0, budget);
    while (error.empty() && trial(chosen).bytes > budget && escape(budget));
  }

  // What the last ones made unnecessary is kept after all, the dearest first; so is what hardly matters.
  void takeBack(int64_t budget) {
    std::vector<std::string> order(chosen.begin(), chosen.end());
    std::stable_sort(order.begin(), order.end(),
                     [&](const auto &a, const auto &b) { return known[a].added > known[b].added; });
    for (const std::string &op : order) {
      const MemoryTrial &without = trial(less(op));
      if (error.empty() && without.bytes <= budget &&
          without.ns <= trial(chosen).ns + kSmallGain * trial({}).ns)
        chosen = less(op);
    }
  }

  // Other sets of the same ops may do for less: as far as what ops save and add can be added up, those that
  // would are tried, the cheapest first.
  void improve(int64_t budget) {
    const MemoryTrial &whole = trial({});
    std::map<std::string, Change> changes = known;
    for (const auto &[op, k] : keptBy(whole)) changes.try_emplace(op, Change{k.bytes, k.bytes, k.ns});
    std::vector<std::pair<std::string, Change>> large;
    for (const auto &[op, change] : changes)
      if (double(change.most) >= kSmallPart * double(whole.bytes - budget)) large.emplace_back(op, change);
    std::stable_sort(large.begin(), large.end(),
                     [](const auto &a, const auto &b) { return a.second.most > b.second.most; });
    if (large.size() > kMostLarge) large.resize(kMostLarge);
    struct Guess {
      double ns;
      uint32_t members;
    };
    std::vector<Guess> guesses;
    const double gain = kSmallGain * whole.ns;
    for (uint32_t members = 1; members < uint32_t{1} << large.size(); ++members) {
      Guess guess{whole.ns, members};
      int64_t bytes = whole.bytes;
      for (size_t i = 0; i < large.size(); ++i)
        if (members >> i & 1) {
          guess.ns += large[i].second.added;
          bytes -= large[i].second.most;
        }
      if (bytes <= budget && guess.ns < trial(chosen).ns - gain) guesses.push_back(guess);
    }
    std::stable_sort(guesses.begin(), guesses.end(),
                     [](const Guess &a, const Guess &b) { return a.ns < b.ns; });
    for (size_t i = 0; i < guesses.size() && i < kMostGuesses; ++i) {
      if (guesses[i].ns >= trial(chosen).ns - gain) return;
      Ops other;
      for (size_t j = 0; j < large.size(); ++j)
        if (guesses[i].members >> j & 1) other.insert(large[j].first);
      const MemoryTrial &next = trial(other);
      if (!error.empty()) return;
      if (next.bytes <= budget && next.ns < trial(chosen).ns - gain) chosen = other;
    }
  }

  RecomputeChoice result() {
    RecomputeChoice out;
    const MemoryTrial &now = trial(chosen), &whole = trial({});
    out.again.assign(chosen.begin(), chosen.end());
    for (const std::string &op : chosen) {
      const MemoryTrial &without = trial(less(op));
      out.values.push_back({op, true, without.bytes - now.bytes, now.ns - without.ns, true});
    }
    for (const auto &[op, k] : keptBy(now)) {
      auto it = known.find(op);
      const bool compared = it != known.end();
      out.values.push_back(
          {op, false, compared ? it->second.saved : k.bytes, compared ? it->second.added : k.ns, compared});
    }
    out.bytes = now.bytes;
    out.ns = now.ns;
    out.wholeBytes = whole.bytes;
    out.wholeNs = whole.ns;
    out.trials = numTrials();
    return out;
  }

  Ops chosen;
  std::string error;

private:
  Ops less(const std::string &op) const {
    Ops fewer = chosen;
    fewer.erase(op);
    return fewer;
  }

  // Where no op saves anything: the way may go on without one that was chosen before others were, or behind
  // one that does harm alone.
  bool escape(int64_t budget) {
    const Ops here = chosen;
    const int64_t bytes = trial(here).bytes;
    for (const std::string &op : here)
      if (trial(less(op)).bytes < bytes) {
        chosen = less(op);
        return error.empty();
      }
    std::vector<MemoryTrial::Kept> largest;
    for (const auto &[op, k] : keptBy(trial(here))) largest.push_back(k);
    std::stable_sort(largest.begin(), largest.end(),
                     [](const auto &a, const auto &b) { return a.bytes > b.bytes; });
    if (largest.size() > kMostEscapes) largest.resize(kMostEscapes);
    for (const MemoryTrial::Kept &k : largest) {
      chosen = here;
      chosen.insert(k.op);
      descend(0, budget);
      if (error.empty() && trial(chosen).bytes < bytes) return true;
    }
    chosen = here;
    return false;
  }

  // An op of several values is computed once. What was kept for one op's sake may be kept for another's once
  // that is computed again: the list is new each time.
  static std::map<std::string, MemoryTrial::Kept> keptBy(const MemoryTrial &trial) {
    std::map<std::string, MemoryTrial::Kept> ops;
    for (const MemoryTrial::Kept &k : trial.kept)
      if (auto [it, added] = ops.emplace(k.op, k); !added) it->second.bytes += k.bytes;
    return ops;
  }

  // The op to choose next: the least time for each byte that is still wanted. Prices are guessed until an op
  // is tried, and old once another is chosen; the cheapest is tried until it stays the cheapest. Where none
  // saves anything, the peak has several places: the cheapest that does no harm.
  std::optional<std::string> best(int64_t wanted) {
    const MemoryTrial now = trial(chosen);
    const double need = double(std::max<int64_t>(now.bytes - wanted, 1));
    auto price = [&](double ns, int64_t bytes) { return ns / std::max(std::min(double(bytes), need), 1.0); };
    struct Candidate {
      int turn = 0; // small ones, and then those that saved nothing when they were tried, wait for the others
      double price = 0;
      bool tried = false;
    };
    std::map<std::string, Candidate> open, harmless;
    for (const auto &[op, k] : keptBy(now)) {
      auto it = known.find(op);
      const bool compared = it != known.end(), useful = compared && it->second.saved > 0;
      const double cost = useful ? price(it->second.added, it->second.saved) : price(k.ns, k.bytes);
      open[op] = {compared && !useful ? 2 : double(k.bytes) < kSmallPart * need ? 1 : 0, cost, false};
    }
    auto cheapest = [](std::map<std::string, Candidate> &of) {
      return std::min_element(of.begin(), of.end(), [](const auto &a, const auto &b) {
        return std::pair(a.second.turn, a.second.price) < std::pair(b.second.turn, b.second.price);
      });
    };
    while (!open.empty()) {
      auto it = cheapest(open);
      if (it->second.tried) return it->first;
      Ops more = chosen;
      more.insert(it->first);
      const MemoryTrial &next = trial(more);
      if (!error.empty()) return std::nullopt;
      Change &change = known[it->first];
      change = {now.bytes - next.bytes, std::max(change.most, now.bytes - next.bytes), next.ns - now.ns};
      if (change.saved > 0) {
        it->second.price = price(change.added, change.saved);
        it->second.tried = true;
        continue;
      }
      if (change.saved == 0) harmless.insert(*it);
      open.erase(it);
    }
    if (harmless.empty()) return std::nullopt;
    return cheapest(harmless)->first;
  }

  const CompileTrial &compile;
  std::map<Ops, MemoryTrial> trials;
  std::map<std::string, Change> known;
};

} // namespace

std::variant<RecomputeChoice, std::string> fitMemory(int64_t budget, const CompileTrial &compile) {
  Search search(compile);
  search.descend(budget, budget);
  // What was cheap for a few bytes may have been the wrong way.
  if (search.error.empty() && search.trial(search.chosen).bytes > budget) search.descendAllTheWay(budget);
  if (!search.error.empty()) return search.error;
  const MemoryTrial &now = search.trial(search.chosen), &whole = search.trial({});
  if (now.bytes > budget) {
    char cost[80] = "";
    if (whole.ns > 0)
      snprintf(cost, sizeof cost, ", in a step predicted to take %.1f %% longer",
               (now.ns / whole.ns - 1) * 100);
    return "the program takes " + atLeastText(now.bytes) + " a rank with all computed again that helps (" +
           ByteText(whole.bytes) + " with nothing)" + cost + ", more than the memory budget of " +
           ByteText(budget) + "\nhint: a smaller train.micro_batch takes less";
  }
  search.takeBack(budget);
  search.improve(budget);
  search.takeBack(budget);
  RecomputeChoice choice = search.result();
  if (!search.error.empty()) return search.error;
  return choice;
}

} // namespace weft
