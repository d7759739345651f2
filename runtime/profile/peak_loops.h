// The loops that a machine is measured with: each keeps one unit busy and nothing else.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

namespace weft {

// `run(rounds)` makes rounds * flops_a_round floating-point operations in registers, on the calling thread.
struct PeakLoop {
  std::string unit; // "fma", "vdpbf16", "amx": as in a kernel's reduction
  int64_t flops_a_round;
  void (*run)(int64_t rounds);
};

// Those of a CPU level (runtime/device/cpu.h), fma first; none below avx2. The machine must have the level.
std::vector<PeakLoop> PeakLoops(const std::string &level);

// Reads `bytes` (a multiple of 256) at `data`, `rounds` times.
void ReadLoop(const char *data, int64_t bytes, int64_t rounds);
// a = b + s c over three arrays of `bytes` (a multiple of 256), `rounds` times: 3 * bytes move.
void TriadLoop(char *a, const char *b, const char *c, int64_t bytes, int64_t rounds);

} // namespace weft
