// Ctrl-C and SIGTERM while a run is going: the first asks it to save and leave, the second ends the process
// at once.
#pragma once

namespace weft {

// Installs the handlers while it lives; one at a time.
class InterruptGuard {
public:
  InterruptGuard();
  ~InterruptGuard();
  InterruptGuard(const InterruptGuard &) = delete;
  InterruptGuard &operator=(const InterruptGuard &) = delete;
  bool requested() const;
};

} // namespace weft
