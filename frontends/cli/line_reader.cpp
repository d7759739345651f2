#include "frontends/cli/line_reader.h"

#include <atomic>
#include <cerrno>
#include <csignal>
#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

namespace weft {
namespace {

std::atomic<int> presses{0}; // lock-free, so a handler may use it
int pipe_ends[2] = {-1, -1};
struct sigaction old_action;

void Handle(int signal) {
  int error = errno; // of the call that the signal came into
  if (presses.fetch_add(1) > 0) {
    [[maybe_unused]] ssize_t n = write(STDOUT_FILENO, "\n", 1);
    _exit(128 + signal);
  }
  [[maybe_unused]] ssize_t n = write(pipe_ends[1], "", 1);
  errno = error;
}

} // namespace

CtrlC::CtrlC() {
  presses = 0;
  if (pipe2(pipe_ends, O_CLOEXEC | O_NONBLOCK) != 0) pipe_ends[0] = pipe_ends[1] = -1;
  struct sigaction action = {};
  action.sa_handler = Handle;
  sigemptyset(&action.sa_mask);
  action.sa_flags = SA_RESTART;
  sigaction(SIGINT, &action, &old_action);
}

CtrlC::~CtrlC() {
  sigaction(SIGINT, &old_action, nullptr);
  for (int &end : pipe_ends) {
    if (end >= 0) close(end);
    end = -1;
  }
}

bool CtrlC::pressed() const { return presses > 0; }

bool CtrlC::Take() {
  char bytes[16];
  while (pipe_ends[0] >= 0 && read(pipe_ends[0], bytes, sizeof bytes) > 0) {
  }
  return presses.exchange(0) > 0;
}

int CtrlC::fd() const { return pipe_ends[0]; }

LineReader::Got LineReader::Read(std::string &line) {
  bool too_long = false;
  for (size_t searched = 0;;) {
    if (size_t at = buffer_.find('\n', searched); at != std::string::npos) {
      line = buffer_.substr(0, at);
      buffer_.erase(0, at + 1);
      if (!line.empty() && line.back() == '\r') line.pop_back();
      return too_long || line.size() > kMaxBytes ? Got::too_long : Got::line;
    }
    searched = buffer_.size();
    if (buffer_.size() > kMaxBytes) too_long = true, searched = 0, buffer_.clear();
    if (end_) {
      if (too_long) return buffer_.clear(), Got::too_long;
      if (buffer_.empty()) return Got::end;
      line = std::move(buffer_);
      buffer_.clear();
      return Got::line;
    }
    pollfd wait[2] = {{STDIN_FILENO, POLLIN, 0}, {ctrl_c_.fd(), POLLIN, 0}};
    if (poll(wait, 2, -1) < 0 && errno != EINTR) return Got::failed;
    if (ctrl_c_.pressed()) {
      buffer_.clear();
      return Got::interrupted;
    }
    if (!(wait[0].revents & (POLLIN | POLLHUP | POLLERR | POLLNVAL))) continue;
    char bytes[4096];
    ssize_t got = read(STDIN_FILENO, bytes, sizeof bytes);
    if (got < 0 && errno != EINTR && errno != EAGAIN) return Got::failed;
    if (got == 0) end_ = true;
    if (got > 0) buffer_.append(bytes, static_cast<size_t>(got));
  }
}

} // namespace weft
