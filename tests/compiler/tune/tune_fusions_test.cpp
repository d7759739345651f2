// What --tune makes of fusions: measured, kept, found again, and not taken where it must not be.
#include "compiler/tune/tune_fusions.h"
#include "compiler/tune/tuning_cache.h"
#include "mlir/Parser/Parser.h"
#include "runtime/device/cpu.h"
#include "tests/compiler/dialects_test.h"
#include "tests/runtime/data/temp_folder.h"

#include "absl/strings/match.h"

#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

using namespace mlir;
namespace weft {
namespace {

// Ops 0 and 3 are products, 2 and 4 the values that may be computed behind them.
constexpr const char *kProgram = R"(
  func.func @f(%x: tensor<256x64xf32> {weft.name = "x"}, %w: tensor<64x96xf32> {weft.name = "w"}, %v: tensor<96x80xf32> {weft.name = "v"})
      -> (tensor<256x80xf32> {weft.name = "y"}) attributes {weft.entry} {
    %p = graph.matmul %x, %w : (tensor<256x64xf32>, tensor<64x96xf32>) -> tensor<256x96xf32>
    %e = graph.exp %p : tensor<256x96xf32>
    %g = graph.mul %e, %p : tensor<256x96xf32>
    %q = graph.matmul %g, %v : (tensor<256x96xf32>, tensor<96x80xf32>) -> tensor<256x80xf32>
    %y = graph.exp %q : tensor<256x80xf32>
    return %y : tensor<256x80xf32>
  })";

class TuneFusions : public DialectsTest {
protected:
  void SetUp() override {
    if (DetectCpuLevel() == CpuLevel::none) GTEST_SKIP() << "this machine is below avx2";
    unsetenv("WEFT_TUNING_CACHE");
    setenv("XDG_CACHE_HOME", folder.path().c_str(), 1);
  }
  FusionReport tune(double seconds, llvm::function_ref<bool(ModuleOp)> fits = nullptr) {
    OwningOpRef<ModuleOp> module = parseSourceString<ModuleOp>(kProgram, &context);
    PipelineOptions options;
    options.cpuLevel = "avx2";
    options.stopAfter = Phase::tile;
    EXPECT_TRUE(module && succeeded(runPipeline(*module, options)));
    options.stopAfter = Phase::plan;
    warnings.clear();
    TuneRequest request{seconds,
                        2,
                        {"avx2"},
                        1,
                        [&](const std::string &w) { warnings += w + "\n"; },
                        [](const std::string &) {}};
    auto report = tuneFusions(*module, options, request, fits);
    if (auto *problem = std::get_if<std::string>(&report)) {
      ADD_FAILURE() << *problem;
      return {};
    }
    return std::get<FusionReport>(report);
  }
  // Puts into each file what `change` makes of it.
  void rewrite(llvm::function_ref<void(nlohmann::json &)> change) {
    for (auto &file : std::filesystem::directory_iterator(fusionFolder())) {
      nlohmann::json kept = nlohmann::json::parse(std::ifstream(file.path()));
      change(kept);
      std::ofstream(file.path()) << kept;
    }
  }
  static std::string remarksOf(const FusionReport &report) {
    std::string all;
    for (const Remark &r : report.remarks) all += r.message + "\n";
    return all;
  }

  TempFolder folder;
  std::string warnings;
};

TEST_F(TuneFusions, KeepsWhatItMeasuresAndFindsItAgain) {
  FusionReport nothing = tune(0);
  EXPECT_EQ(nothing.measured, 0) << "nothing is known, and there is no time";
  FusionReport first = tune(60);
  EXPECT_EQ(first.measured, 2);
  EXPECT_EQ(first.fromCache, 0);
  EXPECT_EQ(first.left, 0);
  FusionReport second = tune(0);
  EXPECT_EQ(second.measured, 2);
  EXPECT_EQ(second.fromCache, 2);
  EXPECT_EQ(second.behind, first.behind);
  EXPECT_EQ(second.apart, first.apart);
  EXPECT_EQ(second.faster, first.faster);
  EXPECT_TRUE(absl::StrContains(remarksOf(second), "(from cache)"));
  EXPECT_EQ(warnings, "");
}

TEST_F(TuneFusions, TakesWhatIsFasterUnlessItDoesNotFit) {
  tune(60);
  // Both apart, as if that had been faster. What is chosen for the first product is a part of the second's
  // key.
  rewrite([](nlohmann::json &kept) {
    const bool first = absl::StrContains(kept["key"].get<std::string>(), "value 2:");
    kept["behind"] = nlohmann::json::array();
    kept["apart"] = {first ? 2 : 4};
  });
  FusionReport other = tune(0);
  ASSERT_GE(other.measured, 1);
  EXPECT_GE(other.faster, 1);
  EXPECT_EQ(other.apart.front(), "f:0:2");
  EXPECT_EQ(warnings, "");
  FusionReport large = tune(0, [](ModuleOp) { return false; });
  EXPECT_EQ(large.faster, 0);
  EXPECT_TRUE(large.apart.empty() && large.behind.empty());
  EXPECT_TRUE(absl::StrContains(remarksOf(large), "not taken: it does not fit into the memory budget"))
      << remarksOf(large);
}

TEST_F(TuneFusions, DoesNotKeepWhatWasMeasuredWithoutAWayThatDoesNotFit) {
  FusionReport report = tune(60, [](ModuleOp) { return false; });
  EXPECT_EQ(report.measured, 0) << "there is one way left";
  EXPECT_FALSE(std::filesystem::exists(fusionFolder()));
}

TEST_F(TuneFusions, TakesNoWayThatItWouldNotMeasure) {
  tune(60);
  for (auto [behind, apart] : {std::pair("[7]", "[]"), {"[]", "[0]"}, {"[2, 2]", "[]"}, {"[2]", "[2]"}}) {
    rewrite([&, behind = behind, apart = apart](nlohmann::json &kept) {
      kept["behind"] = nlohmann::json::parse(behind);
      kept["apart"] = nlohmann::json::parse(apart);
    });
    FusionReport report = tune(0);
    EXPECT_EQ(report.measured, 0) << behind << " " << apart;
    EXPECT_TRUE(
        absl::StrContains(warnings, "has a way to fuse that is none of the product's; it is not used"))
        << warnings;
  }
}

} // namespace
} // namespace weft
