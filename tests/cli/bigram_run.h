// Runs of the hand-made bigram model, which need no compiler.
#pragma once

#include "runtime/train/checkpoint.h"
#include "tests/cli/child.h"
#include "tests/runtime/train/bigram.h"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <filesystem>

namespace weft {

namespace fs = std::filesystem;

class BigramRun : public ::testing::Test {
protected:
  void SetUp() override {
    std::string text;
    for (int i = 0; i < 400; ++i)
      text += "the " + std::string(i % 3 ? "cat" : "dog") + " sat on the mat number " +
              std::to_string(i * 37 % 101) + ".\n\n";
    folder_.Write("text.txt", text);
    recipe_ = folder_.Write("recipe.toml", R"(
[model]
name = "bigram"
[data]
train = ["text.txt"]
validation = 0.1
tokenizer = "train:300"
[train]
steps = 12
batch = 4
micro_batch = 2
seq = 16
eval_every = 6
[optimizer]
lr = 30
schedule = "constant"
warmup = 0
[run]
checkpoint_every = 4
threads = 1
)");
  }
  // A run directory with the artifact that weftc would have made.
  std::string MakeRun(const std::string &name, const weft::testing::BigramOptions &options = {}) {
    std::string run = folder_ / name;
    fs::create_directories(run);
    fb::ArtifactT artifact = weft::testing::Bigram(options, KERNELS_PATH);
    EXPECT_TRUE(WriteArtifact(artifact, run + "/model.weft").ok());
    return run;
  }
  ChildResult Weft(std::vector<std::string> arguments) { return Child(folder_, std::move(arguments)).Wait(); }
  ChildResult Train(const std::string &run, std::vector<std::string> more = {}) {
    std::vector<std::string> arguments = {"train", recipe_, "run.dir=" + run};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return Weft(arguments);
  }
  static std::vector<nlohmann::json> Metrics(const std::string &run) {
    std::vector<nlohmann::json> lines;
    std::ifstream file(run + "/metrics.jsonl");
    for (std::string line; std::getline(file, line);) {
      lines.push_back(nlohmann::json::parse(line));
      lines.back().erase("step_ms");
      lines.back().erase("tokens_per_second");
    }
    return lines;
  }
  static std::string Weights(const std::string &run, int64_t step) {
    std::string checkpoint = run + "/checkpoints/" + CheckpointName(step);
    EXPECT_TRUE(VerifyCheckpoint(checkpoint).ok()) << VerifyCheckpoint(checkpoint).status();
    return Slurp(checkpoint + "/model.safetensors") + Slurp(checkpoint + "/weft-state.safetensors");
  }
  TempFolder folder_;
  std::string recipe_;
};

} // namespace weft
