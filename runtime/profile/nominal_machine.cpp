#include "runtime/profile/calibration.h"

#include <algorithm>
#include <limits>

namespace weft {

// Of a server's core at about 3 GHz: two multiply-adds of vectors a cycle with AVX2, and some more than that
// of AVX-512, which many processors make in two halves; bf16 pairs twice as many; a tile's product some ten
// times. Caches and memory as one core of many sees them. What counts is what is dear against what, not the
// machine.
Calibration NominalMachine(const std::string &cpu_level, int threads) {
  Calibration machine;
  machine.processor = "nominal";
  machine.cpu_level = cpu_level;
  machine.threads = threads;
  auto scaled = [&](double one, int most) { return Rate{one, one * std::min(threads, most)}; };
  constexpr int kAny = std::numeric_limits<int>::max();
  constexpr double kGiga = 1e9;
  machine.flops["fma"] = scaled((cpu_level == "avx2" ? 96 : 120) * kGiga, kAny);
  if (cpu_level == "avx512bf16" || cpu_level == "amx") machine.flops["vdpbf16"] = scaled(240 * kGiga, kAny);
  if (cpu_level == "amx") machine.flops["amx"] = scaled(1200 * kGiga, kAny);
  machine.levels = {{"L1", int64_t{32768} * threads, scaled(300 * kGiga, kAny)},
                    {"L2", int64_t{1 << 20} * threads, scaled(110 * kGiga, kAny)},
                    {"L3", std::max(int64_t{1 << 25}, int64_t{1 << 21} * threads), scaled(60 * kGiga, kAny)},
                    {"memory", std::numeric_limits<int64_t>::max(), scaled(25 * kGiga, 8)}};
  machine.launch_ns = threads > 1 ? 500 : 0;
  return machine;
}

} // namespace weft
