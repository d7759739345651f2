// What the profiler adds to an instruction: 1000 launches of a kernel of a few nanoseconds, with and without
// it.
#include "runtime/profile/recorder.h"
#include "tests/runtime/executor/session_fixture.h"

#include <benchmark/benchmark.h>

namespace weft {
namespace {

// Arguments: threads, whether the profiler is on.
void Launches(benchmark::State &state) {
  const int threads = static_cast<int>(state.range(0));
  auto launch = testing::Launch(
      testing::kAxpy,
      testing::List(testing::InArena(0, 64), testing::InArena(64, 64), testing::InArena(128, 64)), {2}, 16);
  auto session = testing::OneEntry(
      192, {}, testing::List(testing::Loop(0, 1000, testing::List(std::move(launch)))), threads);
  Recorder recorder(*session, 0, nullptr, 400'000);
  if (state.range(1)) recorder.Start();
  for (auto _ : state)
    if (!session->Run(0, {}).ok()) state.SkipWithError("the entry fails");
  state.counters["launch"] =
      benchmark::Counter(1000, benchmark::Counter::kIsIterationInvariantRate | benchmark::Counter::kInvert);
}
BENCHMARK(Launches)->ArgNames({"threads", "profiler"})->ArgsProduct({{1, 2}, {0, 1}})->UseRealTime();

} // namespace
} // namespace weft

BENCHMARK_MAIN();
