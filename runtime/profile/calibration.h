// What this machine can do at most, measured once: the roof that kernels are compared with.
#pragma once
#include "runtime/device/thread_pool.h"

#include "absl/status/status.h"
#include "absl/status/statusor.h"

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace weft {

// Of one thread, and of all threads at once.
struct Rate {
  double one = 0, all = 0;
};

// A level of the memory: L1, L2, L3 or memory.
struct MemoryLevel {
  std::string name;
  int64_t bytes = 0; // that all threads together have of it; of memory INT64_MAX
  Rate rate;         // bytes a second, reads and writes
};

struct Calibration {
  std::string processor; // "AMD EPYC 9B14"
  std::string cpu_level; // runtime/device/cpu.h
  int threads = 1;
  std::map<std::string, Rate> flops; // floating-point operations a second, by dot unit; "fma" is always there
  std::vector<MemoryLevel> levels;   // the nearest first, memory last
  double launch_ns = 0;              // from the call to the end of a launch of nothing on each thread
  std::string measured;              // "2026-11-26 12:00 UTC"
  bool disturbed = false;            // other processes ran on its processors meanwhile: the rates are too low

  // Of a dot unit; of one that the level has no instruction for, that of fma.
  const Rate &FlopsOf(const std::string &unit) const;
  double memory_bytes_per_s() const { return levels.back().rate.all; }
};

// Rates that are typical of processors of a CPU level, the same on every machine: for choices that may not
// depend on what was measured. `cpu_level` as in runtime/device/cpu.h; `threads` >= 1.
Calibration NominalMachine(const std::string &cpu_level, int threads);

// Takes about two seconds, with every thread of the pool busy. FailedPrecondition below level avx2;
// ResourceExhausted without memory for the arrays.
absl::StatusOr<Calibration> Calibrate(ThreadPool &pool, const std::string &cpu_level);

// The calibration that an earlier call left in a file of the user's cache folder ($XDG_CACHE_HOME/weft or
// ~/.cache/weft), for this processor, level and number of threads; measured and left there when there is
// none, or with `again`. What was disturbed is not left there. A cache that cannot be written or read is told
// to `say`, and is no error.
absl::StatusOr<Calibration> CachedCalibration(ThreadPool &pool, const std::string &cpu_level, bool again,
                                              void (*say)(const std::string &));
// "" without a home. For messages.
std::string CalibrationPath(const Calibration &machine);

std::string CalibrationJson(const Calibration &calibration);
// InvalidArgument says what is wrong with the text, after `name`.
absl::StatusOr<Calibration> ParseCalibration(std::string_view text, const std::string &name);

// "model name" of /proc/cpuinfo; "unknown" without one.
std::string ProcessorName();

} // namespace weft
