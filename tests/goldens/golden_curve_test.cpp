// Fifty steps of `weft train` follow PyTorch's: from equal weights, on the same batches. The curves are files
// here that make_goldens.sh wrote; the initial weights come from the seed, so that what they need is this
// folder alone.
#include "tests/cli/child.h"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <cmath>
#include <sstream>

namespace weft {
namespace {

struct Step {
  double loss, grad_norm;
};

std::vector<Step> Curve(const std::string &name) {
  std::istringstream lines(Slurp("tests/goldens/" + name + ".curve"));
  std::vector<Step> steps;
  for (std::string line; std::getline(lines, line);) {
    int64_t number;
    Step step;
    if (std::istringstream(line) >> number >> step.loss >> step.grad_norm) steps.push_back(step);
  }
  return steps;
}

class GoldenCurve : public ::testing::TestWithParam<const char *> {};

// Trains the recipe and holds each step against the curve.
void ExpectFollows(const std::string &name, const std::string &precision, double nats, double relative_norm) {
  const std::vector<Step> golden = Curve(name);
  ASSERT_EQ(golden.size(), 50u) << "tests/goldens/" << name << ".curve";
  TempFolder folder;
  ChildResult result = Child(folder, {"train", "tests/goldens/" + name + ".toml",
                                      "run.dir=" + (folder / "run"), "train.precision=" + precision})
                           .Wait();
  ASSERT_EQ(result.status, 0) << result.error;

  std::istringstream lines(Slurp(folder / "run/metrics.jsonl"));
  size_t i = 0;
  for (std::string line; std::getline(lines, line); ++i) {
    ASSERT_LT(i, golden.size());
    auto step = nlohmann::json::parse(line);
    EXPECT_NEAR(step["loss"], golden[i].loss, nats) << "step " << i + 1;
    // A wrong gradient shows here a step before it shows in the loss.
    EXPECT_NEAR(double(step["grad_norm"]) / golden[i].grad_norm, 1, relative_norm) << "step " << i + 1;
  }
  EXPECT_EQ(i, golden.size());
}

TEST_P(GoldenCurve, FollowsPyTorchWithinAThousandthNat) { ExpectFollows(GetParam(), "f32", 1e-3, 1e-2); }

// The curves are of f64: what bf16 costs. Beside PyTorch's own bf16: ./run interop.
TEST_P(GoldenCurve, FollowsItInBf16WithinTwoHundredths) { ExpectFollows(GetParam(), "bf16", 2e-2, 0.3); }

// PyTorch's AdamW, whose averages are rounded to bf16 after each step; those that are not are 3e-4 nats away.
TEST(GoldenCurveOfMoments, FollowsRoundedAverages) { ExpectFollows("llama_moments", "f32", 5e-5, 5e-3); }

INSTANTIATE_TEST_SUITE_P(Recipes, GoldenCurve,
                         ::testing::Values("llama", "llama_odd", "qwen2", "qwen3", "deepseek_v3",
                                           "deepseek_v3_mtp"),
                         [](const auto &info) { return std::string(info.param); });

} // namespace
} // namespace weft
