// What --tune has found out on a machine, kept in the user's cache folder: a small JSON file for a kernel and
// launch, and for a product and what may be computed behind it, looked up whenever they are compiled again.
#pragma once
#include "absl/status/statusor.h"
#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace weft {

// The fields of #kernel.schedule, in its order.
using ScheduleFields = std::array<int64_t, 5>;

// Of one question: everything that the answer depends on, and how it was found.
struct TunedFor {
  std::string key;          // machineKey or fusionMachineKey, and what is asked about
  double ms = 0, ownMs = 0; // medians of a call: of the fastest, and of what the compiler would have chosen
  int64_t candidates = 0;   // that were measured
  std::string measured;     // "2026-11-26 12:00 UTC"
};

struct TunedSchedule : TunedFor {
  ScheduleFields schedule{}, own{}; // the fastest, and the one that the compiler would have chosen
};

// By their numbers (passes.td, fuse-kernels), the values that are computed behind a product, and those that
// are not; of the others the compiler's choice is the fastest.
struct TunedFusion : TunedFor {
  std::vector<int64_t> behind, apart;
};

std::string tunedJson(const TunedSchedule &tuned);
std::string tunedJson(const TunedFusion &tuned);
// InvalidArgument says what is wrong with the text, after `name`. What it holds is checked for being of its
// kind; whether it suits a kernel or product is the caller's to check.
absl::StatusOr<TunedSchedule> parseTunedSchedule(std::string_view text, const std::string &name);
absl::StatusOr<TunedFusion> parseTunedFusion(std::string_view text, const std::string &name);

// $XDG_CACHE_HOME/weft/schedules, or ~/.cache/weft/schedules, and fusions beside it; "" without a home, and
// with WEFT_TUNING_CACHE=off.
std::string scheduleFolder();
std::string fusionFolder();
// The file of a key in a folder; "" without one.
std::string tuningPath(const std::string &folder, const std::string &key);

// NotFound when there is none of the key; InvalidArgument when the file is damaged or of another key.
absl::StatusOr<TunedSchedule> loadTunedSchedule(const std::string &key);
absl::StatusOr<TunedFusion> loadTunedFusion(const std::string &key);
// Written to another name and renamed. Nothing happens without a folder.
absl::Status storeTuned(const TunedSchedule &tuned);
absl::Status storeTuned(const TunedFusion &tuned);

// "2026-11-26 12:00 UTC".
std::string utcNow();

// The part of a key that is of the machine and the compiler: processor, caches, level of instructions, number
// of threads, and a hash of the code generator's sources.
std::string machineKey(const std::string &level, int threads);
// And of those that fuse and lower.
std::string fusionMachineKey(const std::string &level, int threads);

} // namespace weft
