// Runs a program and keeps what it says.
#pragma once

#include <cerrno>
#include <csignal>
#include <fcntl.h>
#include <spawn.h>
#include <string>
#include <sys/wait.h>
#include <unistd.h>
#include <vector>

#include "tests/runtime/data/temp_folder.h"

extern char **environ;

namespace weft {

struct ChildResult {
  int status = 0;      // exit status; 128 + the signal that ended it
  bool exited = false; // and not ended by a signal
  std::string out, error;
};

// `weft` with its arguments, started in the background; output goes to files of a folder that must outlive
// it.
class Child {
public:
  // `error_fd`, where given, is stderr instead; `input` is read as stdin.
  Child(const TempFolder &folder, std::vector<std::string> arguments, int error_fd = -1,
        const std::string &input = "/dev/null")
      : out_(folder / "stdout"), error_(folder / "stderr") {
    arguments.insert(arguments.begin(), WEFT_PATH);
    std::vector<char *> argv;
    for (std::string &argument : arguments) argv.push_back(argument.data());
    argv.push_back(nullptr);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 0, input.c_str(), O_RDONLY, 0);
    posix_spawn_file_actions_addopen(&actions, 1, out_.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0644);
    if (error_fd < 0)
      posix_spawn_file_actions_addopen(&actions, 2, error_.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0644);
    else
      posix_spawn_file_actions_adddup2(&actions, error_fd, 2);
    if (posix_spawn(&pid_, WEFT_PATH, &actions, nullptr, argv.data(), environ) != 0) pid_ = -1;
    posix_spawn_file_actions_destroy(&actions);
  }
  ~Child() {
    if (pid_ > 0) {
      kill(pid_, SIGKILL);
      Wait();
    }
  }
  Child(const Child &) = delete;
  void Signal(int signal) { kill(pid_, signal); }
  // Whether a signal was sent that the process has not taken yet.
  bool HasPending(int signal) const {
    std::string status = Slurp("/proc/" + std::to_string(pid_) + "/status");
    for (const char *mask : {"SigPnd:\t", "ShdPnd:\t"})
      if (size_t at = status.find(mask); at != std::string::npos)
        if (std::stoull(status.substr(at + 8, 16), nullptr, 16) >> (signal - 1) & 1) return true;
    return false;
  }
  std::string Out() const { return Slurp(out_); }
  std::string Error() const { return Slurp(error_); }
  // Waits until stderr has `text`; false when that takes half a minute.
  bool Says(const std::string &text) const {
    for (int i = 0; i < 6000 && Error().find(text) == std::string::npos; ++i) usleep(5000);
    return Error().find(text) != std::string::npos;
  }
  ChildResult Wait() {
    int status = 0;
    while (waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
    }
    pid_ = -1;
    return {WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status), bool(WIFEXITED(status)),
            Slurp(out_), Slurp(error_)};
  }

private:
  std::string out_, error_;
  pid_t pid_ = -1;
};

} // namespace weft
