// Threads that wait for work, for rounds so short that starting threads would cost more than the round.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <thread>
#include <vector>

namespace weft {

class ThreadTeam {
public:
  // Of `threads` threads (0 = one for each processor), the calling one included; the others start with the
  // first round that has work for them.
  explicit ThreadTeam(int threads)
      : size_(threads > 0 ? static_cast<size_t>(threads)
                          : std::max(1u, std::thread::hardware_concurrency())) {}
  ThreadTeam(const ThreadTeam &) = delete;
  ~ThreadTeam() {
    if (others_.empty()) return;
    work_ = nullptr;
    StartRound();
    for (std::thread &t : others_) t.join();
  }

  size_t size() const { return size_; }

  // Calls work(i) for each i below size(), each on its own thread, and waits for all.
  void Run(const std::function<void(size_t)> &work) {
    while (others_.size() + 1 < size_)
      others_.emplace_back([this, i = others_.size() + 1, round = round_.load()] { Serve(i, round); });
    busy_ = static_cast<int>(others_.size());
    work_ = &work;
    StartRound();
    work(0);
    for (int busy; (busy = busy_.load()) > 0;) busy_.wait(busy);
  }

private:
  void StartRound() {
    ++round_;
    round_.notify_all();
  }
  void Serve(size_t i, int done_round) {
    for (;;) {
      round_.wait(done_round);
      done_round = round_.load();
      if (!work_) return;
      (*work_)(i);
      if (--busy_ == 0) busy_.notify_one();
    }
  }

  size_t size_;
  std::vector<std::thread> others_;
  std::atomic<int> round_{0}, busy_{0}; // int: what a futex waits for without a table of waiters
  const std::function<void(size_t)> *work_ = nullptr;
};

} // namespace weft
