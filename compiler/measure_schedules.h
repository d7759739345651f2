// Several compilations of one kernel, timed in turn on the same data.
#pragma once
#include "compiler/bench/launch_data.h"
#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/StringRef.h"
#include <optional>
#include <string>
#include <variant>
#include <vector>

namespace weft {

struct ScheduleTiming {
  std::vector<double> seconds; // a call's, one for each round that it was in; finalists are in all of them
  bool differs = false;        // its results from the first one's, in any bit
};

// Runs functions `names` of a shared object, with launches[i] for names[i] (they differ in work items and
// scratch bytes), as `threads` threads of the runtime would: each once for its results, then in rounds, in
// which all take turns, those that are clearly slower dropping out. Data takes turns between copies that the
// threads' second-level caches do not hold together. About `seconds` long, less where there is little to find
// out. In a process of its own; its end by a signal is an error that says which function did it. `names` are
// given by number in errors: "candidate 3".
std::variant<std::vector<ScheduleTiming>, std::string>
measureSchedules(llvm::StringRef image, llvm::ArrayRef<std::string> names,
                 llvm::ArrayRef<launch_data::Launch> launches, int threads, double seconds);

struct FastestSchedule {
  size_t index = 0;                     // 0: the first one, which none beats by more than the noise
  double seconds = 0, firstSeconds = 0; // medians over the rounds
};
// The one with the lowest median over the last rounds, if it beats the first by 3 % and in seven of eight
// rounds; nothing where the rounds were too few to tell.
std::optional<FastestSchedule> fastestSchedule(llvm::ArrayRef<ScheduleTiming> timings);

} // namespace weft
