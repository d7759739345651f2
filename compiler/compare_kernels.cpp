#include "compiler/compare_kernels.h"
#include <cmath>
#include <csignal>
#include <dlfcn.h>
#include <sys/wait.h>
#include <unistd.h>

using namespace launch_data;
using llvm::StringRef;
namespace weft {
namespace {

// More than this is not worth the time of compiling.
constexpr double kMostFlops = 5e10;
constexpr int64_t kMostBytes = int64_t{1} << 31;
constexpr unsigned kSeconds = 120; // of the whole comparison, before it counts as endless

Kernel load(StringRef image, const std::string &name) {
  int fd = memfd_create("weft-kernel", 0);
  if (fd < 0 || write(fd, image.data(), image.size()) != ssize_t(image.size())) return nullptr;
  void *handle = dlopen(("/proc/self/fd/" + std::to_string(fd)).c_str(), RTLD_NOW | RTLD_LOCAL);
  return handle ? reinterpret_cast<Kernel>(dlsym(handle, name.c_str())) : nullptr;
}

double valueAt(Type type, const char *at) {
  if (type == f64) {
    double v;
    memcpy(&v, at, 8);
    return v;
  }
  uint32_t word = 0;
  if (type == bf16) {
    uint16_t half;
    memcpy(&half, at, 2);
    word = uint32_t(half) << 16;
  } else
    memcpy(&word, at, 4);
  float v;
  memcpy(&v, &word, 4);
  return v;
}

void compare(const Launch &l, const Memory &a, const Memory &b, KernelComparison &out) {
  for (size_t i = 0; i < l.buffers.size(); ++i) {
    const Buffer &buffer = l.buffers[i];
    if (!buffer.output) continue;
    int64_t size = bytes_of(buffer.type), count = buffer.bytes / size;
    bool isFloat = buffer.type == f32 || buffer.type == f64 || buffer.type == bf16;
    double largest = 0, difference = 0;
    for (int64_t e = 0; e < count; ++e) {
      const char *x = a.buffers()[i] + e * size, *y = b.buffers()[i] + e * size;
      bool same = !memcmp(x, y, size);
      out.differing += !same;
      if (!isFloat) {
        if (!same) out.relative = INFINITY;
        continue;
      }
      double was = valueAt(buffer.type, x), is = valueAt(buffer.type, y);
      if (std::isfinite(was)) largest = std::max(largest, std::fabs(was));
      if (!same && !(std::isnan(was) && std::isnan(is)))
        difference =
            std::isfinite(was) && std::isfinite(is) ? std::max(difference, std::fabs(was - is)) : INFINITY;
    }
    out.elements += count;
    if (difference > 0) out.relative = std::max(out.relative, largest > 0 ? difference / largest : INFINITY);
  }
}

// In the child. What is wrong, or "".
std::string run(StringRef first, StringRef second, const std::string &name, llvm::ArrayRef<Launch> launches,
                llvm::ArrayRef<Launch> others, KernelComparison &out, int progress) {
  prepare_thread();
  Kernel mine = load(first, name), theirs = load(second, name);
  if (!mine || !theirs) return "the code cannot be loaded";
  for (size_t i = 0; i < launches.size(); ++i) {
    const Launch &l = launches[i], &other = others[i];
    int64_t bytes = 0;
    for (int64_t block : l.blocks) bytes += block;
    if (l.flops > kMostFlops || bytes > kMostBytes) {
      ++out.skipped;
      continue;
    }
    ++out.launches;
    // Which launch, and whose turn it is, for the message should it crash.
    auto tell = [&](char whose) {
      char step[2] = {char(i), whose};
      (void)!write(progress, step, 2);
    };
    for (uint64_t seed : {1, 2}) {
      Memory a, b, c;
      if (!a.take(l, 1) || !b.take(other, 1) || !c.take(other, 1))
        return "there is not enough memory to run it";
      a.fill(l, seed);
      b.fill(other, seed);
      c.fill(other, seed);
      tell('o');
      if (l.items > 0) mine(a.buffers(), l.sizes.data(), 0, l.items, a.scratch(0));
      tell('s');
      if (other.items > 0) theirs(b.buffers(), other.sizes.data(), 0, other.items, b.scratch(0));
      for (int64_t t = 0; t < 3; ++t) {
        int64_t blocks = (other.items + other.grain - 1) / other.grain;
        int64_t begin = std::min(other.items, blocks * t / 3 * other.grain),
                end = std::min(other.items, blocks * (t + 1) / 3 * other.grain);
        if (begin < end) theirs(c.buffers(), other.sizes.data(), begin, end, c.scratch(0));
      }
      compare(l, a, b, out);
      KernelComparison parts;
      compare(other, b, c, parts);
      if (parts.differing)
        return "results depend on how work items are cut into ranges: with threads they would differ "
               "(launch " +
               std::to_string(i) + ")";
    }
  }
  return "";
}

} // namespace

std::variant<KernelComparison, std::string> compareKernels(StringRef first, StringRef second,
                                                           const std::string &name,
                                                           llvm::ArrayRef<Launch> launches,
                                                           llvm::ArrayRef<Launch> others) {
  int result[2], progress[2];
  if (pipe(result) != 0) return std::string("cannot make a pipe");
  if (pipe(progress) != 0) {
    close(result[0]), close(result[1]);
    return std::string("cannot make a pipe");
  }
  fflush(nullptr);
  pid_t child = fork();
  if (child == 0) {
    for (int signal : {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGALRM}) ::signal(signal, SIG_DFL);
    alarm(kSeconds);
    KernelComparison out;
    std::string problem = run(first, second, name, launches, others, out, progress[1]);
    (void)!write(result[1], &out, sizeof out);
    (void)!write(result[1], problem.data(), problem.size());
    _exit(0);
  }
  close(result[1]), close(progress[1]);
  std::string said, steps;
  char buffer[4096];
  if (child > 0) {
    // The child has few launches: its steps fit into the pipe.
    for (ssize_t n; (n = read(result[0], buffer, sizeof buffer)) > 0;) said.append(buffer, n);
    for (ssize_t n; (n = read(progress[0], buffer, sizeof buffer)) > 0;) steps.append(buffer, n);
  }
  close(result[0]), close(progress[0]);
  int status = 0;
  if (child < 0) return std::string("cannot start a process");
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  if (!WIFEXITED(status) || said.size() < sizeof(KernelComparison)) {
    std::string where = steps.size() < 2 ? "" : " on launch " + std::to_string(int(steps[steps.size() - 2]));
    bool original = !steps.empty() && steps.back() == 'o';
    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM)
      return "it did not end within " + std::to_string(kSeconds) + " s" + where;
    return (original ? "the compiler's own kernel was ended by " : "it was ended by ") +
           (WIFSIGNALED(status) ? std::string(strsignal(WTERMSIG(status))) : "an exit") + where +
           (WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV && !original
                ? ": does it reach behind a buffer?"
                : "");
  }
  KernelComparison out;
  memcpy(&out, said.data(), sizeof out);
  if (said.size() > sizeof out) return said.substr(sizeof out);
  return out;
}

} // namespace weft
