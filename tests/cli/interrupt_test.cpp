// Ctrl-C and its like while a run is going.
#include "tests/cli/bigram_run.h"

#include <algorithm>
#include <chrono>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <thread>

namespace weft {
namespace {

class Interrupt : public BigramRun {
protected:
  Interrupt() { std::signal(SIGHUP, SIG_DFL); } // which nohup ignores, in its children too
  std::vector<std::string> Endless(const std::string &run, std::vector<std::string> more = {}) {
    std::vector<std::string> arguments = {
        "train", recipe_, "run.dir=" + run, "train.steps=1000000", "run.log_every=1", "train.eval_every=0"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return arguments;
  }
  static void ExpectNoLeftovers(const std::string &run) {
    for (const auto &entry : fs::recursive_directory_iterator(run))
      EXPECT_EQ(entry.path().filename().string().find(".tmp"), std::string::npos) << entry.path();
  }
  static void WaitFor(const std::string &file) {
    for (int i = 0; i < 6000 && (!fs::exists(file) || fs::is_empty(file)); ++i)
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    ASSERT_TRUE(fs::exists(file)) << file;
  }
};

TEST_F(Interrupt, TheFirstSavesAndSaysHowToGoOn) {
  for (int signal : {SIGINT, SIGTERM, SIGHUP}) {
    std::string name = std::to_string(signal), whole = MakeRun("whole" + name), run = MakeRun("run" + name);
    Child child(folder_, Endless(run, {"run.checkpoint_every=0"}));
    ASSERT_TRUE(child.Says("step 3/"));
    child.Signal(signal);
    ChildResult result = child.Wait();
    EXPECT_EQ(result.status, 130);
    EXPECT_TRUE(result.exited);
    EXPECT_NE(result.error.find("saving a checkpoint after this step; once more to leave at once"),
              std::string::npos)
        << result.error;
    EXPECT_NE(result.error.find("; weft train " + run + " --resume goes on"), std::string::npos)
        << result.error;
    std::vector<int64_t> steps = ListCheckpoints(run + "/checkpoints");
    ASSERT_EQ(steps.size(), 1u) << result.error;
    std::string target = "train.steps=" + std::to_string(steps[0] + 5);
    ASSERT_EQ(Train(run, {"--resume", target}).status, 0);
    ASSERT_EQ(Train(whole, {target}).status, 0);
    EXPECT_TRUE(Weights(whole, steps[0] + 5) == Weights(run, steps[0] + 5));
  }
}

TEST_F(Interrupt, ACheckpointUnderWayIsWaitedFor) {
  std::string run = MakeRun("run");
  for (int i = 0; i < 5; ++i) { // there is always one under way
    Child child(folder_, Endless(run, {"run.checkpoint_every=1", "--resume"}));
    ASSERT_TRUE(child.Says("saved "));
    child.Signal(SIGINT);
    ChildResult result = child.Wait();
    EXPECT_EQ(result.status, 130) << result.error;
    std::vector<int64_t> steps = ListCheckpoints(run + "/checkpoints");
    EXPECT_NE(result.error.find("interrupted after step " + std::to_string(steps.back()) + ";"),
              std::string::npos)
        << result.error;
    for (int64_t step : steps)
      EXPECT_TRUE(VerifyCheckpoint(run + "/checkpoints/" + CheckpointName(step)).ok());
    ExpectNoLeftovers(run);
  }
}

// The run stands still since nobody reads what it says, as on a terminal stopped by Ctrl-S.
TEST_F(Interrupt, TheSecondLeavesAtOnceEvenWhenNothingCanBeSaid) {
#ifdef __SANITIZE_THREAD__
  GTEST_SKIP() << "ThreadSanitizer holds signals back until the call that waits returns";
#endif
  std::string run = MakeRun("run");
  int ends[2];
  ASSERT_EQ(pipe2(ends, O_CLOEXEC), 0);
  Child child(folder_, Endless(run, {"run.checkpoint_every=0"}), ends[1]);
  WaitFor(run + "/metrics.jsonl");
  // Until it stands: the pipe is full, but for what no line fits into.
  int capacity = fcntl(ends[0], F_GETPIPE_SZ), waiting = 0, last = -1;
  for (int same = 0, polls = 0; waiting < capacity / 2 || same < 10; same = waiting == last ? same + 1 : 0) {
    ASSERT_LT(++polls, 3000) << "five minutes, and the pipe holds " << waiting << " bytes of " << capacity;
    last = waiting;
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
    ASSERT_EQ(ioctl(ends[0], FIONREAD, &waiting), 0);
  }
  child.Signal(SIGINT);
  while (child.HasPending(SIGINT))
    std::this_thread::sleep_for(std::chrono::milliseconds(5)); // two at once are one
  child.Signal(SIGINT);
  ChildResult result = child.Wait();
  EXPECT_EQ(result.status, 130);
  EXPECT_TRUE(result.exited);
  EXPECT_TRUE(ListCheckpoints(run + "/checkpoints").empty());
  close(ends[0]), close(ends[1]);
}

// `weft train … 2>&1 | tee log`: Ctrl-C ends tee as well, and sooner.
TEST_F(Interrupt, ARunWhoseListenerIsGoneStillSaves) {
  std::string run = MakeRun("run");
  int ends[2];
  ASSERT_EQ(pipe2(ends, O_CLOEXEC), 0);
  Child child(folder_, Endless(run, {"run.checkpoint_every=0"}), ends[1]);
  close(ends[1]);
  WaitFor(run + "/metrics.jsonl");
  close(ends[0]);
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  child.Signal(SIGINT);
  EXPECT_EQ(child.Wait().status, 130);
  EXPECT_EQ(ListCheckpoints(run + "/checkpoints").size(), 1u);
}

} // namespace
} // namespace weft
