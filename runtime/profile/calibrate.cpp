#include "runtime/device/memory.h"
#include "runtime/profile/calibration.h"
#include "runtime/profile/peak_loops.h"

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"

#include <algorithm>
#include <chrono>
#include <climits>
#include <cstring>
#include <ctime>
#include <fstream>

namespace weft {
namespace {

constexpr int kBursts = 24;         // the best one counts: others on the machine make the rest slower
constexpr double kBurstNs = 2e6;    // of registers and caches
constexpr double kMoreNs = 0.5e9;   // of bursts behind those, while threads are slower together than apart
constexpr int kMemoryPasses = 6;    // over memory
constexpr int64_t kAlign = 3 * 256; // three arrays, whole rounds of the loops

double NowNs() {
  return static_cast<double>(std::chrono::duration_cast<std::chrono::nanoseconds>(
                                 std::chrono::steady_clock::now().time_since_epoch())
                                 .count());
}

// Wall time of `f(thread)` on `threads` threads of the pool.
template <typename F> double TimeNs(ThreadPool &pool, int threads, const F &f) {
  double start = NowNs();
  if (threads == 1)
    f(0);
  else
    pool.OnEach(f);
  return NowNs() - start;
}

// The best rate of `amount` a thread and round: rounds are made until a burst takes `burst_ns`. While no
// burst has reached `enough`, there are more than `bursts`, for kMoreNs: a thread may have waited for a
// processor.
template <typename F>
double BestRate(ThreadPool &pool, int threads, double amount, int bursts, double burst_ns, double enough,
                const F &f) {
  int64_t rounds = 1;
  auto burst = [&] { return TimeNs(pool, threads, [&](int thread) { f(thread, rounds); }); };
  // The least of three: one that had to wait says nothing of how many rounds a burst takes.
  double ns = 0;
  while ((ns = std::min({burst(), burst(), burst()})) < burst_ns / 4 && rounds < (int64_t{1} << 40))
    rounds *= 4;
  rounds = std::max<int64_t>(1, static_cast<int64_t>(static_cast<double>(rounds) * burst_ns / ns));
  double least = burst();
  for (int i = 1; i < bursts; ++i) least = std::min(least, burst());
  auto rate = [&] { return amount * threads * static_cast<double>(rounds) / least * 1e9; };
  for (const double end = NowNs() + kMoreNs; rate() < enough && NowNs() < end;)
    least = std::min(least, burst());
  return rate();
}

// Whether the threads lack a tenth of the processors' time while they compute: something else has it.
bool IsDisturbed(ThreadPool &pool, const PeakLoop &loop, double rate) {
  const int64_t rounds =
      std::max<int64_t>(1, static_cast<int64_t>(rate * 0.05 / static_cast<double>(loop.flops_a_round)));
  std::vector<double> part(pool.size());
  TimeNs(pool, pool.size(), [&](int thread) {
    timespec before, after;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &before);
    const double start = NowNs();
    loop.run(rounds);
    const double wall = NowNs() - start;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &after);
    part[thread] = (static_cast<double>(after.tv_sec - before.tv_sec) * 1e9 +
                    static_cast<double>(after.tv_nsec - before.tv_nsec)) /
                   wall;
  });
  return *std::min_element(part.begin(), part.end()) < 0.9;
}

struct CacheSize {
  std::string name;
  int64_t bytes = 0, shared_by = 1; // processors
};

std::string FirstLine(const std::string &path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

// "0-3,8" has 5 processors.
int64_t CountProcessors(const std::string &list) {
  int64_t count = 0;
  for (absl::string_view range : absl::StrSplit(list, ',', absl::SkipEmpty())) {
    std::pair<absl::string_view, absl::string_view> ends = absl::StrSplit(range, absl::MaxSplits('-', 1));
    int64_t first = 0, last = 0;
    if (!absl::SimpleAtoi(ends.first, &first)) continue;
    if (!absl::SimpleAtoi(ends.second, &last)) last = first;
    count += std::max<int64_t>(1, last - first + 1);
  }
  return std::max<int64_t>(1, count);
}

std::vector<CacheSize> Caches() {
  std::vector<CacheSize> caches;
  for (int i = 0; i < 16; ++i) {
    std::string at = absl::StrCat("/sys/devices/system/cpu/cpu0/cache/index", i, "/");
    std::string type = FirstLine(at + "type"), size = FirstLine(at + "size");
    int64_t kib = 0;
    if (type.empty()) break;
    if (type == "Instruction" || !absl::SimpleAtoi(absl::StripSuffix(size, "K"), &kib) || kib <= 0) continue;
    caches.push_back(
        {"L" + FirstLine(at + "level"), kib * 1024, CountProcessors(FirstLine(at + "shared_cpu_list"))});
  }
  if (caches.empty()) caches = {{"L1", 32 << 10, 1}, {"L2", 512 << 10, 1}}; // a container that hides them
  return caches;
}

int64_t AvailableBytes() {
  std::ifstream file("/proc/meminfo");
  for (std::string line; std::getline(file, line);)
    if (absl::StartsWith(line, "MemAvailable:")) {
      std::vector<absl::string_view> words = absl::StrSplit(line, ' ', absl::SkipEmpty());
      int64_t kib = 0;
      if (words.size() > 1 && absl::SimpleAtoi(words[1], &kib)) return kib * 1024;
    }
  return int64_t{1} << 30;
}

} // namespace

std::string ProcessorName() {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);)
    if (absl::StartsWith(line, "model name"))
      if (size_t at = line.find(": "); at != std::string::npos) return line.substr(at + 2, 200);
  return "unknown";
}

absl::StatusOr<Calibration> Calibrate(ThreadPool &pool, const std::string &cpu_level) {
  Calibration made;
  made.processor = ProcessorName();
  made.cpu_level = cpu_level;
  made.threads = pool.size();
  const std::vector<PeakLoop> loops = PeakLoops(cpu_level);
  if (loops.empty())
    return absl::FailedPreconditionError(
        absl::StrCat("a machine of level ", cpu_level, " cannot be measured: avx2 is the least"));
  // `measure(threads, enough)`: of one thread, and of all, which reach as much each unless they share
  // something.
  auto both = [&](bool shared, const auto &measure) {
    const double one = measure(1, 0), enough = shared ? 0 : 0.9 * pool.size() * one;
    return Rate{one, pool.size() > 1 ? std::max(one, measure(pool.size(), enough)) : one};
  };
  for (const PeakLoop &loop : loops)
    made.flops[loop.unit] = both(false, [&](int threads, double enough) {
      return BestRate(pool, threads, static_cast<double>(loop.flops_a_round), kBursts, kBurstNs, enough,
                      [&](int, int64_t rounds) { loop.run(rounds); });
    });

  const bool disturbed = IsDisturbed(pool, loops[0], made.flops.at("fma").one); // and again at the end

  const int64_t threads = pool.size();
  const std::vector<CacheSize> caches = Caches();
  int64_t largest = 0;
  for (const CacheSize &cache : caches) largest = std::max(largest, cache.bytes);
  // Memory: far beyond every cache, and no more than a quarter of what is free.
  int64_t memory = std::min(std::max<int64_t>(int64_t{256} << 20, 4 * largest), AvailableBytes() / 4);
  memory = std::max<int64_t>(memory / threads / kAlign, 1) * kAlign; // a thread's
  absl::StatusOr<Memory> arrays = Memory::Allocate(memory * threads, "arrays to measure the memory with");
  if (!arrays.ok()) return arrays.status();
  pool.OnEach([&](int thread) { std::memset(arrays->data() + thread * memory, 0, memory); });
  // `bytes` a thread; `shared`: threads share what is measured.
  auto rate = [&](int64_t bytes, int bursts, double burst_ns, bool shared) {
    const int64_t third = bytes / 3 / 256 * 256;
    auto best = [&](const auto &loop) {
      return both(shared, [&](int threads, double enough) {
        return BestRate(pool, threads, static_cast<double>(3 * third), bursts, burst_ns, enough, loop);
      });
    };
    const Rate read = best(
        [&](int thread, int64_t rounds) { ReadLoop(arrays->data() + thread * memory, 3 * third, rounds); });
    const Rate triad = best([&](int thread, int64_t rounds) {
      char *a = arrays->data() + thread * memory;
      TriadLoop(a, a + third, a + 2 * third, third, rounds);
    });
    return Rate{std::max(read.one, triad.one), std::max(read.all, triad.all)};
  };
  for (const CacheSize &cache : caches) {
    int64_t sharing = std::min(cache.shared_by, threads),
            instances = (threads + cache.shared_by - 1) / cache.shared_by;
    int64_t bytes = std::min(cache.bytes / sharing / 2, memory) / kAlign * kAlign; // half of a thread's part
    if (bytes <= 0) continue;
    made.levels.push_back({cache.name, cache.bytes * instances, rate(bytes, kBursts, kBurstNs, sharing > 1)});
  }
  made.levels.push_back({"memory", INT64_MAX, rate(memory, kMemoryPasses, 1, true)});
  // A level further away is not faster; a cloud's neighbours may have made it look so.
  for (size_t i = made.levels.size() - 1; i > 0; --i) {
    Rate &near = made.levels[i - 1].rate;
    near = {std::max(near.one, made.levels[i].rate.one), std::max(near.all, made.levels[i].rate.all)};
  }
  made.disturbed = IsDisturbed(pool, loops[0], made.flops.at("fma").one) || disturbed;
  std::vector<double> launches;
  for (int i = 0; i < 400; ++i) launches.push_back(TimeNs(pool, pool.size(), [](int) {}));
  std::nth_element(launches.begin(), launches.begin() + 100, launches.end());
  made.launch_ns = launches[100];
  made.measured = absl::FormatTime("%Y-%m-%d %H:%M UTC", absl::Now(), absl::UTCTimeZone());
  return made;
}

} // namespace weft
