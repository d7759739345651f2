// Runs from the command line, to the end, interrupted, killed and resumed.
#include "runtime/train/checkpoint.h"
#include "tests/cli/bigram_run.h"
#include "tests/runtime/train/events.h"

#include <chrono>
#include <thread>

namespace weft {
namespace {

class Run : public BigramRun {};

TEST_F(Run, TrainsEvaluatesAndSaves) {
  std::string run = MakeRun("a");
  ChildResult result = Train(run);
  ASSERT_EQ(result.status, 0) << result.error;
  EXPECT_EQ(ListCheckpoints(run + "/checkpoints"), (std::vector<int64_t>{6, 8, 12})); // 6: a best
  auto metrics = Metrics(run);
  ASSERT_EQ(metrics.size(), 14u); // 12 steps, 2 evaluations
  EXPECT_LT(metrics[12]["loss"], metrics[0]["loss"]);
  EXPECT_EQ(metrics[6]["step"], 6);
  EXPECT_GT(metrics[6]["eval_targets"], 0);
  EXPECT_NE(result.error.find("step 12/12  loss "), std::string::npos) << result.error;
  for (const char *file : {"recipe.toml", "tokenizer.json", "log.txt"})
    EXPECT_TRUE(fs::exists(run + "/" + file)) << file;
  for (const char *file : {"config.json", "tokenizer.json", "tokenizer_config.json", "weft-recipe.toml"})
    EXPECT_TRUE(fs::exists(run + "/checkpoints/step-000012/" + file)) << file;

  // The same again gives the same bits; another seed does not.
  std::string again = MakeRun("b"), other = MakeRun("c");
  ASSERT_EQ(Train(again, {"run.threads=2"}).status, 0);
  ASSERT_EQ(Train(other, {"train.seed=2"}).status, 0);
  EXPECT_EQ(Metrics(again), metrics);
  EXPECT_TRUE(Weights(again, 12) == Weights(run, 12));
  EXPECT_FALSE(Weights(other, 12) == Weights(run, 12));
}

TEST_F(Run, AResumedRunHasTheSameBits) {
  std::string whole = MakeRun("whole"), parts = MakeRun("parts");
  ASSERT_EQ(Train(whole).status, 0);
  ASSERT_EQ(Train(parts, {"train.steps=8", "train.eval_every=6"}).status, 0);
  ChildResult result = Train(parts, {"--resume"});
  ASSERT_EQ(result.status, 0) << result.error;
  EXPECT_NE(result.error.find("resumed from " + parts + "/checkpoints/step-000008"), std::string::npos)
      << result.error;
  EXPECT_TRUE(Weights(whole, 12) == Weights(parts, 12));
  auto a = Metrics(whole), b = Metrics(parts);
  std::erase_if(b, [](const nlohmann::json &line) {
    return line["step"] == 8 && line.contains("eval_loss");
  }); // the shorter run's last
  EXPECT_EQ(a, b);
}

TEST_F(Run, EventFilesHoldTheMetricsAndTellWhereARunWentOn) {
  std::string run = MakeRun("a");
  ASSERT_EQ(Train(run, {"train.steps=10"}).status, 0);
  fs::remove_all(run + "/checkpoints/step-000010");
  ASSERT_EQ(Train(run, {"--resume"}).status, 0); // from step 8
  std::vector<int64_t> starts;
  Scalars scalars = ReadScalars(run + "/tensorboard", &starts);
  EXPECT_EQ(starts, (std::vector<int64_t>{1, 9}));
  auto lines = Metrics(run);
  for (const auto &line : lines) {
    bool step = line.contains("loss");
    std::string tag = step ? "train/loss" : "validation/loss";
    EXPECT_EQ(scalars[tag][line["step"]], line[step ? "loss" : "eval_loss"].get<float>()) << line;
  }
  EXPECT_EQ(scalars["train/loss"].size() + scalars["validation/loss"].size(), lines.size());
  EXPECT_EQ(scalars["train/lr"].size(), 12u);

  ASSERT_EQ(Train(run, {"--resume"}).status, 0); // nothing is left to do: no file for it
  EXPECT_EQ(std::distance(fs::directory_iterator(run + "/tensorboard"), fs::directory_iterator()), 2);
}

TEST_F(Run, ABrokenCheckpointIsNamedAndTheOneBeforeItUsed) {
  std::string whole = MakeRun("whole"), run = MakeRun("run");
  ASSERT_EQ(Train(whole).status, 0);
  ASSERT_EQ(Train(run, {"train.steps=8"}).status, 0);
  fs::resize_file(run + "/checkpoints/step-000008/model.safetensors", 1000);
  ChildResult result = Weft({"train", run, "--resume", "train.steps=12"});
  ASSERT_EQ(result.status, 0) << result.error;
  EXPECT_NE(result.error.find("checkpoint " + run +
                              "/checkpoints/step-000008 is broken: model.safetensors has 1000 bytes"),
            std::string::npos)
      << result.error;
  EXPECT_TRUE(Weights(whole, 12) == Weights(run, 12));
}

TEST_F(Run, StartingOverNeedsAnotherFolder) {
  std::string run = MakeRun("a");
  ASSERT_EQ(Train(run).status, 0);
  ChildResult result = Train(run);
  EXPECT_EQ(result.status, 1);
  EXPECT_EQ(result.error, "error: " + run +
                              " holds a run of 12 steps already\nhint: --resume goes on with it; another "
                              "run.dir starts afresh\n");
  result = Train(run, {"--resume", "train.steps=6"});
  EXPECT_EQ(result.error,
            "error: the checkpoint has 12 steps when train.steps is 6\nhint: train.steps=24 trains on\n");
}

TEST_F(Run, AnotherDotUnitNeedsAFlag) {
  std::string run = MakeRun("a");
  ASSERT_EQ(Train(run, {"train.steps=8"}).status, 0);
  weft::testing::BigramOptions other;
  other.dot_unit = "bf16-amx";
  MakeRun("a", other);
  ChildResult result = Train(run, {"--resume"});
  EXPECT_EQ(result.status, 1);
  EXPECT_NE(result.error.find("was trained with the dot unit f32-chain when this is bf16-amx"),
            std::string::npos)
      << result.error;
  EXPECT_EQ(Train(run, {"--resume", "--allow-other-dot-unit"}).status, 0);
}

TEST_F(Run, KilledAtAnyMomentNothingButTheUnfinishedIsLost) {
  std::string run = MakeRun("run");
  int64_t last = 0;
  for (int round = 0; round < 12; ++round) {
    Child child(folder_, {"train", recipe_, "run.dir=" + run, "train.steps=100000", "run.checkpoint_every=1",
                          "train.eval_every=0", "--resume"});
    for (int i = 0; i < 1000; ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(3));
      std::vector<int64_t> steps = ListCheckpoints(run + "/checkpoints");
      if (!steps.empty() && steps.back() > last) break;
    }
    std::this_thread::sleep_for(std::chrono::microseconds(700 * round));
    child.Signal(SIGKILL);
    EXPECT_EQ(child.Wait().status, 128 + SIGKILL);
    std::vector<int64_t> steps = ListCheckpoints(run + "/checkpoints");
    ASSERT_FALSE(steps.empty());
    EXPECT_GT(steps.back(), last);
    last = steps.back();
    for (int64_t step : steps) { // what has a name is whole
      absl::Status status = VerifyCheckpoint(run + "/checkpoints/" + CheckpointName(step)).status();
      EXPECT_TRUE(status.ok()) << status;
    }
  }
  std::string whole = MakeRun("whole"), target = "train.steps=" + std::to_string(last + 3);
  ChildResult result = Train(run, {"--resume", target});
  ASSERT_EQ(result.status, 0) << result.error;
  ASSERT_EQ(Train(whole, {target}).status, 0);
  EXPECT_TRUE(Weights(whole, last + 3) == Weights(run, last + 3));
  auto a = Metrics(whole), b = Metrics(run);
  for (auto *lines : {&a, &b})
    std::erase_if(*lines, [](const nlohmann::json &line) { return line.contains("eval_loss"); });
  EXPECT_EQ(a, b);
  for (const fs::directory_entry &entry : fs::directory_iterator(run + "/checkpoints"))
    EXPECT_FALSE(entry.path().filename().string().starts_with(".tmp")) << entry.path();
}

TEST_F(Run, ADirectoryIsUsedByOneProcessAtATime) {
  std::string run = MakeRun("run");
  Child child(folder_, {"train", recipe_, "run.dir=" + run, "train.steps=100000"});
  for (int i = 0; i < 1000 && ListCheckpoints(run + "/checkpoints").empty(); ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  TempFolder other;
  ChildResult result = Child(other, {"train", recipe_, "run.dir=" + run, "--resume"}).Wait();
  EXPECT_EQ(result.status, 1);
  EXPECT_EQ(result.error,
            "error: " + run + " is in use by another weft\nhint: wait for it, or choose another run.dir\n");
}

TEST_F(Run, DivergenceEndsTheRunAndSaysWhatToDo) {
  weft::testing::BigramOptions options;
  options.init_scale = 1e38; // overflows
  std::string run = MakeRun("a", options);
  ChildResult result = Train(run);
  EXPECT_EQ(result.status, 1);
  EXPECT_NE(result.error.find("error: the run has diverged: the loss is "), std::string::npos)
      << result.error;
  EXPECT_NE(result.error.find(" at step 1\nhint: start again, with a lower optimizer.lr"), std::string::npos)
      << result.error;
  EXPECT_TRUE(ListCheckpoints(run + "/checkpoints").empty());
}

TEST_F(Run, GeneratesAndEvaluatesFromRunsAndCheckpoints) {
  std::string run = MakeRun("a");
  ASSERT_EQ(Train(run, {"train.steps=60", "run.checkpoint_every=30"}).status, 0);
  ChildResult result =
      Weft({"generate", run, "--prompt", "the cat", "--temperature", "0", "--max-tokens", "6"});
  ASSERT_EQ(result.status, 0) << result.error;
  EXPECT_TRUE(result.out.starts_with("the cat s")) << result.out;
  EXPECT_EQ(Weft({"generate", run + "/checkpoints/step-000060", "--prompt", "the cat", "--temperature", "0",
                  "--max-tokens", "6"})
                .out,
            result.out);

  auto sampled = [&](const char *seed) {
    return Weft({"generate", run, "--prompt", "the", "--max-tokens", "20", "--seed", seed, "--json"}).out;
  };
  auto a = nlohmann::json::parse(sampled("3")), b = nlohmann::json::parse(sampled("3")),
       c = nlohmann::json::parse(sampled("4"));
  EXPECT_EQ(a["tokens"], b["tokens"]);
  EXPECT_EQ(a["logprobs"], b["logprobs"]);
  EXPECT_NE(a["tokens"], c["tokens"]);

  std::string longer;
  for (int i = 0; i < 40; ++i) longer += "qz";
  EXPECT_EQ(Weft({"generate", run, "--prompt", longer}).error,
            "error: the prompt has 80 tokens when the model's context holds 32\nhint: shorten it by 48 "
            "tokens or more\n");
  EXPECT_EQ(Weft({"generate", run, "--prompt", ""}).status, 1);

  result = Weft({"eval", run, "--data", folder_ / "text.txt", "--json"});
  ASSERT_EQ(result.status, 0) << result.error;
  auto eval = nlohmann::json::parse(result.out);
  EXPECT_LT(eval["loss"], 4.0);
  EXPECT_EQ(eval["documents"], 1);
  EXPECT_EQ(eval["targets"], eval["tokens"].get<int>() - 1);
  EXPECT_EQ(eval["boundaries"], "nothing before and <|endoftext|> after each document");
  EXPECT_EQ(Weft({"eval", run, "--data", folder_ / "text.txt"}).status, 0);
}

TEST_F(Run, AnArtifactOfOtherOptionsIsCompiledAgain) {
  std::string run = MakeRun("a");
  ChildResult result =
      Train(run, {"train.seq=32"}); // there is no weftc beside this weft, or it knows no bigram
  EXPECT_EQ(result.status, 1);
  EXPECT_NE(result.error.find("compiling again: model.weft was compiled with seq 16 when the recipe has 32"),
            std::string::npos)
      << result.error;
}

} // namespace
} // namespace weft
