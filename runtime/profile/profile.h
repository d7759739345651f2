// What a profile holds. docs/profiling.md says what each number means and how it is measured.
#pragma once
#include "runtime/profile/calibration.h"
#include "runtime/profile/counters.h"

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace weft {

// Sums over every execution of something in all measured steps and ranks.
struct Work {
  int64_t calls = 0;
  int64_t wall_ns = 0;         // from its launch until its last thread is done
  int64_t busy_ns = 0;         // within it, summed over the threads
  double flops = 0, bytes = 0; // of a large model more than 64 bits count
  double roof_ns = 0;          // what the machine's peaks allow: FLOPs by the dot unit, bytes by memory
  double predicted_ns = 0;     // what the cost model says
  CounterValues counters{};

  void Add(const Work &other);
};

struct ProfileLine {
  std::string file; // as the compiler was given it
  int32_t line = 0;
  std::string module; // "layers.self_attn.q_proj"
};

struct ProfileKernel {
  std::string name, family, schedule, reduction, unit; // unit: its dot unit
  std::vector<int32_t> lines;                          // that it covers, in Profile.lines
  Work work;
};

// One instruction of train_step, of every iteration of the loops around it.
struct ProfileSite {
  std::string kind;    // "launch", "copy", "zero", "all_reduce", "send", "receive"
  int32_t kernel = -1; // in Profile.kernels, of a launch
  int32_t line = -1;   // in Profile.lines: where it came from
  int32_t stage = 0;
  int32_t loops = 0;                 // around it
  int64_t least_ns = 0, most_ns = 0; // of one execution
  Work work;
};

// One thread's time over all measured steps; the parts add up to the steps.
struct ThreadTime {
  int32_t rank = 0, thread = 0;
  int64_t kernels_ns = 0;       // computing
  int64_t moves_ns = 0;         // copying and zeroing
  int64_t communication_ns = 0; // in collectives (thread 0)
  int64_t launch_ns = 0;        // from an instruction's start to the thread's share
  int64_t waiting_ns = 0;       // for the other threads, for the host, for other ranks
  int64_t host_ns = 0;          // between instructions (thread 0)
  int64_t data_ns = 0;          // filling the batch (thread 0)

  int64_t Sum() const {
    return kernels_ns + moves_ns + communication_ns + launch_ns + waiting_ns + host_ns + data_ns;
  }
};

struct MemoryOwner {
  std::string what;
  int32_t line = -1;
  int64_t bytes = 0;
};

// The arena of the first rank over one step, as its instructions use it.
struct MemoryTimeline {
  int64_t arena_bytes = 0;                         // planned
  std::vector<std::pair<int64_t, int64_t>> points; // ns from the step's start, bytes in use
  int64_t peak_ns = 0, peak_bytes = 0;
  std::vector<MemoryOwner> owners;  // of the peak, by the instruction that wrote it; the largest first
  std::vector<MemoryOwner> planned; // who holds the arena at the plan's peak, as the compiler says
};

struct Profile {
  std::string model, recipe;                                // recipe: TOML, every key
  std::vector<std::pair<std::string, std::string>> options; // the artifact's
  Calibration machine;
  std::string made;                           // when
  std::string weights;                        // "first values", or the checkpoint they are of
  std::string no_counters;                    // why there are none; "" = there are
  int64_t ranks = 1, threads = 1, tokens = 0; // threads: of a rank; tokens: of a step
  std::vector<int64_t> step_ns;               // measured steps, with the profiler
  std::vector<int64_t> plain_ns;              // steps in between, without it
  int64_t preemptions = 0; // how often a thread was put aside for another process, in the measured steps
  std::vector<ProfileLine> lines;
  std::vector<ProfileKernel> kernels; // those that were launched
  std::vector<ProfileSite> sites;
  // What is left of the steps' wall time, summed over the ranks.
  int64_t host_ns = 0, data_ns = 0, other_ranks_ns = 0;
  std::vector<ThreadTime> thread_times;
  MemoryTimeline memory;

  int64_t steps() const { return static_cast<int64_t>(step_ns.size()); }
  // Wall time of the measured steps, once a rank: what all sites, host, data and other ranks add up to.
  int64_t total_ns() const;
  // Of one step, in milliseconds: a sum over steps and ranks, divided.
  double StepMs(double total_ns) const { return total_ns / 1e6 / static_cast<double>(steps() * ranks); }
};

double Median(std::vector<int64_t> values); // 0 of none

// "llama.cc:24 (layers.self_attn)"; "" for -1.
std::string LineText(const Profile &profile, int32_t line);

// A sum over some sites, under a name: the rows of a table.
struct WorkRow {
  std::string name;
  int32_t index = -1; // in what the rows are of: kernels, or lines
  Work work;
};
// By kernel, the longest first; copies, zeroing and each collective are rows of their own, with index -1.
std::vector<WorkRow> RowsByKernel(const Profile &profile);
// By model line, the longest first.
std::vector<WorkRow> RowsByLine(const Profile &profile);

// The whole as JSON, and back. ParseProfile: InvalidArgument says what is wrong with the text, after `name`.
std::string ProfileJson(const Profile &profile);
absl::StatusOr<Profile> ParseProfile(std::string_view text, const std::string &name);
// Reads PATH, or PATH/profile.json of a folder.
absl::StatusOr<Profile> ReadProfile(const std::string &path);

} // namespace weft
