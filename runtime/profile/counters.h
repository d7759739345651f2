// The processor's counters, where the machine lets a process read them (perf_event_open).
#pragma once
#include "runtime/device/thread_pool.h"

#include "absl/status/statusor.h"

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace weft {

inline constexpr int kNumCounters = 4;
inline constexpr const char *kCounterNames[kNumCounters] = {"cycles", "instructions", "cache_references",
                                                            "cache_misses"};
using CounterValues = std::array<uint64_t, kNumCounters>;

// One group of counters a thread of a pool, counting user space from now on.
class Counters {
public:
  // Opens them on every thread of `pool`, which must outlive it. Unimplemented or PermissionDenied say what
  // the machine lacks, or which setting forbids it.
  static absl::StatusOr<std::unique_ptr<Counters>> Open(ThreadPool &pool);
  ~Counters();
  Counters(const Counters &) = delete;

  // Of the calling thread, which is number `thread` of the pool. A counter that the machine lacks stays 0.
  CounterValues Read(int thread) const;
  bool has(int counter) const { return has_[counter]; }

private:
  Counters() = default;
  struct Group {
    int fds[kNumCounters] = {-1, -1, -1, -1};
    int size = 0;
    int places[kNumCounters] = {};
  };
  std::vector<Group> groups_;
  std::array<bool, kNumCounters> has_{};
};

} // namespace weft
