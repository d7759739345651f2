// Several compilations of the same ops, timed in turn: a kernel by several schedules, or kernels that divide
// their ops in several ways.
#pragma once
#include "compiler/bench/launch_data.h"
#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/StringRef.h"
#include <optional>
#include <string>
#include <variant>
#include <vector>

namespace weft {

// Launches, one after the other.
struct Candidate {
  struct Step {
    std::string function;
    launch_data::Launch launch;
    size_t firstBuffer; // of the memory's; its other buffers follow
  };
  std::vector<Step> steps;
};

struct CandidateTiming {
  std::vector<double> seconds; // a call's, one for each round that it was in; finalists are in all of them
  bool differs = false;        // its results from the first one's, in any bit
};

enum class Results {
  compared,   // what outputs hold after a candidate must be what they hold after the first
  notCompared // they are not in the same buffers
};

// Runs the candidates, whose functions a shared object has, as `threads` threads of the runtime would, on
// `memory`: each once for its results, then in rounds, in which all take turns, those that are clearly slower
// dropping out. Data takes turns between copies that the threads' second-level caches do not hold together.
// About `seconds` long, less where there is little to find out. In a process of its own; its end by a signal
// is an error that says which candidate did it, by its number: "candidate 3".
std::variant<std::vector<CandidateTiming>, std::string>
measureCandidates(llvm::StringRef image, const launch_data::Launch &memory,
                  llvm::ArrayRef<Candidate> candidates, Results results, int threads, double seconds);

struct FastestCandidate {
  size_t index = 0;                     // 0: the first one, which none beats by more than the noise
  double seconds = 0, firstSeconds = 0; // medians over the rounds
};
// The one with the lowest median over the last rounds, if it beats the first by 3 % and in seven of eight
// rounds; nothing where the rounds were too few to tell.
std::optional<FastestCandidate> fastestCandidate(llvm::ArrayRef<CandidateTiming> timings);

} // namespace weft
