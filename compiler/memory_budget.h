// What backward computes again so that a rank's memory stays within a budget.
#pragma once
#include <cstdint>
#include <functional>
#include <string>
#include <variant>
#include <vector>

namespace weft {

// One way to compile the program: what a rank takes (parameters, states and arena), and what forward still
// keeps.
struct MemoryTrial {
  struct Kept {
    std::string op; // passes.td, differentiate
    int64_t bytes, flops;
  };
  int64_t bytes = 0;
  std::vector<Kept> kept;
  std::string error; // "" when it went well
};

// The ops to compute again: the cheapest for each byte first (fewest operations), until `budget` bytes are
// enough; those that turn out to save nothing are kept. An error's text when nothing is enough.
std::variant<std::vector<std::string>, std::string>
fitMemory(int64_t budget, const std::function<MemoryTrial(const std::vector<std::string> &)> &compile);

} // namespace weft
