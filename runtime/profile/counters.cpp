#include "runtime/profile/counters.h"
#include "runtime/data/file_io.h"

#include "absl/strings/str_cat.h"

#include <cerrno>
#include <cstring>
#include <fstream>
#include <linux/perf_event.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace weft {
namespace {

constexpr uint64_t kEvents[kNumCounters] = {PERF_COUNT_HW_CPU_CYCLES, PERF_COUNT_HW_INSTRUCTIONS,
                                            PERF_COUNT_HW_CACHE_REFERENCES, PERF_COUNT_HW_CACHE_MISSES};

// Counts the calling thread wherever it runs; -1 with errno set.
int OpenCounter(uint64_t event, int group) {
  perf_event_attr attributes;
  std::memset(&attributes, 0, sizeof attributes);
  attributes.size = sizeof attributes;
  attributes.type = PERF_TYPE_HARDWARE;
  attributes.config = event;
  attributes.exclude_kernel = attributes.exclude_hv = 1; // what perf_event_paranoid = 2 allows
  attributes.read_format = PERF_FORMAT_GROUP;
  return static_cast<int>(syscall(SYS_perf_event_open, &attributes, 0, -1, group,
                                  static_cast<unsigned long>(PERF_FLAG_FD_CLOEXEC)));
}

absl::Status Refused(int error) {
  if (error == EACCES || error == EPERM) {
    std::ifstream file("/proc/sys/kernel/perf_event_paranoid");
    std::string setting;
    std::getline(file, setting);
    return absl::PermissionDeniedError(
        absl::StrCat("the system forbids the processor's counters (kernel.perf_event_paranoid is ",
                     setting.empty() ? "not there" : setting,
                     "; 2 or less allows them, where no sandbox forbids "
                     "perf_event_open)"));
  }
  if (error == ENOENT || error == EOPNOTSUPP || error == ENODEV || error == ENOSYS)
    return absl::UnimplementedError(
        "this machine shows no counters of the processor, as most virtual machines do");
  return absl::UnavailableError(
      absl::StrCat("the processor's counters cannot be opened: ", std::strerror(error)));
}

} // namespace

absl::StatusOr<std::unique_ptr<Counters>> Counters::Open(ThreadPool &pool) {
  std::unique_ptr<Counters> counters(new Counters);
  counters->groups_.resize(pool.size());
  std::vector<int> errors(pool.size(), 0);
  pool.OnEach([&](int thread) {
    Group &group = counters->groups_[thread];
    for (int c = 0; c < kNumCounters; ++c) {
      int fd = OpenCounter(kEvents[c], group.size > 0 ? group.fds[0] : -1);
      if (fd < 0 && c == 0) {
        errors[thread] = errno;
        return;
      }
      if (fd < 0) continue;
      group.places[group.size] = c;
      group.fds[group.size++] = fd;
    }
  });
  for (int error : errors)
    if (error != 0) return Refused(error);
  for (const Group &group : counters->groups_)
    for (int i = 0; i < group.size; ++i) counters->has_[group.places[i]] = true;
  return counters;
}

Counters::~Counters() {
  for (const Group &group : groups_)
    for (int i = group.size; i-- > 0;) close(group.fds[i]);
}

CounterValues Counters::Read(int thread) const {
  CounterValues values{};
  const Group &group = groups_[thread];
  uint64_t read_values[1 + kNumCounters] = {}; // how many, then each
  if (group.size == 0 || read(group.fds[0], read_values, sizeof read_values) <= 0) return values;
  for (int i = 0; i < group.size && i < static_cast<int>(read_values[0]); ++i)
    values[group.places[i]] = read_values[1 + i];
  return values;
}

} // namespace weft
