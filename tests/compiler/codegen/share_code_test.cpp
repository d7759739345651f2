// Kernels that differ in numbers alone are one function, and compute what they did.
#include "passes/codegen/cpu/compile.h"
#include "tests/compiler/codegen/matmul_text.h"

#include "llvm/ADT/StringMap.h"

#include <gmock/gmock.h>

namespace weft::cpu_test {
namespace {

using matmul::Matmul;
using ::testing::ElementsAre;

constexpr int64_t kM = 50, kN = 70, kK = 90;

Matmul product(const std::string &name, const std::string &schedule) {
  Matmul op{.name = name, .m = kM, .n = kN, .k = kK};
  op.lhs = {"50x90xf32", {0, kK, 1}};
  op.rhs = {"90x70xf32", {0, kN, 1}};
  op.outputs = {{"50x70xf32", {0, kN, 1}}};
  op.schedule = schedule;
  return op;
}

class ShareCode : public ::testing::Test {
protected:
  void SetUp() override {
    for (auto &[name, schedule] : std::map<std::string, std::string>{
             {"low", "tile_m = 8, tile_n = 32, block_m = 24, block_n = 32, block_k = 40"},
             {"high", "tile_m = 8, tile_n = 32, block_m = 48, block_n = 64, block_k = 96"},
             {"long", "tile_m = 8, tile_n = 32, block_m = 48, block_n = 96, block_k = 8"},
             {"wide", "tile_m = 8, tile_n = 48, block_m = 24, block_n = 96, block_k = 40"}})
      suite.add(name, product(name, schedule).text());
    suite.compile();
  }
  std::vector<std::string> sharersOf(const std::string &name) {
    std::vector<std::string> sharers;
    cpu::CompileOptions options;
    options.only = name;
    options.sharers = &sharers;
    EXPECT_TRUE(
        mlir::succeeded(cpu::compileKernels(suite.outlinedKernels(), *cpu::findCpuLevel("avx512"), options)));
    return sharers;
  }
  KernelSuite suite;
};

TEST_F(ShareCode, BlocksAreNumbersAndTilesAreNot) {
  EXPECT_THAT(sharersOf("low"), ElementsAre("high", "long", "low"));
  EXPECT_THAT(sharersOf("high"), ElementsAre("high", "long", "low"));
  EXPECT_THAT(sharersOf("wide"), ElementsAre("wide"));
}

TEST_F(ShareCode, EachComputesWithItsOwnNumbers) {
  const Bytes a = bytesOf(randomFloats(kM * kK, 1)), b = bytesOf(randomFloats(kK * kN, 2)), none(kM * kN * 4);
  auto wide = suite.check("wide", {a, b}, {none}, 1e-5);
  for (const char *name : {"low", "high", "long"}) // the chains along k are the same
    EXPECT_EQ(suite.check(name, {a, b}, {none}, 1e-5), wide) << name;
}

// A kernel with code of its own (a user's) shares with none.
TEST_F(ShareCode, ReplacedKernelsStayOut) {
  mlir::ModuleOp kernels = suite.outlinedKernels();
  const cpu::CpuLevel &level = *cpu::findCpuLevel("avx512");
  mlir::OwningOpRef<mlir::ModuleOp> alone = mlir::ModuleOp::create(kernels.getLoc());
  for (auto kernel : kernels.getOps<program::KernelOp>())
    if (kernel.getSymName() == "low") alone->getBody()->push_back(kernel->clone());
  cpu::CompileOptions object;
  object.link = false;
  auto code = cpu::compileKernels(*alone, level, object);
  ASSERT_TRUE(mlir::succeeded(code));
  llvm::StringMap<std::string> replaced;
  replaced["low"] = *code;
  std::vector<std::string> sharers;
  cpu::CompileOptions options;
  options.replaced = &replaced;
  options.only = "high";
  options.sharers = &sharers;
  EXPECT_TRUE(mlir::succeeded(cpu::compileKernels(kernels, level, options)));
  EXPECT_THAT(sharers, ElementsAre("high", "long"));
}

} // namespace
} // namespace weft::cpu_test
