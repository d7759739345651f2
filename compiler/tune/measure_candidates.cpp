#include "compiler/tune/measure_candidates.h"
#include "compiler/kernels/run_apart.h"
#include "runtime/device/thread_pool.h"
#include "llvm/ADT/STLExtras.h"
#include <chrono>
#include <csignal>
#include <unistd.h>

using namespace launch_data;
namespace weft {
namespace {

constexpr double kRoundSeconds = 0.003; // of one candidate in one round, at least a call
constexpr int kFirstRounds = 3, kLastRounds = 8, kFinalists = 4;
constexpr double kHopeless = 1.5; // times the fastest first call, twice: not timed again
constexpr int64_t kMostCopies = 16;

double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values.empty() ? 0 : values[values.size() / 2];
}

// In the child.
class Measurement {
public:
  Measurement(const Launch &memory, llvm::ArrayRef<Candidate> candidates,
              std::vector<std::vector<Kernel>> functions, bool compares, int threads, double seconds)
      : memory(memory), candidates(candidates), functions(std::move(functions)), compares(compares),
        pool({threads, 50}), end(now() + seconds) {
    timings.resize(candidates.size());
  }

  // What is wrong, or "". `at` is told the candidate before it runs.
  std::string run(llvm::function_ref<void(size_t)> at) {
    if (!takeMemory()) return "there is not enough memory for its data";
    std::vector<size_t> all;
    std::vector<double> first(candidates.size());
    for (size_t c = 0; c < candidates.size(); ++c) {
      if (now() > end) return ""; // there is no time to tell
      at(c);
      first[c] = firstCall(c);
      if (!timings[c].differs) all.push_back(c);
    }
    double best = *std::min_element(first.begin(), first.end());
    // A call may have been disturbed; hardly two of one candidate.
    llvm::erase_if(all, [&](size_t c) {
      const double most = kHopeless * best + 20e-6;
      if (c == 0 || first[c] <= most || now() > end) return c != 0 && first[c] > most;
      at(c);
      const double start = now();
      call(c, *data[0]);
      return now() - start > most;
    });
    rounds(all, kFirstRounds, at);
    std::vector<size_t> finalists = all;
    llvm::stable_sort(finalists, [&](size_t a, size_t b) {
      return a != 0 && b != 0 ? median(timings[a].seconds) < median(timings[b].seconds) : b != 0 && a == 0;
    });
    if (finalists.size() > kFinalists) finalists.resize(kFinalists);
    rounds(finalists, kLastRounds, at);
    return "";
  }

  std::vector<CandidateTiming> timings;

private:
  bool takeMemory() {
    int64_t bytes = 0;
    for (int64_t block : memory.blocks) bytes += block;
    long l2 = sysconf(_SC_LEVEL2_CACHE_SIZE);
    const int64_t caches = 2 * (l2 > 0 ? l2 : 1 << 20) * pool.size();
    const int64_t copies = std::clamp<int64_t>(caches / std::max<int64_t>(bytes, 1) + 1, 1, kMostCopies);
    for (int64_t i = 0; i < copies; ++i) {
      data.push_back(std::make_unique<Memory>());
      if (!data.back()->take(memory, i == 0 ? pool.size() : 0)) return false;
      data.back()->fill(memory, 1);
    }
    // What outputs hold before: an in-place kernel has to start from it again.
    for (size_t i = 0; compares && i < memory.buffers.size(); ++i)
      if (memory.buffers[i].output) before.emplace_back(data[0]->buffers()[i], memory.buffers[i].bytes);
    return true;
  }

  void call(size_t c, const Memory &on) {
    for (auto [step, function] : llvm::zip(candidates[c].steps, functions[c])) {
      const Launch &l = step.launch;
      char *const *buffers = on.buffers() + step.firstBuffer;
      auto run = [&, function = function](int64_t begin, int64_t finish, int thread) {
        function(buffers, l.sizes.data(), begin, finish, data[0]->scratch(thread));
      };
      pool.ParallelFor(l.items, 1, run, l.piece);
    }
  }

  double firstCall(size_t c) {
    size_t output = 0;
    for (size_t i = 0; compares && i < memory.buffers.size(); ++i)
      if (memory.buffers[i].output)
        memcpy(data[0]->buffers()[i], before[output++].data(), memory.buffers[i].bytes);
    double start = now();
    call(c, *data[0]);
    double took = now() - start;
    output = 0;
    for (size_t i = 0; compares && i < memory.buffers.size(); ++i) {
      if (!memory.buffers[i].output) continue;
      if (c == 0)
        results.emplace_back(data[0]->buffers()[i], memory.buffers[i].bytes);
      else if (memcmp(results[output].data(), data[0]->buffers()[i], memory.buffers[i].bytes) != 0)
        timings[c].differs = true;
      ++output;
    }
    return took;
  }

  void rounds(llvm::ArrayRef<size_t> turns, int count, llvm::function_ref<void(size_t)> at) {
    for (int round = 0; round < count; ++round) {
      for (size_t i = 0; i < turns.size(); ++i) {
        if (now() > end) { // what has had its turn in this round has one call more than the others
          for (size_t j = 0; j < i; ++j) timings[turns[(j + round) % turns.size()]].seconds.pop_back();
          return;
        }
        size_t c = turns[(i + round) % turns.size()]; // none is always the one after the slowest
        at(c);
        call(c, *data[next++ % data.size()]); // its code and scratch are in the caches then
        int calls = 0;
        double start = now(), took;
        do {
          call(c, *data[next++ % data.size()]);
          ++calls;
          took = now() - start;
        } while (took < kRoundSeconds);
        timings[c].seconds.push_back(took / calls);
      }
    }
  }

  const Launch &memory;
  llvm::ArrayRef<Candidate> candidates;
  const std::vector<std::vector<Kernel>> functions; // of each candidate's steps
  const bool compares;
  ThreadPool pool;
  double end;
  std::vector<std::unique_ptr<Memory>> data; // the first has scratch memory
  std::vector<std::string> before, results;
  size_t next = 0;
};

} // namespace

std::variant<std::vector<CandidateTiming>, std::string>
measureCandidates(llvm::StringRef image, const Launch &memory, llvm::ArrayRef<Candidate> candidates,
                  Results results, int threads, double seconds) {
  // The child says which candidate is next, after a c; then R and what is wrong, or T and the timings.
  ApartEnd end = runApart(unsigned(seconds) + 60, [&](Tell tell) {
    prepare_thread();
    std::vector<std::vector<Kernel>> functions;
    void *handle = loadImage(image);
    for (const Candidate &c : candidates) {
      functions.emplace_back();
      for (const Candidate::Step &step : c.steps) {
        functions.back().push_back(findFunction(handle, step.function));
        if (functions.back().back()) continue;
        tell("Rthe code cannot be loaded", 26);
        return;
      }
    }
    Measurement measurement(memory, candidates, std::move(functions), results == Results::compared, threads,
                            seconds);
    size_t last = SIZE_MAX;
    std::string problem = measurement.run([&](size_t c) {
      char step[2] = {'c', char(c)};
      if (c != last) tell(step, 2);
      last = c;
    });
    if (!problem.empty()) {
      tell("R", 1);
      tell(problem.data(), problem.size());
      return;
    }
    tell("T", 1);
    for (const CandidateTiming &t : measurement.timings) {
      int64_t head[2] = {t.differs, int64_t(t.seconds.size())};
      tell(head, sizeof head);
      tell(t.seconds.data(), t.seconds.size() * sizeof(double));
    }
  });
  if (!end.problem.empty()) return end.problem;
  size_t at = 0;
  while (at + 1 < end.said.size() && end.said[at] == 'c') at += 2;
  std::string candidate = at < 2 ? "it" : "candidate " + std::to_string(int(end.said[at - 1]));
  if (!end.finished)
    return end.signal == SIGALRM ? candidate + " did not end in time"
                                 : candidate + " was ended by " + signalText(end.signal);
  if (at < end.said.size() && end.said[at] == 'R') return end.said.substr(at + 1);
  std::vector<CandidateTiming> timings(candidates.size());
  ++at;
  for (CandidateTiming &t : timings) {
    int64_t head[2];
    if (end.said.size() < at + sizeof head) return std::string("the measuring process said too little");
    memcpy(head, end.said.data() + at, sizeof head);
    at += sizeof head;
    t.differs = head[0] != 0;
    if (end.said.size() < at + size_t(head[1]) * sizeof(double))
      return std::string("the measuring process said too little");
    t.seconds.resize(size_t(head[1]));
    memcpy(t.seconds.data(), end.said.data() + at, t.seconds.size() * sizeof(double));
    at += t.seconds.size() * sizeof(double);
  }
  return timings;
}

std::optional<FastestCandidate> fastestCandidate(llvm::ArrayRef<CandidateTiming> timings) {
  constexpr double kGain = 1.03, kRounds = 7.0 / 8;
  constexpr size_t kFewest = 4;
  const std::vector<double> &first = timings[0].seconds;
  // The last rounds are the finalists' alone, with the same data before and after.
  const size_t last = std::min<size_t>(first.size(), kLastRounds);
  if (last < kFewest) return {};
  auto tail = [&](const std::vector<double> &all) {
    return std::vector<double>(all.end() - last, all.end());
  };
  FastestCandidate out{0, median(tail(first)), median(tail(first))};
  for (size_t i = 1; i < timings.size(); ++i) {
    if (timings[i].differs || timings[i].seconds.size() != first.size()) continue;
    const std::vector<double> mine = tail(timings[i].seconds), its = tail(first);
    size_t won = 0;
    for (size_t r = 0; r < last; ++r) won += mine[r] < its[r];
    const double seconds = median(mine);
    if (seconds < out.seconds && seconds * kGain <= out.firstSeconds && double(won) >= kRounds * double(last))
      out.index = i, out.seconds = seconds;
  }
  return out;
}

} // namespace weft
