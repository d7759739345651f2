// Looks on while a session launches kernels: for searching, not for timing.
#pragma once
#include "runtime/artifact/reader.h"

#include "absl/types/span.h"

#include <cstdint>

namespace weft {

struct ObservedLaunch {
  const fb::Launch *launch;
  const fb::Kernel *kernel;
  int entry;
  absl::Span<char *const> buffers; // an address for each of the launch's references
  absl::Span<const int64_t> loops; // iterations of the loops around it, outermost first
};

// Called on the thread that runs the session. Before may change what the launch is about to overwrite.
class LaunchObserver {
public:
  virtual ~LaunchObserver() = default;
  virtual void Before(const ObservedLaunch &launch) = 0;
  virtual void After(const ObservedLaunch &launch) = 0;
};

} // namespace weft
