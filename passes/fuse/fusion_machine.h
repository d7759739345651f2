// What the choice goes by whether elementwise code is computed behind a product or by a kernel of its own.
#pragma once

namespace weft {

// Of all threads together. Bytes a nanosecond are GB/s.
struct FusionMachine {
  double lanesPerNs;  // elements through vector lanes
  double cacheBytes;  // of the last level of the caches
  double cacheRate;   // of that level
  double memoryRate;  // of memory, to code that streams
  double productRate; // of memory, to code behind a product, which asks for less at once
  double launchNs;
};

struct EpilogueCost {
  double behindNs = 0, apartNs = 0;
};

} // namespace weft
