#include "compiler/kernels/run_apart.h"
#include <cerrno>
#include <csignal>
#include <cstring>
#include <dlfcn.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

namespace weft {

static void writeAll(int to, const void *bytes, size_t size) {
  for (const char *at = static_cast<const char *>(bytes); size > 0;) {
    ssize_t n = write(to, at, size);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return; // the parent is gone
    at += n;
    size -= size_t(n);
  }
}

ApartEnd runApart(unsigned seconds, llvm::function_ref<void(Tell tell)> work) {
  ApartEnd end;
  int channel[2];
  if (pipe(channel) != 0) {
    end.problem = "cannot make a pipe";
    return end;
  }
  fflush(nullptr);
  pid_t child = fork();
  if (child == 0) {
    for (int signal : {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGALRM}) ::signal(signal, SIG_DFL);
    alarm(seconds);
    work([&](const void *bytes, size_t size) { writeAll(channel[1], bytes, size); });
    _exit(0);
  }
  close(channel[1]);
  if (child < 0) {
    close(channel[0]);
    end.problem = "cannot start a process";
    return end;
  }
  char buffer[4096];
  for (ssize_t n; (n = read(channel[0], buffer, sizeof buffer)) != 0;) {
    if (n < 0 && errno != EINTR) break;
    if (n > 0) end.said.append(buffer, n);
  }
  close(channel[0]);
  int status = 0;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  end.finished = WIFEXITED(status) && WEXITSTATUS(status) == 0;
  if (WIFSIGNALED(status)) end.signal = WTERMSIG(status);
  return end;
}

void *loadImage(llvm::StringRef image) {
  int fd = memfd_create("weft-kernel", MFD_CLOEXEC);
  if (fd < 0) return nullptr;
  if (write(fd, image.data(), image.size()) != ssize_t(image.size())) return nullptr;
  // The file stays open: another one of the same number would have the same name, and count as loaded
  // already.
  return dlopen(("/proc/self/fd/" + std::to_string(fd)).c_str(), RTLD_NOW | RTLD_LOCAL);
}

launch_data::Kernel findFunction(void *image, const std::string &name) {
  return image ? reinterpret_cast<launch_data::Kernel>(dlsym(image, name.c_str())) : nullptr;
}

std::string signalText(int signal) { return signal ? strsignal(signal) : "an exit"; }

} // namespace weft
