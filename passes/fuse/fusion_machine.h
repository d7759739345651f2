// What the choice goes by whether elementwise code is computed behind a product or by a kernel of its own.
#pragma once

namespace weft {

// Of all threads but where it says otherwise. Bytes a nanosecond are GB/s.
struct FusionMachine {
  double lanesPerNs = 120;      // elements through vector lanes
  double cacheBytes = 1 << 25;  // of the last level
  double cacheRate = 120;       // of that level, GB/s
  double memoryRate = 50;       // of memory
  double threadMemoryRate = 25; // of memory, one thread
  double launchNs = 500;
};

struct EpilogueCost {
  double behindNs = 0, apartNs = 0;
};

} // namespace weft
