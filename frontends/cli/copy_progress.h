// How far a copy of weights is: a line that is written over on a terminal, a line a quarter elsewhere;
// silence while it is short.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace weft {

class CopyProgress {
public:
  explicit CopyProgress(std::string verb); // "importing"
  ~CopyProgress();                         // leaves the terminal's line empty
  void operator()(uint64_t done, uint64_t all);

private:
  using Clock = std::chrono::steady_clock;
  std::string verb_;
  bool terminal_, shown_ = false;
  Clock::time_point begin_, last_;
  uint64_t quarters_ = 0;
};

} // namespace weft
