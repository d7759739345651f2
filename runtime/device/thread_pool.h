// A fixed team of threads, which flush denormals (denormals.h), for one job after another: start and barrier
// near a microsecond.
//
// A job is a range of items. Blocks of `grain` items are never cut. Each thread begins with an equal share of
// the blocks, computes it in pieces, and then takes pieces of what others have left: a thread that the system
// puts aside, or a slower core, delays a job by the piece that it is at.
#pragma once
#include <atomic>
#include <cstdint>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

namespace weft {

// The share of [0, items) that thread `thread` of `threads` begins with: half-open, contiguous, in rising
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
  // What is left of a job, for one thread.
  class Pieces {
  public:
    // The next items that this thread is to compute: [*begin, *end), whole grains. False when all are taken.
    bool Next(int64_t *begin, int64_t *end);

  private:
    friend class ThreadPool;
    Pieces(ThreadPool *pool, int thread) : pool_(pool), thread_(thread) {}
    ThreadPool *pool_;
    int thread_;
    int from_ = 0; // whose share pieces come from: this thread's, then those of the threads behind it
  };

  explicit ThreadPool(const ThreadPoolOptions &options = {});
  ~ThreadPool();
  ThreadPool(const ThreadPool &) = delete;
  ThreadPool &operator=(const ThreadPool &) = delete;

  // May be less than asked for, when the system refuses more threads.
  int size() const { return threads_; }
  // More threads than the machine has: allowed, seldom wise; callers warn.
  bool oversubscribed() const { return threads_ > HardwareThreads(); }
  static int HardwareThreads();

  // Calls f(pieces, thread) on the calling thread and on those that are there in time, at most once on each,
  // and returns when all items are computed; everything that was written is visible to the caller. One caller
  // at a time, and none from inside `f`.
  // A piece is half of what is left of a share or more, and `piece` items or more where the share has as
  // many; it ends at a multiple of `piece`, or with the share. What is left of a share when less than half of
  // `piece` would be belongs to the piece before.
  template <typename F> void RunPieces(int64_t items, int64_t grain, F &&f, int64_t piece = 1) {
    if (items > 0) Run(items, grain, piece, Call<F>, &f);
  }

  // The same for f(begin, end, thread), which is called for each piece.
  template <typename F> void ParallelFor(int64_t items, int64_t grain, F &&f, int64_t piece = 1) {
    if (items > 0 && (threads_ == 1 || items <= grain)) return f(0, items, 0);
    auto all = [&](Pieces &pieces, int thread) {
      for (int64_t begin, end; pieces.Next(&begin, &end);) f(begin, end, thread);
    };
    RunPieces(items, grain, all, piece);
  }

  // Calls f(thread) once on each thread, all at the same time as far as the machine allows.
  template <typename F> void OnEach(F &&f) {
    std::atomic<int> left{threads_};
    auto once = [&](Pieces &, int thread) {
      f(thread);
      if (left.fetch_sub(1, std::memory_order_acq_rel) == 1) left.notify_one();
      if (thread == 0) AwaitZero(left); // the job stays open until the last thread has come
    };
    Run(threads_, 1, 1, Call<decltype(once)>, &once);
  }

private:
  // The blocks that are left of a thread's share: the first in the upper half of the word, the end in the
  // lower. On a cache line of its own.
  struct alignas(64) Share {
    std::atomic<uint64_t> left{0};
  };

  // Computes pieces until none is left, as thread `thread` (0 = the caller's).
  using Function = void (*)(void *context, Pieces &pieces, int thread);
  template <typename F> static void Call(void *context, Pieces &pieces, int thread) {
    (*static_cast<std::remove_reference_t<F> *>(context))(pieces, thread);
  }
  void Run(int64_t items, int64_t grain, int64_t piece, Function function, void *context);
  int64_t Cut(int64_t first, int64_t last, bool front) const;
  void Work(int thread);
  uint32_t AwaitJob(uint32_t seen);
  bool Join(uint32_t job);
  void Leave();
  void AwaitOthers();
  void AwaitZero(std::atomic<int> &left);

  int threads_;
  int spin_us_;
  std::vector<std::thread> workers_;

  // The job: written while no worker has joined.
  Function function_ = nullptr;
  void *context_ = nullptr;
  int64_t items_ = 0, grain_ = 1; // grain_: of a block
  int64_t least_ = 1;             // blocks of a piece
  std::vector<Share> shares_;

  alignas(64) std::atomic<uint32_t> jobs_{0}; // counts jobs; workers wait for it to change
  std::atomic<bool> stop_{false};
  // The job's number, whether it still takes workers, and how many it has: one that comes too late is not
  // waited for, and none joins a job twice.
  alignas(64) std::atomic<uint64_t> state_{0};
  alignas(64) std::atomic<uint32_t> last_left_{0}; // changes when the last worker of a closed job leaves
};

} // namespace weft
