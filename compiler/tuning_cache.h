// What --tune has found out about a kernel on a machine, kept in the user's cache folder: a small JSON file a
// kernel and launch, looked up whenever the kernel is compiled again.
#pragma once
#include "absl/status/statusor.h"
#include <array>
#include <cstdint>
#include <string>
#include <string_view>

namespace weft {

// The fields of #kernel.schedule, in its order.
using ScheduleFields = std::array<int64_t, 6>;

struct TunedSchedule {
  std::string key;                  // everything that the finding depends on: see tuningKey
  ScheduleFields schedule{}, own{}; // the fastest, and the one that the compiler would have chosen
  double ms = 0, ownMs = 0;         // medians of a call
  int64_t candidates = 0;           // that were measured
  std::string measured;             // "2026-11-26 12:00 UTC"
};

std::string tunedScheduleJson(const TunedSchedule &tuned);
// InvalidArgument says what is wrong with the text, after `name`. What it holds is checked for being of its
// kind; whether the schedule suits a kernel is the caller's to check.
absl::StatusOr<TunedSchedule> parseTunedSchedule(std::string_view text, const std::string &name);

// $XDG_CACHE_HOME/weft/schedules, or ~/.cache/weft/schedules; "" without a home, and with
// WEFT_TUNING_CACHE=off.
std::string tuningFolder();
// The file of a key in that folder; "" without one.
std::string tuningPath(const std::string &key);

// NotFound when there is none of the key; InvalidArgument when the file is damaged or of another key.
absl::StatusOr<TunedSchedule> loadTuned(const std::string &key);
// Written to another name and renamed. Nothing happens without a folder.
absl::Status storeTuned(const TunedSchedule &tuned);

// The part of a key that is of the machine and the compiler: processor, caches, level of instructions, number
// of threads, and a hash of the code generator's sources.
std::string machineKey(const std::string &level, int threads);

} // namespace weft
