// strike PATTERN N [--torn] -- COMMAND…: runs a command and kills it (SIGKILL) as its Nth call begins that
// changes a file and matches the regular expression PATTERN. With --torn a write stores half of its bytes
// first, as a machine that stops would leave it.
//
// What is matched is the call and the path: "fsync RUN/checkpoints/.tmp-step-000002/model.safetensors". The
// calls are write, fsync, ftruncate, open (with O_CREAT), mkdir, rename and unlink. Says "struck: …" and
// leaves with 137; with the command's own status when it ended before, and 77 where tracing is not allowed.
#include <cerrno>
#include <climits>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <regex>
#include <string>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

// <linux/ptrace.h> cannot be included beside <sys/ptrace.h>, which has this under another name.
using SyscallInfo = __ptrace_syscall_info;

namespace {

std::string OpenPath(pid_t thread, uint64_t fd) {
  char path[PATH_MAX];
  std::string link = "/proc/" + std::to_string(thread) + "/fd/" + std::to_string(fd);
  ssize_t n = readlink(link.c_str(), path, sizeof path);
  return n > 0 ? std::string(path, n) : "";
}

std::string TextAt(pid_t thread, uint64_t address) {
  char text[PATH_MAX] = {};
  iovec here{text, sizeof text - 1}, there{reinterpret_cast<void *>(address), sizeof text - 1};
  // What is asked for may reach beyond the last page: less, then.
  for (; here.iov_len > 0; here.iov_len /= 2, there.iov_len = here.iov_len)
    if (process_vm_readv(thread, &here, 1, &there, 1, 0) > 0) break;
  return text;
}

// "fsync PATH" for a call that changes a file; "" for any other.
std::string Change(pid_t thread, const SyscallInfo &info) {
  const auto &args = info.entry.args;
  switch (info.entry.nr) {
  case SYS_write:
    return "write " + OpenPath(thread, args[0]);
  case SYS_pwrite64:
    return "write " + OpenPath(thread, args[0]);
  case SYS_fsync:
    return "fsync " + OpenPath(thread, args[0]);
  case SYS_ftruncate:
    return "ftruncate " + OpenPath(thread, args[0]);
  case SYS_openat:
    return args[2] & O_CREAT ? "open " + TextAt(thread, args[1]) : "";
  case SYS_mkdir:
    return "mkdir " + TextAt(thread, args[0]);
  case SYS_rename:
    return "rename " + TextAt(thread, args[0]);
  case SYS_renameat2:
    return "rename " + TextAt(thread, args[1]);
  case SYS_unlink:
    return "unlink " + TextAt(thread, args[0]);
  case SYS_unlinkat: // relative to an open folder
    return "unlink " + OpenPath(thread, args[0]) + "/" + TextAt(thread, args[1]);
  default:
    return "";
  }
}

void HalveWrite(pid_t thread, uint64_t bytes) {
  ptrace(PTRACE_POKEUSER, thread, offsetof(user_regs_struct, rdx), bytes / 2);
}

} // namespace

int main(int argc, char **argv) {
  bool torn = argc > 3 && !strcmp(argv[3], "--torn");
  int command = torn ? 5 : 4;
  if (argc <= command || strcmp(argv[command - 1], "--")) {
    std::fprintf(stderr, "usage: strike PATTERN N [--torn] -- COMMAND…\n");
    return 2;
  }
  std::regex pattern(argv[1]);
  long left = std::atol(argv[2]);
  pid_t child = fork();
  if (child == 0) {
    if (ptrace(PTRACE_TRACEME, 0, 0, 0) != 0) _exit(77);
    raise(SIGSTOP);
    execvp(argv[command], argv + command);
    _exit(127);
  }
  int status = 0;
  if (waitpid(child, &status, 0) < 0 || !WIFSTOPPED(status)) return 77;
  if (ptrace(PTRACE_SETOPTIONS, child, 0,
             PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACECLONE | PTRACE_O_TRACEEXEC | PTRACE_O_EXITKILL))
    return 77;
  ptrace(PTRACE_SYSCALL, child, 0, 0);
  pid_t falling = 0; // the thread whose write is cut short; the process is killed after it
  std::string struck;
  for (;;) {
    pid_t thread = waitpid(-1, &status, __WALL);
    if (thread < 0 && errno != EINTR) return 1;
    if (thread == child && (WIFEXITED(status) || WIFSIGNALED(status))) {
      if (!struck.empty()) std::printf("struck: %s\n", struck.c_str());
      return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    }
    if (thread < 0 || !WIFSTOPPED(status)) continue;
    int signal = WSTOPSIG(status);
    if (signal == (SIGTRAP | 0x80)) {
      signal = 0;
      SyscallInfo info = {};
      ptrace(PTRACE_GET_SYSCALL_INFO, thread, sizeof info, &info);
      if (thread == falling) kill(child, SIGKILL);
      if (info.op == PTRACE_SYSCALL_INFO_ENTRY && struck.empty()) {
        std::string change = Change(thread, info);
        if (!change.empty() && std::regex_search(change, pattern) && --left <= 0) {
          struck = change;
          if (torn && change.starts_with("write ") && info.entry.args[2] > 1) {
            HalveWrite(thread, info.entry.args[2]);
            falling = thread;
            struck = "half of " + change;
          } else {
            kill(child, SIGKILL);
          }
        }
      }
    } else if (status >> 16 || signal == SIGSTOP) {
      signal = 0; // an event of tracing, or a new thread's first stop
    }
    ptrace(PTRACE_SYSCALL, thread, 0, signal);
  }
}
