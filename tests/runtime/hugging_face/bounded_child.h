// Runs a function in a process of its own and measures the memory that it took.
#pragma once

#include <functional>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

namespace weft {

// The most resident memory, bytes; -1 when `work` returns false or the process ends otherwise.
inline int64_t PeakBytesOf(const std::function<bool()> &work) {
  int pipes[2];
  if (pipe(pipes) != 0) return -1;
  pid_t child = fork();
  if (child == 0) {
    int64_t peak = -1;
    struct rusage usage;
    if (work() && getrusage(RUSAGE_SELF, &usage) == 0) peak = int64_t{usage.ru_maxrss} * 1024;
    ssize_t n = write(pipes[1], &peak, sizeof peak);
    _exit(n == sizeof peak ? 0 : 1);
  }
  close(pipes[1]);
  int64_t peak = -1;
  int status = 0;
  if (read(pipes[0], &peak, sizeof peak) != sizeof peak) peak = -1;
  close(pipes[0]);
  waitpid(child, &status, 0);
  return peak;
}

} // namespace weft
