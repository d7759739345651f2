#include "runtime/device/thread_pool.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <vector>

namespace weft {
namespace {

TEST(ThreadPool, PartitionsCoverAllItemsInWholeBlocks) {
  for (int64_t items : {0, 1, 2, 7, 16, 100, 1001})
    for (int64_t grain : {1, 3, 8, 5000})
      for (int threads : {1, 2, 3, 4, 9}) {
        int64_t at = 0;
        for (int t = 0; t < threads; ++t) {
          auto [begin, end] = PartitionItems(items, grain, t, threads);
          EXPECT_EQ(begin, at);
          EXPECT_LE(begin, end);
          EXPECT_TRUE(end == items || end % grain == 0);
          at = end;
        }
        EXPECT_EQ(at, items);
      }
  constexpr int64_t huge = INT64_MAX;
  EXPECT_EQ(PartitionItems(huge, 1, 3, 4).second, huge);
  EXPECT_EQ(PartitionItems(huge, huge, 0, 4).second, 0); // the last thread has the one block
}

TEST(ThreadPool, ComputesEveryItemOnce) {
  for (int threads = 1; threads <= 4; ++threads)
    for (int spin_us : {0, 50}) {
      ThreadPool pool({threads, spin_us});
      ASSERT_EQ(pool.size(), threads);
      for (int round = 0; round < 300; ++round) {
        std::vector<int> counts(1 + round % 50);
        pool.ParallelFor(counts.size(), 1 + round % 3, [&](int64_t begin, int64_t end, int thread) {
          EXPECT_LT(thread, threads);
          for (int64_t i = begin; i < end; ++i) ++counts[i];
        });
        for (int count : counts) ASSERT_EQ(count, 1);
      }
    }
}

TEST(ThreadPool, LaterJobsSeeWhatEarlierOnesWrote) {
  ThreadPool pool({4});
  std::vector<int64_t> values(4096, 1);
  for (int round = 0; round < 200; ++round) {
    std::vector<int64_t> next(values.size());
    pool.ParallelFor(values.size(), 64, [&](int64_t begin, int64_t end, int) {
      for (int64_t i = begin; i < end; ++i) next[i] = values[values.size() - 1 - i] + 1;
    });
    values.swap(next);
  }
  for (int64_t value : values) ASSERT_EQ(value, 201);
}

TEST(ThreadPool, WakesSleepers) {
  ThreadPool pool({2, 1});
  int64_t sum = 0;
  for (int round = 0; round < 5; ++round) {
    std::this_thread::sleep_for(std::chrono::milliseconds(2)); // beyond the spinning
    int64_t parts[2] = {};
    pool.OnEach([&](int thread) { parts[thread] = thread + 1; });
    sum += parts[0] + parts[1];
  }
  EXPECT_EQ(sum, 15);
}

TEST(ThreadPool, CallsOnceOnEachThread) {
  for (int threads = 1; threads <= 4; ++threads) {
    ThreadPool pool({threads});
    for (int round = 0; round < 200; ++round) {
      std::vector<int> calls(threads);
      std::vector<std::thread::id> ids(threads);
      pool.OnEach([&](int thread) {
        ++calls[thread];
        ids[thread] = std::this_thread::get_id();
      });
      for (int call : calls) ASSERT_EQ(call, 1);
      for (int t = 1; t < threads; ++t) ASSERT_NE(ids[t], ids[t - 1]);
    }
  }
}

TEST(ThreadPool, PiecesAreWholeGrainsAndFewCalls) {
  for (int threads = 1; threads <= 4; ++threads) {
    ThreadPool pool({threads});
    for (int64_t items : {1, 7, 8, 64, 1003, 100'000})
      for (int64_t grain : {1, 8, 5000}) {
        std::vector<std::atomic<char>> computed(items);
        std::atomic<int> pieces{0};
        pool.RunPieces(items, grain, [&](ThreadPool::Pieces &mine, int) {
          for (int64_t begin, end; mine.Next(&begin, &end); ++pieces) {
            EXPECT_LT(begin, end);
            EXPECT_EQ(begin % grain, 0);
            EXPECT_TRUE(end == items || end % grain == 0);
            for (int64_t i = begin; i < end; ++i) computed[i].fetch_add(1);
          }
        });
        for (int64_t i = 0; i < items; ++i) ASSERT_EQ(computed[i], 1) << i;
        if (threads == 1) {
          EXPECT_EQ(pieces, 1);
        }
        EXPECT_LE(pieces, 8 * threads) << items << " items in grains of " << grain;
      }
  }
}

TEST(ThreadPool, OthersComputeWhatASlowThreadHasNotTaken) {
  ThreadPool pool({2});
  constexpr int64_t items = 64;
  std::vector<int> by(items, -1);
  std::atomic<int64_t> done{0};
  std::atomic<bool> begun{false};
  pool.ParallelFor(items, 1, [&](int64_t begin, int64_t end, int thread) {
    if (thread == 0)
      while (!begun.load()) std::this_thread::yield();
    begun = true;
    // The worker stays in its first piece until all else is computed: half of its share, or less.
    if (thread == 1)
      while (done.load() < items - (end - begin)) std::this_thread::yield();
    for (int64_t i = begin; i < end; ++i) by[i] = thread;
    done += end - begin;
  });
  int64_t slow = 0;
  for (int thread : by) slow += thread == 1;
  EXPECT_GE(slow, 1);
  EXPECT_LE(slow, items / 4);
  EXPECT_EQ(std::count(by.begin(), by.end(), -1), 0);
}

TEST(ThreadPool, PiecesHaveAsManyItemsAsAskedFor) {
  for (int threads = 2; threads <= 4; ++threads) {
    ThreadPool pool({threads});
    for (int64_t piece : {int64_t{1}, int64_t{10}, int64_t{30}, int64_t{200}, int64_t{5} << 60, INT64_MAX})
      for (int64_t items : {1, 35, 130, 1000}) {
        const int64_t share = items / threads; // of a thread, at the least
        std::atomic<int64_t> sum{0}, least{items};
        auto run = [&](int64_t begin, int64_t end, int) {
          EXPECT_TRUE(begin >= 0 && begin < end && end <= items) << begin << " to " << end;
          sum += end - begin;
          for (int64_t now = least; end - begin < now && !least.compare_exchange_weak(now, end - begin);) {
          }
        };
        pool.ParallelFor(items, 1, run, piece);
        EXPECT_EQ(sum, items);
        EXPECT_GE(2 * least, std::min(piece, share)) << items << " items, pieces of " << piece;
      }
  }
}

TEST(ThreadPool, OutlivesAnyNumberOfJobsThatAWorkerMissed) {
  // Workers that sleep and are woken late miss jobs; none may matter to them.
  for (int64_t jobs : {65534, 65535, 65536}) {
    ThreadPool pool({2, 0});
    for (int64_t i = 0; i < jobs; ++i) pool.ParallelFor(2, 1, [](int64_t, int64_t, int) {});
    std::vector<int> calls(2);
    pool.OnEach([&](int thread) { ++calls[thread]; });
    EXPECT_EQ(calls, (std::vector<int>{1, 1}));
    for (int64_t i = 0; i < jobs; ++i) pool.ParallelFor(2, 1, [](int64_t, int64_t, int) {});
  }
}

TEST(ThreadPool, MoreItemsThanAWordCounts) {
  for (int threads = 1; threads <= 2; ++threads) {
    ThreadPool pool({threads});
    pool.RunPieces(INT64_MAX, 2, [&](ThreadPool::Pieces &pieces, int) {
      for (int64_t begin, end; pieces.Next(&begin, &end);) {
        EXPECT_TRUE(begin >= 0 && begin < end && begin % 2 == 0);
      }
    });
  }
  ThreadPool pool({2});
  constexpr int64_t items = int64_t{3} << 40;
  std::atomic<int64_t> sum{0};
  pool.ParallelFor(items, 3, [&](int64_t begin, int64_t end, int) {
    EXPECT_EQ(begin % 3, 0);
    sum += end - begin;
  });
  EXPECT_EQ(sum, items);
  sum = 0;
  pool.ParallelFor(INT64_MAX, INT64_MAX, [&](int64_t begin, int64_t end, int) { sum += end - begin; });
  EXPECT_EQ(sum, INT64_MAX);
  sum = 0;
  pool.ParallelFor(INT64_MAX, 1, [&](int64_t begin, int64_t end, int) { sum += end - begin; });
  EXPECT_EQ(sum, INT64_MAX);
}

TEST(ThreadPool, ZeroThreadsMeansTheMachines) {
  ThreadPool pool({0});
  EXPECT_EQ(pool.size(), ThreadPool::HardwareThreads());
  EXPECT_FALSE(pool.oversubscribed());
  EXPECT_TRUE(ThreadPool({ThreadPool::HardwareThreads() + 1}).oversubscribed());
}

TEST(ThreadPool, ReportsLaunchTime) {
  ThreadPool pool;
  int64_t sink[64] = {};
  constexpr int rounds = 2000;
  auto start = std::chrono::steady_clock::now();
  for (int i = 0; i < rounds; ++i)
    pool.ParallelFor(pool.size(), 1,
                     [&](int64_t begin, int64_t, int thread) { sink[thread * 8 % 64] += begin; });
  double ns =
      std::chrono::duration<double, std::nano>(std::chrono::steady_clock::now() - start).count() / rounds;
  RecordProperty("launch_and_barrier_ns", static_cast<int>(ns));
  std::printf("launch and barrier over %d threads: %.0f ns\n", pool.size(), ns);
}

} // namespace
} // namespace weft
