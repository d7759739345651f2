// A fixed team of threads, which flush denormals (denormals.h), for one launch after another: static
// partition, start and barrier near a microsecond.
#pragma once
#include <atomic>
#include <cstdint>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

namespace weft {

// Thread `thread` of `threads` computes the returned half-open range of [0, items): contiguous, in rising
// order, and every inner border a multiple of `grain` (>= 1).
inline std::pair<int64_t, int64_t> PartitionItems(int64_t items, int64_t grain, int thread, int threads) {
  int64_t blocks = items / grain + (items % grain != 0);
  // blocks * thread / threads without overflow.
  auto border = [&](int t) {
    int64_t block = blocks / threads * t + blocks % threads * t / threads;
    return block >= blocks ? items : block * grain;
  };
  return {border(thread), border(thread + 1)};
}

struct ThreadPoolOptions {
  int threads = 0;  // the caller included; 0 = one for each hardware thread
  int spin_us = 50; // how long an idle thread spins before it sleeps; 0 when there are more threads than the
                    // machine has
};

class ThreadPool {
public:
  // Computes items [begin, end) as thread `thread` (0 = the caller's).
  using Function = void (*)(void *context, int64_t begin, int64_t end, int thread);

  explicit ThreadPool(const ThreadPoolOptions &options = {});
  ~ThreadPool();
  ThreadPool(const ThreadPool &) = delete;
  ThreadPool &operator=(const ThreadPool &) = delete;

  // May be less than asked for, when the system refuses more threads.
  int size() const { return threads_; }
  // More threads than the machine has: allowed, seldom wise; callers warn.
  bool oversubscribed() const { return threads_ > HardwareThreads(); }
  static int HardwareThreads();

  // Calls `function` once on each thread that gets items and returns when all are done; everything they wrote
  // is visible to the caller. One caller at a time, and none from inside `function`.
  void Run(int64_t items, int64_t grain, Function function, void *context) {
    if (threads_ == 1 || items <= grain) {
      if (items > 0) function(context, 0, items, 0);
      return;
    }
    RunOnAll(items, grain, function, context);
  }

  // The same for a callable (begin, end, thread).
  template <typename F> void ParallelFor(int64_t items, int64_t grain, F &&f) {
    Run(
        items, grain,
        [](void *context, int64_t begin, int64_t end, int thread) {
          (*static_cast<std::remove_reference_t<F> *>(context))(begin, end, thread);
        },
        &f);
  }

private:
  void RunOnAll(int64_t items, int64_t grain, Function function, void *context);
  void Work(int thread);
  void RunShare(int thread);

  int threads_;
  int spin_us_;
  std::vector<std::thread> workers_;

  // The job: written while every worker waits for the next epoch.
  Function function_ = nullptr;
  void *context_ = nullptr;
  int64_t items_ = 0, grain_ = 1;
  bool stop_ = false;

  alignas(64) std::atomic<int> epoch_{0};   // counts jobs; workers wait for it to change
  alignas(64) std::atomic<int> pending_{0}; // workers still busy with the present job
};

} // namespace weft
