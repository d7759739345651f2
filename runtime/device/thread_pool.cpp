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

// The parts of ThreadPool::state_. Jobs are counted round and round: a worker compares for equality, and one
// that sleeps for exactly as many jobs as fit misses one, which the others compute.
constexpr uint32_t kWorkers = 0x3fff; // workers in the present job
constexpr uint32_t kOpen = 0x4000;    // which takes more
constexpr uint32_t kStop = 0x8000;    // the pool ends
constexpr uint32_t kJob = 0xffff0000; // its number
constexpr uint32_t kNextJob = 0x10000;

// A share is computed in halves of what is left, and in no more than this many parts: what a kernel does once
// a call, as packing what all of its rows share, stays small.
constexpr int64_t kParts = 8;

inline void Pause() {
#if defined(__x86_64__)
  _mm_pause();
#endif
}

// Spins until `done()` holds, for `spin_us` at the most. Returns whether it does.
template <typename F> bool Spin(int spin_us, const F &done) {
  if (done()) return true;
  if (spin_us <= 0) return false;
  auto until = std::chrono::steady_clock::now() + std::chrono::microseconds(spin_us);
  do {
    for (int i = 0; i < 32; ++i) {
      Pause();
      if (done()) return true;
    }
  } while (std::chrono::steady_clock::now() < until);
  return false;
}

constexpr uint64_t Blocks(uint64_t begin, uint64_t end) { return begin << 32 | end; }

} // namespace

int ThreadPool::HardwareThreads() { return std::max(1u, std::thread::hardware_concurrency()); }

ThreadPool::ThreadPool(const ThreadPoolOptions &options)
    : threads_(std::min<int>(options.threads > 0 ? options.threads : HardwareThreads(), kWorkers)),
      spin_us_(threads_ > HardwareThreads() ? 0 : options.spin_us), shares_(threads_) {
  // A system that refuses more threads leaves a smaller team: results do not depend on its size.
  try {
    for (int thread = 1; thread < threads_; ++thread) workers_.emplace_back([this, thread] { Work(thread); });
  } catch (const std::system_error &) {
    threads_ = static_cast<int>(workers_.size()) + 1;
  }
}

ThreadPool::~ThreadPool() {
  state_.fetch_add(kNextJob | kStop, std::memory_order_release);
  state_.notify_all();
  for (std::thread &worker : workers_) worker.join();
}

bool ThreadPool::Pieces::Next(int64_t *begin, int64_t *end) {
  ThreadPool &p = *pool_;
  for (; from_ < p.threads_; ++from_) {
    std::atomic<uint64_t> &left = p.shares_[(thread_ + from_) % p.threads_].left;
    for (uint64_t now = left.load(std::memory_order_relaxed);;) {
      const int64_t first = static_cast<int64_t>(now >> 32), last = static_cast<int64_t>(now & 0xffffffff);
      if (first >= last) break;
      const int64_t blocks = last - first;
      int64_t take = std::max((blocks + 1) / 2, p.least_);
      if (2 * (blocks - take) < p.least_) take = blocks; // no small rest
      // One's own from the front, another's from the back.
      const int64_t at = from_ == 0 ? first : last - take;
      const uint64_t next = from_ == 0 ? Blocks(first + take, last) : Blocks(first, at);
      if (!left.compare_exchange_weak(now, next, std::memory_order_relaxed)) continue;
      *begin = at * p.grain_;
      *end = p.items_ - *begin <= take * p.grain_ ? p.items_ : *begin + take * p.grain_;
      return true;
    }
  }
  return false;
}

void ThreadPool::Run(int64_t items, int64_t grain, int64_t piece, Function function, void *context) {
  // As many blocks as half a word can count.
  int64_t blocks = items / grain + (items % grain != 0);
  const int64_t together = (blocks - 1) / (int64_t{1} << 31) + 1;
  blocks = (blocks - 1) / together + 1;
  function_ = function;
  context_ = context;
  items_ = items;
  grain_ = grain * together;
  const bool alone = threads_ == 1 || blocks == 1;
  least_ = alone ? blocks : std::max({int64_t{1}, blocks / threads_ / kParts, (piece - 1) / grain_ + 1});
  for (int t = 0; t < threads_; ++t) {
    auto [begin, end] = PartitionItems(blocks, 1, t, threads_);
    shares_[t].left.store(Blocks(begin, end), std::memory_order_relaxed);
  }
  if (!alone) {
    state_.store((state_.load(std::memory_order_relaxed) & kJob) + (kNextJob | kOpen),
                 std::memory_order_release);
    state_.notify_all(); // a system call only if somebody sleeps
  }
  Pieces pieces(this, 0);
  function(context, pieces, 0);
  if (!alone) AwaitOthers();
}

// Closes the job, and waits for the workers that have joined it.
void ThreadPool::AwaitOthers() {
  if ((state_.fetch_and(~kOpen, std::memory_order_acq_rel) & kWorkers) == 0) return;
  auto alone = [&] { return (state_.load(std::memory_order_acquire) & kWorkers) == 0; };
  if (Spin(spin_us_, alone)) return;
  for (;;) {
    uint32_t before = last_left_.load(std::memory_order_acquire);
    if (alone()) return;
    last_left_.wait(before, std::memory_order_acquire);
  }
}

// Waits for a job that is not `seen`, or the end; returns the state.
uint32_t ThreadPool::AwaitJob(uint32_t seen) {
  uint32_t now;
  auto another = [&] { return ((now = state_.load(std::memory_order_acquire)) & kJob) != seen; };
  if (Spin(spin_us_, another)) return now;
  while (!another()) state_.wait(now, std::memory_order_acquire);
  return now;
}

bool ThreadPool::Join(uint32_t seen) {
  for (uint32_t now = state_.load(std::memory_order_relaxed); (now & kJob) == seen && (now & kOpen);)
    if (state_.compare_exchange_weak(now, now + 1, std::memory_order_acquire)) return true;
  return false;
}

void ThreadPool::Leave() {
  const uint32_t before = state_.fetch_sub(1, std::memory_order_acq_rel);
  if ((before & kWorkers) != 1 || (before & kOpen)) return;
  last_left_.fetch_add(1, std::memory_order_release);
  last_left_.notify_one();
}

void ThreadPool::Work(int thread) {
  FlushDenormals flush;
  uint32_t seen = 0;
  for (;;) {
    const uint32_t now = AwaitJob(seen);
    if (now & kStop) return;
    seen = now & kJob;
    if (!Join(seen)) continue;
    Pieces pieces(this, thread);
    function_(context_, pieces, thread);
    Leave();
  }
}

} // namespace weft
