// Early stopping, the best checkpoint, and spikes, from the command line.
#include "tests/cli/bigram_run.h"

namespace weft {
namespace {

class Monitor : public BigramRun {
protected:
  static std::vector<nlohmann::json> Events(const std::string &run) {
    std::vector<nlohmann::json> events;
    for (nlohmann::json &line : Metrics(run))
      if (line.contains("event")) events.push_back(line);
    return events;
  }
  static std::string Best(const std::string &run) {
    std::error_code error;
    return fs::read_symlink(run + "/checkpoints/best", error).string();
  }
  // Overfits soon: the validation loss falls, then rises.
  std::vector<std::string> Overfitting(std::vector<std::string> more = {}) {
    std::vector<std::string> keys = {"train.steps=400",        "train.eval_every=5", "train.patience=3",
                                     "run.checkpoint_every=7", "run.keep=2",         "data.validation=0.3"};
    keys.insert(keys.end(), more.begin(), more.end());
    return keys;
  }
  static std::vector<std::string> Spiky(const std::string &action, std::vector<std::string> more = {}) {
    std::vector<std::string> keys = {
        "train.steps=60",         "train.spike=" + action,     "train.spike_window=6",
        "train.spike_most=60000", "train.spike_within=100000", "run.checkpoint_every=10",
        "optimizer.lr=0.5",       "train.eval_every=15",       "train.spike_deviations=1.5"};
    keys.insert(keys.end(), more.begin(), more.end());
    return keys;
  }
};

TEST_F(Monitor, StopsEarlySaysWhyAndKeepsTheBest) {
  std::string run = MakeRun("a");
  ChildResult result = Train(run, Overfitting());
  ASSERT_EQ(result.status, 0) << result.error;
  auto events = Events(run);
  ASSERT_EQ(events.size(), 1u);
  EXPECT_EQ(events[0]["event"], "stopped");
  const int64_t step = events[0]["step"];
  EXPECT_LT(step, 400);
  const std::string why = events[0]["why"];
  EXPECT_NE(result.error.find("stopped early at step " + std::to_string(step) + " of 400: " + why),
            std::string::npos)
      << result.error;
  EXPECT_EQ(Slurp(run + "/log.txt").find("stopped early") == std::string::npos, false);

  // The best is that of the lowest validation loss, and is there although keep is 2.
  double best = 1e9;
  int64_t best_step = 0;
  for (const auto &line : Metrics(run))
    if (line.contains("eval_loss") && line["eval_loss"] < best)
      best = line["eval_loss"], best_step = line["step"];
  EXPECT_EQ(step, best_step + 15);
  EXPECT_EQ(Best(run), CheckpointName(best_step));
  auto steps = ListCheckpoints(run + "/checkpoints");
  EXPECT_EQ(steps.size(), 3u);
  EXPECT_EQ(steps.front(), best_step);
  EXPECT_EQ(steps.back(), step);
  EXPECT_EQ(Weft({"generate", run + "/checkpoints/best", "--prompt", "the", "--max-tokens", "3"}).status, 0);
}

TEST_F(Monitor, AStoppedRunStaysSoAndGoesOnWhenToldTo) {
  std::string run = MakeRun("a");
  ASSERT_EQ(Train(run, Overfitting()).status, 0);
  std::string before = Slurp(run + "/metrics.jsonl");
  ChildResult result = Weft({"train", run, "--resume"});
  EXPECT_EQ(result.status, 0) << result.error;
  EXPECT_NE(result.error.find("stopped early at step "), std::string::npos) << result.error;
  EXPECT_NE(result.error.find("--resume train.patience=6 goes on"), std::string::npos) << result.error;
  EXPECT_EQ(Slurp(run + "/metrics.jsonl"), before);
  const int64_t last = ListCheckpoints(run + "/checkpoints").back();
  std::string steps = "train.steps=" + std::to_string(last + 4);
  result = Weft({"train", run, "--resume", "train.patience=0", steps});
  ASSERT_EQ(result.status, 0) << result.error;
  EXPECT_EQ(ListCheckpoints(run + "/checkpoints").back(), last + 4);
}

TEST_F(Monitor, KilledAndResumedItHasTheSameFate) {
  std::string whole = MakeRun("whole"), parts = MakeRun("parts");
  ASSERT_EQ(Train(whole, Overfitting()).status, 0);
  const int64_t last = ListCheckpoints(whole + "/checkpoints").back();
  ASSERT_EQ(Train(parts, Overfitting()).status, 0);
  fs::remove_all(parts + "/checkpoints/" +
                 CheckpointName(last)); // killed before its last checkpoint had a name
  ASSERT_EQ(Train(parts, Overfitting({"--resume"})).status, 0);
  EXPECT_EQ(Metrics(parts), Metrics(whole));
  EXPECT_TRUE(Weights(parts, last) == Weights(whole, last));
  EXPECT_EQ(Best(parts), Best(whole));
}

TEST_F(Monitor, WithoutKeepBestThereIsNoExtraCheckpoint) {
  std::string run = MakeRun("a");
  ASSERT_EQ(Train(run, {"run.keep_best=false"}).status, 0);
  EXPECT_EQ(ListCheckpoints(run + "/checkpoints"), (std::vector<int64_t>{4, 8, 12}));
  EXPECT_EQ(Best(run), "");
}

TEST_F(Monitor, ASpikeIsWarnedOfAndChangesNothing) {
  std::string off = MakeRun("off"), warn = MakeRun("warn");
  ASSERT_EQ(Train(off, Spiky("off")).status, 0);
  ChildResult result = Train(warn, Spiky("warn"));
  ASSERT_EQ(result.status, 0);
  EXPECT_TRUE(Weights(off, 60) == Weights(warn, 60));
  auto events = Events(warn);
  ASSERT_FALSE(events.empty());
  EXPECT_TRUE(Events(off).empty());
  EXPECT_NE(result.error.find("warning: a spike at step " + events[0]["step"].dump() + ": "),
            std::string::npos)
      << result.error;
}

TEST_F(Monitor, ASkippedBatchIsLeftOutAndTheStepMadeOfTheNext) {
  std::string run = MakeRun("a"), again = MakeRun("again");
  ChildResult result = Train(run, Spiky("skip"));
  ASSERT_EQ(result.status, 0) << result.error;
  auto events = Events(run);
  ASSERT_GT(events.size(), 1u);
  EXPECT_EQ(events[0]["event"], "skip");
  std::vector<int64_t> steps; // each step is there once
  for (const auto &line : Metrics(run))
    if (line.contains("loss")) steps.push_back(line["step"]);
  ASSERT_EQ(steps.size(), 60u);
  EXPECT_EQ(steps.back(), 60);
  auto state = VerifyCheckpoint(run + "/checkpoints/" + CheckpointName(60));
  ASSERT_TRUE(state.ok()) << state.status();
  EXPECT_EQ(state->monitor.spikes.skipped, static_cast<int64_t>(events.size()));
  // Resumed in the middle, and with ranks, it is the same run.
  ASSERT_EQ(Train(again, Spiky("skip", {"run.keep=0"})).status, 0);
  for (int64_t step : {60, 50, 40}) fs::remove_all(again + "/checkpoints/" + CheckpointName(step));
  ASSERT_EQ(Train(again, Spiky("skip", {"--resume"})).status, 0);
  EXPECT_EQ(Metrics(again), Metrics(run));
  EXPECT_TRUE(Weights(again, 60) == Weights(run, 60));
}

TEST_F(Monitor, ARollbackGoesOnBehindTheBatchAndIsTheSameWhenResumed) {
  std::string run = MakeRun("a"), again = MakeRun("again");
  ChildResult result = Train(run, Spiky("rollback"));
  ASSERT_EQ(result.status, 0) << result.error;
  auto events = Events(run);
  ASSERT_FALSE(events.empty());
  EXPECT_EQ(events[0]["event"], "rollback");
  std::vector<int64_t> steps;
  for (const auto &line : Metrics(run))
    if (line.contains("loss")) steps.push_back(line["step"]);
  ASSERT_EQ(steps.size(), 60u); // what was gone back on is not there
  EXPECT_NE(result.error.find("; back to step "), std::string::npos) << result.error;

  ASSERT_EQ(Train(again, Spiky("rollback", {"run.keep=0"})).status, 0);
  for (int64_t step : ListCheckpoints(again + "/checkpoints"))
    if (step > 20) fs::remove_all(again + "/checkpoints/" + CheckpointName(step));
  ASSERT_EQ(Train(again, Spiky("rollback", {"--resume"})).status, 0);
  EXPECT_EQ(Metrics(again), Metrics(run));
  EXPECT_TRUE(Weights(again, 60) == Weights(run, 60));
}

TEST_F(Monitor, TooManySpikesEndTheRun) {
  for (const char *action : {"skip", "rollback"}) {
    std::string run = MakeRun(action);
    ChildResult result = Train(run, Spiky(action, {"train.spike_most=1", "train.spike_deviations=0.01"}));
    EXPECT_EQ(result.status, 1) << action;
    EXPECT_NE(result.error.find("error: there were 2 spikes in "), std::string::npos) << result.error;
    EXPECT_NE(result.error.find("batches when at most 1 are borne in 100000: at step "), std::string::npos)
        << result.error;
    EXPECT_NE(result.error.find("\nhint: "), std::string::npos) << result.error;
  }
}

TEST_F(Monitor, ARunOfNothingButSpikesCanBeInterruptedAndEnds) {
  std::string run = MakeRun("a"), refused = MakeRun("b");
  std::vector<std::string> keys = Spiky("skip", {"train.spike_deviations=0", "train.steps=100000"});
  std::vector<std::string> arguments = {"train", recipe_, "run.dir=" + run};
  arguments.insert(arguments.end(), keys.begin(), keys.end());
  Child child(folder_, arguments);
  ASSERT_TRUE(child.Says(" is skipped"));
  child.Signal(SIGINT);
  ChildResult result = child.Wait();
  EXPECT_EQ(result.status, 130) << result.error;
  ASSERT_FALSE(ListCheckpoints(run + "/checkpoints").empty());
  result = Train(run, Spiky("skip", {"train.spike_deviations=0", "train.steps=100000", "train.spike_most=20",
                                     "--resume"}));
  EXPECT_EQ(result.status, 1);
  EXPECT_NE(result.error.find("error: there were 21 spikes in "), std::string::npos)
      << result.error.substr(0, 2000);

  result = Train(refused, {"train.spike=skip", "train.spike_most=1000"});
  EXPECT_EQ(result.status, 1);
  EXPECT_NE(
      result.error.find("train.spike_most is 1000 when it should be below train.spike_within, 1000\nhint: "),
      std::string::npos)
      << result.error;
}

TEST_F(Monitor, AnInfiniteLossIsSkippedFromTheFirstStepOnUntilThereAreTooMany) {
  weft::testing::BigramOptions options;
  options.init_scale = 1e38; // overflows
  std::string run = MakeRun("a", options);
  ChildResult result = Train(run, {"train.spike=skip", "train.spike_most=3"});
  EXPECT_EQ(result.status, 1);
  EXPECT_NE(result.error.find(
                "error: there were 4 spikes in 4 batches when at most 3 are borne in 1000: at step 1 the "),
            std::string::npos)
      << result.error;
}

} // namespace
} // namespace weft
