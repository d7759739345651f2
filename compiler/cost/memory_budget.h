// What backward computes again so that a rank's memory stays within a budget, for the least time.
#pragma once
#include <cstdint>
#include <functional>
#include <string>
#include <variant>
#include <vector>

namespace weft {

// One way to compile the program: what a rank takes (parameters, states and arena), what a step should take,
// and what forward still keeps.
struct MemoryTrial {
  struct Kept {
    std::string op;    // passes.td, differentiate
    int64_t bytes = 0; // over all iterations
    double ns = 0;     // to compute it again, about; orders what is tried
  };
  int64_t bytes = 0;
  double ns = 0;
  std::vector<Kept> kept;
  std::string error; // "" when it went well
};

using CompileTrial = std::function<MemoryTrial(const std::vector<std::string> &again)>;

// An op whose values backward needs.
struct RecomputedValue {
  std::string op;
  bool again = false;    // or saved
  int64_t bytes = 0;     // of the peak that computing it again saves, beside the others that are chosen
  double ns = 0;         // and what it adds to a step
  bool compared = false; // by compiling; else the value's own size, and the operations alone
};

struct RecomputeChoice {
  std::vector<std::string> again; // in the order of names
  std::vector<RecomputedValue> values;
  int64_t bytes = 0, wholeBytes = 0; // with the choice, and with everything kept
  double ns = 0, wholeNs = 0;
  int64_t trials = 0; // programs compiled

  double addedPart() const { return wholeNs > 0 ? ns / wholeNs - 1 : 0; } // of a step
};

// Chooses by compiling again: of what forward keeps, the op that adds the least time for each byte that the
// program really takes less, as far as bytes are still wanted, then the next; at the end the dearest are
// kept after all where the others are enough. Equal trials give equal choices. An error's text, with the
// least that the program can take, when nothing is enough.
std::variant<RecomputeChoice, std::string> fitMemory(int64_t budget, const CompileTrial &compile);

} // namespace weft
