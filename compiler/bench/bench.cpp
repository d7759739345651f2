// Times one kernel on the launches that a program makes of it. `make` builds it; ./bench-s --help.
#include "launch_data.h"
#include <barrier>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <thread>

extern "C" void KERNEL(char *const *, const int64_t *, int64_t, int64_t, char *);

namespace launch_data {
extern const std::vector<Launch> launches; // launches.cpp

static std::vector<Launch> chosen;

static double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

// Thread t's share, all at once: threads of a program take `piece` items and more at a time.
static void call(const Launch &l, const Memory &memory, int threads, int t) {
  int64_t begin = l.items * t / threads, end = l.items * (t + 1) / threads;
  if (begin < end) KERNEL(memory.buffers(), l.sizes.data(), begin, end, memory.scratch(t));
}

// Seconds of each call, for about as long as asked.
static std::vector<double> time_calls(const Launch &l, const Memory &memory, int threads, double seconds) {
  std::vector<double> times;
  std::barrier<> start(threads), stop(threads);
  bool again = true;
  auto work = [&](int t) {
    prepare_thread();
    double begin = now();
    for (;;) {
      start.arrive_and_wait();
      double from = now();
      call(l, memory, threads, t);
      stop.arrive_and_wait();
      if (t == 0) {
        times.push_back(now() - from);
        again = now() - begin < seconds || times.size() < 5;
      }
      start.arrive_and_wait();
      if (!again) return;
    }
  };
  std::vector<std::thread> others;
  for (int t = 1; t < threads; ++t) others.emplace_back(work, t);
  work(0);
  for (std::thread &thread : others) thread.join();
  std::sort(times.begin(), times.end());
  return times;
}

static std::string outputs_of(const Launch &l, const Memory &memory) {
  std::string out;
  for (size_t i = 0; i < l.buffers.size(); ++i)
    if (l.buffers[i].output) out.append(memory.buffers()[i], l.buffers[i].bytes);
  return out;
}

static uint64_t hash_of(const std::string &bytes) { // FNV-1a
  uint64_t hash = 0xcbf29ce484222325;
  for (unsigned char byte : bytes) hash = (hash ^ byte) * 0x100000001b3;
  return hash;
}

static int run(int argc, char **argv) {
  int threads = 1, only = -1;
  double seconds = 1;
  uint64_t seed = 1;
  std::string write, compare, items;
  for (int i = 1; i < argc; ++i) {
    std::string a = argv[i], value = i + 1 < argc ? argv[i + 1] : "";
    if (a == "--help" || a == "-h") {
      std::puts(
          "usage: ./bench-s [--threads N] [--seconds S] [--launch I] [--seed N] [--write FILE] [--compare "
          "FILE] [--items FILE]\n"
          "median time of a call; bits: a hash of what it computes from the seed's data\n"
          "  --write FILE    what the launches compute; --compare FILE: says what differs from such a file\n"
          "  --items FILE    work items and scratch bytes of each launch, of another schedule (weftc "
          "compile-kernel --items)");
      return 0;
    }
    if (value.empty()) return std::fprintf(stderr, "error: unknown option or no value: %s\n", a.c_str()), 2;
    ++i;
    if (a == "--threads")
      threads = std::max(1, std::atoi(value.c_str()));
    else if (a == "--seconds")
      seconds = std::atof(value.c_str());
    else if (a == "--launch")
      only = std::atoi(value.c_str());
    else if (a == "--seed")
      seed = std::strtoull(value.c_str(), nullptr, 10);
    else if (a == "--write")
      write = value;
    else if (a == "--compare")
      compare = value;
    else if (a == "--items")
      items = value;
    else
      return std::fprintf(stderr, "error: unknown option %s\n", a.c_str()), 2;
  }
  chosen = launches;
  if (!items.empty()) {
    std::ifstream in(items);
    for (Launch &l : chosen)
      if (!(in >> l.items >> l.scratch_bytes) || l.items < 0 || l.scratch_bytes < 0)
        return std::fprintf(stderr, "error: %s does not give items and scratch bytes of every launch\n",
                            items.c_str()),
               1;
  }
  std::ofstream out;
  std::ifstream in;
  if (!write.empty()) out.open(write, std::ios::binary);
  if (!compare.empty()) in.open(compare, std::ios::binary);
  if ((!write.empty() && !out) || (!compare.empty() && !in))
    return std::fprintf(stderr, "error: cannot open %s\n", (out ? compare : write).c_str()), 1;
  prepare_thread();
  int status = 0;
  for (size_t i = 0; i < chosen.size(); ++i) {
    if (only >= 0 && int(i) != only) continue;
    const Launch &l = chosen[i];
    Memory memory;
    if (!memory.take(l, threads))
      return std::fprintf(stderr, "error: there is not enough memory for launch %zu\n", i), 1;
    memory.fill(l, seed);
    for (int t = 0; t < threads; ++t) call(l, memory, threads, t);
    std::string bytes = outputs_of(l, memory);
    std::printf("launch %zu: %s\n", i, l.what.c_str());
    if (out.is_open()) out.write(bytes.data(), std::streamsize(bytes.size()));
    if (in.is_open()) {
      std::string before(bytes.size(), '\0');
      in.read(before.data(), std::streamsize(before.size()));
      size_t differ = 0;
      for (size_t b = 0; b < bytes.size(); ++b) differ += bytes[b] != before[b];
      if (!in || differ) status = 1;
      std::printf("  %s\n", !in      ? "the file to compare with is shorter"
                            : differ ? (std::to_string(differ) + " bytes differ").c_str()
                                     : "the same bits");
    }
    std::vector<double> times = time_calls(l, memory, threads, seconds);
    double median = times[times.size() / 2];
    std::printf("  median %.2f us (10%% %.2f, 90%% %.2f; %zu calls), %.2f GFLOP/s, %.2f GB/s, bits %016llx\n",
                median * 1e6, times[times.size() / 10] * 1e6, times[times.size() * 9 / 10] * 1e6,
                times.size(), l.flops / median / 1e9, l.bytes / median / 1e9,
                static_cast<unsigned long long>(hash_of(bytes)));
  }
  if (out.is_open() && !out.flush())
    return std::fprintf(stderr, "error: cannot write %s\n", write.c_str()), 1;
  return status;
}

} // namespace launch_data

int main(int argc, char **argv) { return launch_data::run(argc, argv); }
