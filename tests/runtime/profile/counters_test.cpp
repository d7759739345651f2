#include "runtime/profile/counters.h"
#include "tests/runtime/profile/profiles.h"

namespace weft {
namespace {

TEST(Counters, CountOnEveryThreadOrSayWhyNot) {
  ThreadPool pool({2});
  absl::StatusOr<std::unique_ptr<Counters>> counters = Counters::Open(pool);
  if (!counters.ok()) {
    EXPECT_NE(std::string(counters.status().message()).find("counters"), std::string::npos);
    GTEST_SKIP() << counters.status().message();
  }
  std::vector<uint64_t> counted(2);
  pool.OnEach([&](int thread) {
    const CounterValues before = (*counters)->Read(thread);
    volatile double sum = 0;
    for (int i = 0; i < 100'000; ++i) sum = sum + i;
    counted[thread] = (*counters)->Read(thread)[0] - before[0];
  });
  for (uint64_t cycles : counted) EXPECT_GT(cycles, 10'000u);
}

TEST(Counters, ARecorderSumsWhatItsSharesCount) {
  auto session = testing::Recorded(480, testing::List(testing::Axpy(0, 160, 320)));
  absl::StatusOr<std::unique_ptr<Counters>> counters = Counters::Open(session->pool());
  if (!counters.ok()) GTEST_SKIP() << counters.status().message();
  Recorder recorder(*session, 0, counters->get(), 1);
  recorder.Start();
  ASSERT_TRUE(session->Run(0, {}).ok());
  EXPECT_GT(recorder.totals(recorder.events()[0].step).counters[0], 0u);
}

} // namespace
} // namespace weft
