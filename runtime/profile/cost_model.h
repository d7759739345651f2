// What a step should take: FLOPs over the dot unit's rate and what else goes through vector lanes over
// theirs; bytes over the rate of the cache level that holds them; of products both, of elementwise code the
// longer; and the launch.
#pragma once
#include "runtime/profile/calibration.h"
#include "runtime/profile/recorder.h"

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace weft {

// Where bytes are found that were touched before, when each level keeps the bytes touched last.
class CacheModel {
public:
  explicit CacheModel(const std::vector<MemoryLevel> &levels) : levels_(levels) {}
  // Touches [begin, end) and adds to `found`, by level, how many of its bytes were there.
  void Touch(int64_t begin, int64_t end, std::vector<int64_t> &found);

private:
  size_t LevelOf(int64_t distance) const;
  struct Range {
    int64_t end, stamp; // `clock_` when it was touched
  };
  const std::vector<MemoryLevel> &levels_;
  std::map<int64_t, Range> ranges_; // by begin, disjoint
  int64_t clock_ = 0;               // bytes touched so far
};

// The part of a launch's items that its busiest thread computes, and how many threads compute any.
struct Balance {
  double largest = 1;
  int threads = 1;
};
Balance BalanceOf(int64_t items, int threads);

// `dot_unit` of a kernel's printed reduction attribute ("… unit = \"vdpbf16\" …"); "fma" where it names none.
std::string DotUnitOf(const std::string &reduction);

// What a launch computes: FLOPs of its dot unit, elements through other vector lanes, bytes.
struct LaunchWork {
  std::string unit = "fma";
  double dot_flops = 0, vector_ops = 0, bytes = 0;
};

// Nanoseconds of one launch whose bytes are found as `found` says, in proportion.
double PredictLaunchNs(const Calibration &machine, const LaunchWork &work, const std::vector<int64_t> &found,
                       const Balance &balance);

// Predicts the instructions of a program one by one, in the order of a run: where an instruction finds its
// bytes depends on what was touched before it.
class StepModel {
public:
  StepModel(const Calibration &machine, int threads)
      : machine_(machine), threads_(threads), caches_(machine.levels), found_(machine.levels.size()) {}
  // What the next instruction reads or writes: bytes from `offset` of space `space` on (the arena, the
  // variables, an argument: numbers of the caller's).
  void Touch(int64_t space, int64_t offset, int64_t bytes);
  // Nanoseconds of the instruction whose bytes were touched since the one before: a launch, and a copy of
  // `bytes` or, without `reads`, a filling with zeros.
  double Launch(const LaunchWork &work, int64_t items);
  double Move(int64_t bytes, bool reads);

private:
  const Calibration &machine_;
  const int threads_;
  CacheModel caches_;
  std::vector<int64_t> found_; // of the next instruction, by level
};

// By step of the recorder's program, the mean prediction of its executions, ns: the events of one run of the
// entry, events [0, num_events), followed through a model of the caches that starts as the run before left
// it. 0 for what is not predicted: collectives, and steps that no event is of.
std::vector<double> PredictSteps(const Recorder &recorder, size_t num_events, const Calibration &machine);

} // namespace weft
