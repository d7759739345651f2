// What --tune measures: schedules that the code generator takes, of which no two make the same code.
#include "compiler/pipeline.h"
#include "dialects/graph/graph.h"
#include "mlir/Parser/Parser.h"
#include "passes/codegen/cpu/matmul_heuristics.h"
#include "passes/codegen/cpu/schedule_candidates.h"
#include "tests/compiler/dialects_test.h"

#include <gtest/gtest.h>

using namespace mlir;
namespace weft::cpu {
namespace {

using kernel::ScheduleAttr;

class ScheduleCandidates : public DialectsTest {
protected:
  // The first kernel op of a kind in a scheduled program of one function.
  template <class Op> Op scheduled(const std::string &body, const std::string &signature) {
    module = parseSourceString<ModuleOp>(
        "func.func @f" + signature + " attributes {weft.entry} {" + body + "}", &context);
    PipelineOptions options;
    options.stopAfter = Phase::schedule;
    options.bf16Unit = bf16Unit;
    EXPECT_TRUE(module && succeeded(runPipeline(*module, options)));
    Op found;
    if (module)
      module->walk([&](Op op) {
        if (!found) found = op;
      });
    EXPECT_TRUE(found);
    return found;
  }
  kernel::MatmulOp product(int64_t m, int64_t k, int64_t n, bool transposeLhs = false) {
    auto type = [](int64_t a, int64_t b) {
      return "tensor<" + std::to_string(a) + "x" + std::to_string(b) + "xf32>";
    };
    std::string lhs = transposeLhs ? type(k, m) : type(m, k), rhs = type(k, n), result = type(m, n);
    return scheduled<kernel::MatmulOp>("%y = graph.matmul %x, %w " +
                                           std::string(transposeLhs ? "{transpose_lhs} " : "") + ": (" + lhs +
                                           ", " + rhs + ") -> " + result + "\nreturn %y : " + result,
                                       "(%x: " + lhs + " {weft.name = \"x\"}, %w: " + rhs +
                                           " {weft.name = \"w\"}) -> (" + result + " {weft.name = \"y\"})");
  }
  // What must hold of all; the candidates.
  static SmallVector<ScheduleAttr> check(Operation *op, ArrayRef<int64_t> sizes,
                                         const CpuLevel &level = avx512Level()) {
    auto own = op->getAttrOfType<ScheduleAttr>("schedule");
    SmallVector<ScheduleAttr> out = scheduleCandidates(op, sizes, 2, level);
    EXPECT_EQ(op->getAttrOfType<ScheduleAttr>("schedule"), own) << "the op keeps its own";
    EXPECT_FALSE(out.empty());
    EXPECT_LE(int64_t(out.size()), kMostCandidates);
    if (!out.empty()) {
      EXPECT_EQ(out[0], own);
    }
    for (size_t i = 0; i < out.size(); ++i) {
      for (size_t j = 0; j < i; ++j) EXPECT_NE(out[i], out[j]);
      op->setAttr("schedule", out[i]);
      EXPECT_EQ(scheduleProblem(op), "");
    }
    op->setAttr("schedule", own);
    return out;
  }

  OwningOpRef<ModuleOp> module;
  std::string bf16Unit;
};

TEST_F(ScheduleCandidates, ProductsHaveManyOfSeveralTiles) {
  kernel::MatmulOp op = product(4096, 384, 1024);
  SmallVector<ScheduleAttr> all = check(op, {1, 4096, 1024, 384});
  EXPECT_GE(all.size(), 12u);
  std::set<std::pair<int64_t, int64_t>> tiles;
  for (ScheduleAttr s : all) tiles.insert({s.getTileM(), s.getTileN()});
  EXPECT_GE(tiles.size(), 3u);
}

TEST_F(ScheduleCandidates, EveryLevelAndOddSizesTakeThem) {
  for (auto [m, k, n] : {std::array<int64_t, 3>{1, 7, 5}, {17, 1, 31}, {24, 513, 1}, {257, 33, 129}})
    for (const CpuLevel *level : cpuLevels()) {
      kernel::MatmulOp op = product(m, k, n);
      check(op, {1, m, n, k}, *level);
    }
}

TEST_F(ScheduleCandidates, NothingToComputeIsNothingToChoose) {
  kernel::MatmulOp op = product(4096, 384, 1024);
  EXPECT_EQ(check(op, {1, 0, 1024, 384}).size(), 1u);
  op->removeAttr("schedule");
  EXPECT_TRUE(scheduleCandidates(op, {1, 4096, 1024, 384}, 2, avx512Level()).empty());
}

TEST_F(ScheduleCandidates, ElementsHaveOthersAndRowsWithSumsOfTheirOwnHaveNone) {
  const std::string type = "tensor<512x768xf32>";
  auto elements = scheduled<kernel::LoopsOp>("%y = graph.exp %x : " + type + "\nreturn %y : " + type,
                                             "(%x: " + type + " {weft.name = \"x\"}) -> (" + type +
                                                 " {weft.name = \"y\"})");
  EXPECT_GE(check(elements, elements.getDomain()).size(), 3u);
  auto rows = scheduled<kernel::LoopsOp>(
      "%y = graph.reduce sum %x axes = [1] : (" + type + ") -> tensor<512xf32>\nreturn %y : tensor<512xf32>",
      "(%x: " + type + " {weft.name = \"x\"}) -> (tensor<512xf32> {weft.name = \"y\"})");
  EXPECT_EQ(check(rows, rows.getDomain()).size(), 1u);
  auto columns = scheduled<kernel::LoopsOp>(
      "%y = graph.reduce sum %x axes = [0] : (" + type + ") -> tensor<768xf32>\nreturn %y : tensor<768xf32>",
      "(%x: " + type + " {weft.name = \"x\"}) -> (tensor<768xf32> {weft.name = \"y\"})");
  EXPECT_GE(check(columns, columns.getDomain()).size(), 6u);
}

TEST_F(ScheduleCandidates, AProblemNamesTheFieldTheNumberAndWhatItShouldBe) {
  kernel::MatmulOp op = product(4096, 384, 1024);
  auto with = [&](int64_t tileM, int64_t tileN, int64_t blockN) {
    ScheduleAttr s = *op.getSchedule();
    op.setScheduleAttr(ScheduleAttr::get(&context, tileM, tileN, s.getBlockM(), blockN, s.getBlockK()));
    return scheduleProblem(op);
  };
  EXPECT_EQ(with(17, 32, 64), "tile_m is 17 when it should be 1 to 16");
  EXPECT_EQ(with(8, 40, 80), "tile_n is 40 when it should be a multiple of 16, 16 to 48");
  EXPECT_EQ(with(8, 48, 64), "block_n is 64 when it should be a multiple of 48, 48 to 16384");
  op->removeAttr("schedule");
  EXPECT_EQ(scheduleProblem(op), "it has no schedule");
}

} // namespace
} // namespace weft::cpu
