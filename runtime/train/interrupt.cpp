#include "runtime/train/interrupt.h"

#include <atomic>
#include <cerrno>
#include <csignal>
#include <unistd.h>

namespace weft {
namespace {

std::atomic<int> requests{0}; // lock-free, so a handler may use it
struct sigaction old_int, old_term, old_hup, old_pipe;

void Handle(int signal) {
  if (requests.fetch_add(1) == 0) {
    static const char text[] = "\nsaving a checkpoint after this step; once more to leave at once\n";
    int error = errno; // of the call that the signal came into
    [[maybe_unused]] ssize_t n = write(STDERR_FILENO, text, sizeof text - 1);
    errno = error;
    return;
  }
  _exit(128 + signal);
}

} // namespace

InterruptGuard::InterruptGuard() {
  requests = 0;
  struct sigaction action = {};
  action.sa_handler = Handle;
  sigemptyset(&action.sa_mask);
  // Not deferred: the second must get through where the first waits to write to a terminal that is stopped.
  action.sa_flags = SA_RESTART | SA_NODEFER;
  sigaction(SIGINT, &action, &old_int);
  sigaction(SIGTERM, &action, &old_term);
  sigaction(SIGHUP, &action, &old_hup);
  if (old_hup.sa_handler == SIG_IGN) sigaction(SIGHUP, &old_hup, nullptr);
  action.sa_handler = SIG_IGN;
  sigaction(SIGPIPE, &action, &old_pipe);
}

InterruptGuard::~InterruptGuard() {
  sigaction(SIGINT, &old_int, nullptr);
  sigaction(SIGTERM, &old_term, nullptr);
  sigaction(SIGHUP, &old_hup, nullptr);
  sigaction(SIGPIPE, &old_pipe, nullptr);
}

bool InterruptGuard::requested() const { return requests > 0; }

} // namespace weft
