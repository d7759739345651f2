// What a memory budget chooses for a real program, against every choice of what it could compute again.
#include "compiler/compile_program.h"
#include "mlir/IR/MLIRContext.h"
#include "runtime/artifact/writer.h"
#include "tests/compiler/dialects_test.h"

#include <gtest/gtest.h>
#include <set>

using namespace mlir;
namespace weft {
namespace {

class RecomputeChoices : public DialectsTest {
protected:
  // Two layers, 4 x 64 tokens, in the order of AMX in bf16.
  CompileRequest request(const std::string &precision, const std::string &budget) {
    auto recipe = ParseRecipe("[model]\nname = \"llama\"\nconfig = \"tiny\"\n", "test",
                              {"model.layers=2", "model.dim=96", "model.ffn=256", "model.vocab=300",
                               "model.heads=3", "model.kv_heads=3", "train.batch=4", "train.micro_batch=4",
                               "train.seq=64", "train.precision=" + precision, "train.dot_unit=amx",
                               "run.target=cpu:avx2", "run.memory_budget=\"" + budget + "\""});
    EXPECT_TRUE(recipe.ok()) << recipe.status();
    EXPECT_TRUE(ResolveRecipe(*recipe).ok());
    CompileRequest request;
    request.recipe = *recipe;
    request.entriesForGeneration = false;
    request.stopAfter = Phase::plan;
    return request;
  }
  RecomputeChoice choice(const CompileRequest &request) {
    auto result = compileProgram(context, request);
    auto *problem = std::get_if<std::string>(&result);
    EXPECT_FALSE(problem) << *problem;
    if (problem || !std::get<CompileReport>(result).recompute) return {};
    return *std::get<CompileReport>(result).recompute;
  }
};

// All sets of the values that are worth a thousandth of the memory.
std::vector<MemoryTrial> allTrials(const CompileTrial &compile) {
  const MemoryTrial whole = compile({});
  std::set<std::string> ops;
  for (const MemoryTrial::Kept &k : whole.kept)
    if (k.bytes * 1000 > whole.bytes) ops.insert(k.op);
  std::vector<MemoryTrial> all;
  for (uint32_t set = 0; set < uint32_t{1} << ops.size(); ++set) {
    std::vector<std::string> again;
    uint32_t bit = 0;
    for (const std::string &op : ops)
      if (set >> bit++ & 1) again.push_back(op);
    all.push_back(compile(again));
  }
  return all;
}

// Within some budgets, of a step that takes at most 1 % longer than the best of all choices.
void holdAgainstAll(const CompileTrial &compile, const std::string &precision) {
  const std::vector<MemoryTrial> all = allTrials(compile);
  ASSERT_GT(all.size(), 30u);
  const MemoryTrial &whole = all.front();
  int64_t least = whole.bytes;
  for (const MemoryTrial &t : all) least = std::min(least, t.bytes);
  for (double part : {0.9, 0.75, 0.5, 0.25, 0.1}) {
    const int64_t budget = least + int64_t(part * double(whole.bytes - least));
    double best = 1e30;
    for (const MemoryTrial &t : all)
      if (t.bytes <= budget) best = std::min(best, t.ns);
    auto fit = fitMemory(budget, compile);
    ASSERT_TRUE(std::holds_alternative<RecomputeChoice>(fit)) << std::get<std::string>(fit);
    const RecomputeChoice &got = std::get<RecomputeChoice>(fit);
    EXPECT_LE(got.bytes, budget);
    EXPECT_EQ(got.wholeBytes, whole.bytes);
    EXPECT_EQ(got.wholeNs, whole.ns);
    EXPECT_LE(got.ns, best + 0.01 * whole.ns) << precision << " within " << budget;
    EXPECT_LE(got.trials, 60);
  }
}

TEST_F(RecomputeChoices, ComeNearTheBestOfAll) {
  for (const char *precision : {"f32", "bf16"}) {
    CompileRequest every = request(precision, "1TB");
    every.fit = [&](int64_t budget, const CompileTrial &compile) {
      holdAgainstAll(compile, precision);
      return fitMemory(budget, compile);
    };
    EXPECT_TRUE(choice(every).again.empty());
  }
}

// No clock and no measured rate enters, nor what was compiled before.
TEST_F(RecomputeChoices, AreTheSameEachTime) {
  const CompileRequest wanted = request("bf16", "6.5MB");
  const RecomputeChoice first = choice(wanted), second = choice(wanted);
  MLIRContext other(registered(), MLIRContext::Threading::DISABLED);
  other.loadAllAvailableDialects();
  auto third = compileProgram(other, wanted);
  ASSERT_TRUE(std::holds_alternative<CompileReport>(third)) << std::get<std::string>(third);
  EXPECT_FALSE(first.again.empty());
  EXPECT_EQ(first.again, second.again);
  EXPECT_EQ(first.again, std::get<CompileReport>(third).recompute->again);
  EXPECT_EQ(first.ns, std::get<CompileReport>(third).recompute->ns);
}

} // namespace
} // namespace weft
