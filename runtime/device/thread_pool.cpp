#include "runtime/device/thread_pool.h"
#include "runtime/device/denormals.h"

#include <algorithm>
#include <chrono>
#include <system_error>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace weft {
namespace {

inline void Pause() {
#if defined(__x86_64__)
  _mm_pause();
#endif
}

// Waits until `value` is no longer `old`: spins for `spin_us`, then sleeps. Returns the new value.
int WaitWhile(std::atomic<int> &value, int old, int spin_us) {
  int now = value.load(std::memory_order_acquire);
  if (now != old) return now;
  if (spin_us > 0) {
    auto until = std::chrono::steady_clock::now() + std::chrono::microseconds(spin_us);
    do {
      for (int i = 0; i < 32; ++i) {
        Pause();
        now = value.load(std::memory_order_acquire);
        if (now != old) return now;
      }
    } while (std::chrono::steady_clock::now() < until);
  }
  for (;;) {
    value.wait(old, std::memory_order_acquire);
    now = value.load(std::memory_order_acquire);
    if (now != old) return now;
  }
}

} // namespace

int ThreadPool::HardwareThreads() { return std::max(1u, std::thread::hardware_concurrency()); }

ThreadPool::ThreadPool(const ThreadPoolOptions &options)
    : threads_(options.threads > 0 ? options.threads : HardwareThreads()),
      spin_us_(threads_ > HardwareThreads() ? 0 : options.spin_us) {
  // A system that refuses more threads leaves a smaller team: results do not depend on its size.
  try {
    for (int thread = 1; thread < threads_; ++thread) workers_.emplace_back([this, thread] { Work(thread); });
  } catch (const std::system_error &) {
    threads_ = static_cast<int>(workers_.size()) + 1;
  }
}

ThreadPool::~ThreadPool() {
  stop_ = true;
  epoch_.fetch_add(1, std::memory_order_release);
  epoch_.notify_all();
  for (std::thread &worker : workers_) worker.join();
}

void ThreadPool::RunShare(int thread) {
  auto [begin, end] = PartitionItems(items_, grain_, thread, threads_);
  if (begin < end) function_(context_, begin, end, thread);
}

void ThreadPool::RunOnAll(int64_t items, int64_t grain, Function function, void *context) {
  function_ = function;
  context_ = context;
  items_ = items;
  grain_ = grain;
  pending_.store(threads_ - 1, std::memory_order_relaxed);
  epoch_.fetch_add(1, std::memory_order_release);
  epoch_.notify_all(); // a system call only if somebody sleeps
  RunShare(0);
  for (int left = pending_.load(std::memory_order_acquire); left != 0;)
    left = WaitWhile(pending_, left, spin_us_);
}

void ThreadPool::Work(int thread) {
  FlushDenormals flush;
  int seen = 0;
  for (;;) {
    seen = WaitWhile(epoch_, seen, spin_us_);
    if (stop_) return;
    RunShare(thread);
    // Only the last one wakes the caller.
    if (pending_.fetch_sub(1, std::memory_order_acq_rel) == 1) pending_.notify_one();
  }
}

} // namespace weft
