// Ctrl-C, SIGTERM and a terminal that goes away (SIGHUP) while a run is going: the first asks it to save and
// leave, the second ends the process at once.
#pragma once

namespace weft {

// Installs the handlers while it lives; one at a time. A SIGHUP that nohup ignores stays ignored. So does
// SIGPIPE meanwhile: `weft train … 2>&1 | tee log` saves, too, although Ctrl-C ends tee at once.
class InterruptGuard {
public:
  InterruptGuard();
  ~InterruptGuard();
  InterruptGuard(const InterruptGuard &) = delete;
  InterruptGuard &operator=(const InterruptGuard &) = delete;
  bool requested() const;
};

} // namespace weft
