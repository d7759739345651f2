#include "compiler/kernels/compare_kernels.h"
#include "compiler/kernels/run_apart.h"
#include <cmath>
#include <csignal>

using namespace launch_data;
using llvm::StringRef;
namespace weft {
namespace {

// More than this is not worth the time of compiling.
constexpr double kMostFlops = 5e10;
constexpr int64_t kMostBytes = int64_t{1} << 31;
constexpr unsigned kSeconds = 120; // of the whole comparison, before it counts as endless

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
                llvm::ArrayRef<Launch> others, KernelComparison &out, Tell say) {
  prepare_thread();
  Kernel mine = findFunction(loadImage(first), name), theirs = findFunction(loadImage(second), name);
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
      char step[2] = {whose, char(i)};
      say(step, 2);
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
        int64_t begin = other.items * t / 3, end = other.items * (t + 1) / 3;
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
  // The child says which launch it is at, two bytes each, then R, the comparison and what is wrong.
  ApartEnd end = runApart(kSeconds, [&](Tell tell) {
    KernelComparison out;
    std::string problem = run(first, second, name, launches, others, out, tell);
    tell("R", 1);
    tell(&out, sizeof out);
    tell(problem.data(), problem.size());
  });
  if (!end.problem.empty()) return end.problem;
  size_t at = 0;
  while (at + 1 < end.said.size() && end.said[at] != 'R') at += 2;
  if (!end.finished || end.said.size() < at + 1 + sizeof(KernelComparison)) {
    std::string where = at < 2 ? "" : " on launch " + std::to_string(int(end.said[at - 1]));
    bool original = at >= 2 && end.said[at - 2] == 'o';
    if (end.signal == SIGALRM) return "it did not end within " + std::to_string(kSeconds) + " s" + where;
    return (original ? "the compiler's own kernel was ended by " : "it was ended by ") +
           signalText(end.signal) + where +
           (end.signal == SIGSEGV && !original ? ": does it reach behind a buffer?" : "");
  }
  KernelComparison out;
  memcpy(&out, end.said.data() + at + 1, sizeof out);
  if (end.said.size() > at + 1 + sizeof out) return end.said.substr(at + 1 + sizeof out);
  return out;
}

} // namespace weft
