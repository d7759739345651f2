#include "runtime/profile/cost_model.h"
#include "tests/runtime/profile/profiles.h"

namespace weft {
namespace {

using testing::Machine;

// By level, where [begin, end) was.
std::vector<int64_t> Touch(CacheModel &caches, int64_t begin, int64_t end) {
  std::vector<int64_t> found(3, 0);
  caches.Touch(begin, end, found);
  return found;
}

TEST(CacheModel, WhatWasTouchedLastIsNear) {
  const Calibration machine = Machine();
  CacheModel caches(machine.levels);                                   // L1 1000, L2 10000 bytes
  EXPECT_EQ(Touch(caches, 0, 400), (std::vector<int64_t>{0, 0, 400})); // never seen
  EXPECT_EQ(Touch(caches, 0, 400), (std::vector<int64_t>{400, 0, 0}));
  EXPECT_EQ(Touch(caches, 5000, 5900), (std::vector<int64_t>{0, 0, 900}));
  EXPECT_EQ(Touch(caches, 0, 400), (std::vector<int64_t>{0, 400, 0})); // 900 others and itself since
  EXPECT_EQ(Touch(caches, 100000, 120000), (std::vector<int64_t>{0, 0, 20000}));
  EXPECT_EQ(Touch(caches, 0, 400), (std::vector<int64_t>{0, 0, 400}));
}

TEST(CacheModel, RangesThatOverlapAreCut) {
  const Calibration machine = Machine();
  CacheModel caches(machine.levels);
  Touch(caches, 100, 200);
  EXPECT_EQ(Touch(caches, 50, 250), (std::vector<int64_t>{100, 0, 100}));
  EXPECT_EQ(Touch(caches, 120, 130), (std::vector<int64_t>{10, 0, 0}));
  EXPECT_EQ(Touch(caches, 40, 260), (std::vector<int64_t>{200, 0, 20}));
  EXPECT_EQ(Touch(caches, 60, 60), (std::vector<int64_t>{0, 0, 0}));
}

TEST(CacheModel, WhatIsLargerThanACacheIsNotFoundThereAgain) {
  const Calibration machine = Machine();
  CacheModel caches(machine.levels);
  Touch(caches, 0, 5000);
  EXPECT_EQ(Touch(caches, 0, 5000), (std::vector<int64_t>{0, 5000, 0}));
}

TEST(CostModel, TheBusiestThreadCounts) {
  EXPECT_EQ(BalanceOf(10, 2).largest, 0.5);
  EXPECT_EQ(BalanceOf(10, 2).threads, 2);
  EXPECT_EQ(BalanceOf(3, 2).largest, 2.0 / 3);
  EXPECT_EQ(BalanceOf(1, 2).threads, 1);
  EXPECT_EQ(BalanceOf(1, 2).largest, 1);
  EXPECT_EQ(BalanceOf(2, 4).threads, 2);
  EXPECT_EQ(BalanceOf(0, 4).threads, 1);
}

TEST(CostModel, ProductsMoveAndComputeByTurnsAllElseAtOnce) {
  const Calibration machine = Machine();
  const Balance halves{0.5, 2}, one{1, 1};
  // 2e6 FLOPs at 200 GFLOP/s: 10 us, and an empty launch of 1 us. 400 bytes from L1: 0.5 ns by halves.
  EXPECT_DOUBLE_EQ(PredictLaunchNs(machine, {"fma", 2e6, 0, 400}, {400, 0, 0}, halves), 11'000.5);
  EXPECT_DOUBLE_EQ(PredictLaunchNs(machine, {"vdpbf16", 2e6, 0, 400}, {400, 0, 0}, halves), 6'000.5);
  EXPECT_DOUBLE_EQ(PredictLaunchNs(machine, {"no such unit", 2e6, 0, 400}, {400, 0, 0}, one), 20'001);
  // 150 kB from memory at 15 GB/s of both threads, 10 GB/s of one.
  EXPECT_DOUBLE_EQ(PredictLaunchNs(machine, {"fma", 0, 0, 150'000}, {0, 0, 7}, halves), 11'000);
  EXPECT_DOUBLE_EQ(PredictLaunchNs(machine, {"fma", 0, 0, 150'000}, {0, 0, 7}, one), 15'000);
  // Half of it from L1, at 800 GB/s.
  EXPECT_DOUBLE_EQ(PredictLaunchNs(machine, {"fma", 0, 0, 160'000}, {5, 0, 5}, halves),
                   1'000 + 100 + 80'000 / 15.0);
  EXPECT_DOUBLE_EQ(PredictLaunchNs(machine, {"fma", 0, 0, 0}, {0, 0, 0}, one), 0);
  // A product packs its 150 kB before it multiplies. Its unit is twice as fast as the lanes that go on with
  // it.
  EXPECT_DOUBLE_EQ(PredictLaunchNs(machine, {"fma", 2e6, 0, 150'000}, {0, 0, 7}, halves), 21'000);
  EXPECT_DOUBLE_EQ(PredictLaunchNs(machine, {"vdpbf16", 2e6, 1e6, 0}, {0, 0, 0}, halves),
                   1'000 + 5'000 + 10'000);
  // Elementwise code hides the shorter one.
  EXPECT_DOUBLE_EQ(PredictLaunchNs(machine, {"", 0, 1e6, 75'000}, {0, 0, 7}, halves), 11'000);
}

TEST(CostModel, TheDotUnitIsReadFromTheReduction) {
  EXPECT_EQ(DotUnitOf("#kernel.reduction<unit = \"vdpbf16\", lanes = 16>"), "vdpbf16");
  EXPECT_EQ(DotUnitOf("#kernel.reduction<lanes = 16>"), "fma");
  EXPECT_EQ(DotUnitOf(""), "fma");
  EXPECT_EQ(DotUnitOf("unit = \"am"), "am");
}

TEST(StepModel, FindsBytesWhereTheLastInstructionsLeftThem) {
  const Calibration machine = Machine();
  StepModel model(machine, 2);
  // 400 bytes never seen, then in L1; the same offset of another space is other memory.
  model.Touch(0, 0, 400);
  EXPECT_DOUBLE_EQ(model.Launch({"fma", 0, 0, 400}, 10), 1000 + 400 / 15.0);
  model.Touch(0, 0, 400);
  EXPECT_DOUBLE_EQ(model.Launch({"fma", 0, 0, 400}, 10), 1000 + 0.5);
  model.Touch(1, 0, 400);
  EXPECT_DOUBLE_EQ(model.Launch({"fma", 0, 0, 400}, 10), 1000 + 400 / 15.0);
  // A copy reads and writes, on one thread where it is small.
  model.Touch(0, 0, 100);
  model.Touch(1, 0, 100);
  EXPECT_DOUBLE_EQ(model.Move(100, true), 0.5);
}

TEST(NominalMachine, HasEveryUnitOfItsLevelAndNothingFurtherIsFaster) {
  for (const std::string level : {"avx2", "avx512", "avx512bf16", "amx"})
    for (int threads : {1, 2, 64}) {
      const Calibration machine = NominalMachine(level, threads);
      EXPECT_EQ(CalibrationJson(machine), CalibrationJson(NominalMachine(level, threads)));
      absl::StatusOr<Calibration> read = ParseCalibration(CalibrationJson(machine), "nominal");
      EXPECT_TRUE(read.ok()) << read.status();
      EXPECT_EQ(machine.flops.count("amx"), level == "amx");
      EXPECT_EQ(machine.flops.count("vdpbf16"), level == "amx" || level == "avx512bf16");
      for (size_t i = 1; i < machine.levels.size(); ++i) {
        EXPECT_LE(machine.levels[i].rate.one, machine.levels[i - 1].rate.one);
        EXPECT_LE(machine.levels[i].rate.all, machine.levels[i - 1].rate.all);
        EXPECT_GT(machine.levels[i].bytes, machine.levels[i - 1].bytes);
      }
    }
}

TEST(CostModel, AStepIsPredictedFromWhatTheStepBeforeLeft) {
  auto session =
      testing::Recorded(480, testing::List(testing::Axpy(0, 160, 320), testing::Axpy(0, 160, 320)));
  Recorder recorder(*session, 0, nullptr, 10);
  recorder.Start();
  ASSERT_TRUE(session->Run(0, {}).ok());
  const Calibration machine = Machine();
  const std::vector<double> predicted = PredictSteps(recorder, 2, machine);
  ASSERT_EQ(predicted.size(), 2u);
  // 480 bytes, all in L1 (800 GB/s) although the first step touches them first; 80 FLOPs at 200 GFLOP/s.
  EXPECT_DOUBLE_EQ(predicted[0], 1000 + 0.6);
  EXPECT_DOUBLE_EQ(predicted[1], 1000 + 0.6);
}

} // namespace
} // namespace weft
