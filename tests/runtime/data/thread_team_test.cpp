#include "runtime/data/thread_team.h"

#include <gtest/gtest.h>
#include <mutex>
#include <set>

namespace weft {
namespace {

TEST(ThreadTeam, DoesEachPartOfEachRoundOnceOnThreadsOfItsOwn) {
  for (int threads : {1, 2, 5}) {
    ThreadTeam team(threads);
    std::vector<int> done(team.size());
    std::mutex mutex;
    std::set<std::thread::id> ids;
    for (int round = 0; round < 2000; ++round)
      team.Run([&](size_t i) {
        ++done[i]; // a round sees what the one before wrote
        std::lock_guard<std::mutex> lock(mutex);
        ids.insert(std::this_thread::get_id());
      });
    EXPECT_EQ(done, std::vector<int>(static_cast<size_t>(threads), 2000));
    EXPECT_EQ(ids.size(), team.size());
    EXPECT_EQ(ids.count(std::this_thread::get_id()), 1u);
  }
  EXPECT_GE(ThreadTeam(0).size(), 1u);
}

} // namespace
} // namespace weft
