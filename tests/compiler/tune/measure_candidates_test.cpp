// Timings of candidates: what is taken for faster, what for another result, and what for a crash.
#include "compiler/pipeline.h"
#include "compiler/tune/measure_candidates.h"
#include "mlir/IR/MLIRContext.h"
#include "mlir/Parser/Parser.h"
#include "passes/codegen/cpu/compile.h"
#include "passes/codegen/cpu/level.h"
#include "passes/codegen/cpu/object.h"
#include "runtime/device/cpu.h"
#include "llvm/IR/LLVMContext.h"
#include "llvm/IRReader/IRReader.h"
#include "llvm/Support/SourceMgr.h"

#include <gtest/gtest.h>

namespace weft {
namespace {

CandidateTiming rounds(std::vector<double> seconds) { return {std::move(seconds), false}; }

TEST(FastestCandidate, IsTheOneThatWinsByMoreThanNoise) {
  const CandidateTiming own = rounds({10, 10.1, 10, 10.2, 9.9, 10, 10.1, 10, 10, 10, 10.1});
  auto scaled = [&](double by) {
    CandidateTiming t = own;
    for (double &s : t.seconds) s *= by;
    return t;
  };
  auto chosen = [&](std::vector<CandidateTiming> all) { return fastestCandidate(all).value().index; };
  EXPECT_EQ(chosen({own}), 0u);
  EXPECT_EQ(chosen({own, scaled(0.98)}), 0u) << "2 % are noise";
  EXPECT_EQ(chosen({own, scaled(0.95), scaled(0.9), scaled(0.93)}), 2u);
  EXPECT_EQ(chosen({own, scaled(1.2)}), 0u);
  CandidateTiming moody = scaled(0.9); // a lower median, and two rounds of eight lost
  moody.seconds[5] = moody.seconds[8] = 12;
  EXPECT_EQ(chosen({own, moody}), 0u);
  CandidateTiming dropped = rounds({1, 1, 1});
  EXPECT_EQ(chosen({own, dropped}), 0u) << "no finalist";
  CandidateTiming wrong = scaled(0.5);
  wrong.differs = true;
  EXPECT_EQ(chosen({own, wrong}), 0u);
  EXPECT_FALSE(fastestCandidate({rounds({10, 10, 10}), rounds({5, 5, 5})})) << "too few rounds to tell";
  EXPECT_FALSE(fastestCandidate({rounds({})}));
}

// Functions of the kernels' type that add 1 (right), add 2 (wrong), and write behind a buffer (crashes).
class MeasureCandidates : public ::testing::Test {
protected:
  void SetUp() override {
    if (DetectCpuLevel() == CpuLevel::none) GTEST_SKIP() << "this machine is below avx2";
    auto add = [](const char *name, int by) {
      return std::string("define void @") + name +
             "(ptr %buffers, ptr %sizes, i64 %begin, i64 %end, ptr %scratch) {\n"
             "entry:\n  %b = load ptr, ptr %buffers\n  br label %loop\n"
             "loop:\n  %i = phi i64 [ %begin, %entry ], [ %n, %loop ]\n"
             "  %p = getelementptr i32, ptr %b, i64 %i\n  %v = load i32, ptr %p\n"
             "  %w = add i32 %v, " +
             std::to_string(by) +
             "\n  store i32 %w, ptr %p\n"
             "  %n = add i64 %i, 1\n  %more = icmp slt i64 %n, %end\n  br i1 %more, label %loop, label %out\n"
             "out:\n  ret void\n}\n";
    };
    std::string text =
        add("right", 1) + add("same", 1) + add("wrong", 2) +
        "define void @crashes(ptr %buffers, ptr %sizes, i64 %begin, i64 %end, ptr %scratch) {\n"
        "  %b = load ptr, ptr %buffers\n  %p = getelementptr i8, ptr %b, i64 4096\n"
        "  store i32 1, ptr %p\n  ret void\n}\n";
    llvm::LLVMContext context;
    llvm::SMDiagnostic diagnostic;
    auto module = llvm::parseIR(llvm::MemoryBufferRef(text, "test"), diagnostic, context);
    ASSERT_TRUE(module) << diagnostic.getMessage().str();
    auto object = cpu::compileToObject(*module, cpu::avx2Level(), {});
    ASSERT_TRUE(bool(object));
    auto linked = cpu::linkSharedObject({*object});
    ASSERT_TRUE(bool(linked));
    image = *linked;
    launch.items = 1024;
    launch.piece = 1;
    launch.blocks = {4096};
    launch.buffers = {{launch_data::i32, true, true, 4096, 0, 0, launch_data::integers, 100, 0}};
  }
  auto measure(std::vector<std::string> names, double seconds = 20) {
    std::vector<Candidate> candidates;
    for (const std::string &name : names) candidates.push_back({{{name, launch, 0}}});
    return measureCandidates(image, launch, candidates, Results::compared, 2, seconds);
  }
  std::string image;
  launch_data::Launch launch{};
};

TEST_F(MeasureCandidates, ComparesResultsOfTheSameData) {
  auto measured = measure({"right", "same", "wrong"});
  ASSERT_TRUE(std::holds_alternative<std::vector<CandidateTiming>>(measured))
      << std::get<std::string>(measured);
  auto &timings = std::get<std::vector<CandidateTiming>>(measured);
  ASSERT_EQ(timings.size(), 3u);
  EXPECT_FALSE(timings[0].differs || timings[1].differs) << "although it works in place";
  EXPECT_TRUE(timings[2].differs);
  EXPECT_EQ(timings[0].seconds.size(), 11u);
  EXPECT_TRUE(timings[2].seconds.empty()) << "what is wrong is not timed";
}

TEST_F(MeasureCandidates, EndsWithWholeRounds) {
  for (double seconds : {0.0, 0.005, 0.02, 0.04}) {
    auto measured = measure({"right", "same", "same"}, seconds);
    ASSERT_TRUE(std::holds_alternative<std::vector<CandidateTiming>>(measured));
    auto &timings = std::get<std::vector<CandidateTiming>>(measured);
    for (const CandidateTiming &t : timings) // one whose calls were disturbed may have dropped out
      EXPECT_TRUE(t.seconds.empty() || t.seconds.size() == timings[0].seconds.size()) << seconds;
    EXPECT_LT(timings[0].seconds.size(), 11u) << "there is time for all rounds";
  }
}

TEST_F(MeasureCandidates, SaysWhichOneCrashes) {
  auto measured = measure({"right", "crashes"});
  ASSERT_TRUE(std::holds_alternative<std::string>(measured));
  EXPECT_EQ(std::get<std::string>(measured), "candidate 1 was ended by Segmentation fault");
  measured = measure({"right", "missing"});
  ASSERT_TRUE(std::holds_alternative<std::string>(measured));
  EXPECT_EQ(std::get<std::string>(measured), "the code cannot be loaded");
}

} // namespace
} // namespace weft
