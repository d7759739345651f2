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

// The parts of ThreadPool::state_.
constexpr uint64_t kWorkers = 0xffff; // workers in the job
constexpr uint64_t kOpen = 0x10000;   // it takes more
constexpr int kJobBits = 32;          // its number is above these
constexpr uint64_t State(uint32_t job, uint64_t rest) { return uint64_t{job} << kJobBits | rest; }

// A piece is this part of a share at the least: halves of halves end, so that a share is a few calls of a
// kernel.
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
  stop_.store(true, std::memory_order_relaxed);
  jobs_.fetch_add(1, std::memory_order_release);
  jobs_.notify_all();
  for (std::thread &worker : workers_) worker.join();
}

// Where a piece at the front, or at the back, of blocks [first, last) is cut off.
int64_t ThreadPool::Cut(int64_t first, int64_t last, bool front) const {
  const int64_t take = std::max((last - first + 1) / 2, least_), down = (last - take) / least_ * least_,
                up = (first + take - 1) / least_ * least_ + least_;
  if ((front ? last - up : down - first) < (least_ + 1) / 2) return front ? last : first; // no small rest
  return front ? up : down;
}

bool ThreadPool::Pieces::Next(int64_t *begin, int64_t *end) {
  ThreadPool &p = *pool_;
  for (; from_ < p.threads_; ++from_) {
    std::atomic<uint64_t> &left = p.shares_[(thread_ + from_) % p.threads_].left;
    for (uint64_t now = left.load(std::memory_order_relaxed);;) {
      const int64_t first = static_cast<int64_t>(now >> 32), last = static_cast<int64_t>(now & 0xffffffff);
      if (first >= last) break;
      // One's own from the front, another's from the back.
      const bool own = from_ == 0;
      const int64_t cut = p.Cut(first, last, own), at = own ? first : cut, after = own ? cut : last;
      const uint64_t next = own ? Blocks(cut, last) : Blocks(first, cut);
      if (!left.compare_exchange_weak(now, next, std::memory_order_relaxed)) continue;
      *begin = at * p.grain_;
      *end = (p.items_ - 1) / p.grain_ < after ? p.items_ : after * p.grain_;
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
  least_ = alone ? blocks : std::max(blocks / threads_ / kParts, (piece - 1) / grain_ + 1);
  least_ = std::clamp<int64_t>(least_, 1, blocks);
  for (int t = 0; t < threads_; ++t) {
    auto [begin, end] = PartitionItems(blocks, 1, t, threads_);
    shares_[t].left.store(Blocks(begin, end), std::memory_order_relaxed);
  }
  if (!alone) {
    const uint32_t job = jobs_.load(std::memory_order_relaxed) + 1;
    state_.store(State(job, kOpen), std::memory_order_release);
    jobs_.store(job, std::memory_order_release);
    jobs_.notify_all(); // a system call only if somebody sleeps
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

void ThreadPool::AwaitZero(std::atomic<int> &left) {
  if (Spin(spin_us_, [&] { return left.load(std::memory_order_acquire) == 0; })) return;
  for (int n; (n = left.load(std::memory_order_acquire)) != 0;) left.wait(n, std::memory_order_acquire);
}

// Waits for a job that is not `seen`, or the end; returns the job.
uint32_t ThreadPool::AwaitJob(uint32_t seen) {
  uint32_t now = seen;
  auto another = [&] { return (now = jobs_.load(std::memory_order_acquire)) != seen; };
  if (Spin(spin_us_, another)) return now;
  while (!another()) jobs_.wait(seen, std::memory_order_acquire);
  return now;
}

bool ThreadPool::Join(uint32_t job) {
  for (uint64_t now = state_.load(std::memory_order_relaxed); now >> kJobBits == job && (now & kOpen);)
    if (state_.compare_exchange_weak(now, now + 1, std::memory_order_acquire)) return true;
  return false;
}

void ThreadPool::Leave() {
  const uint64_t before = state_.fetch_sub(1, std::memory_order_acq_rel);
  if ((before & kWorkers) != 1 || (before & kOpen)) return;
  last_left_.fetch_add(1, std::memory_order_release);
  last_left_.notify_one();
}

void ThreadPool::Work(int thread) {
  FlushDenormals flush;
  uint32_t seen = 0;
  for (;;) {
    seen = AwaitJob(seen);
    if (stop_.load(std::memory_order_relaxed)) return;
    if (!Join(seen)) continue;
    Pieces pieces(this, thread);
    function_(context_, pieces, thread);
    Leave();
  }
}

} // namespace weft
