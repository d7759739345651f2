// Runs whose disk is full, at several moments. The disk is a small tmpfs in a mount namespace of the test's
// own; where none can be made, the tests say that they are skipped.
#include "runtime/train/checkpoint.h"
#include "tests/cli/bigram_run.h"
#include "tests/runtime/train/events.h"

#include <algorithm>
#include <chrono>
#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/statvfs.h>
#include <thread>

namespace weft {
namespace {

// Once in the process: a namespace whose mounts nobody else sees.
bool OwnMounts() {
  static const bool done = [] {
    uid_t user = getuid(), group = getgid();
    if (unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0) return false;
    auto write = [](const char *path, const std::string &text) { std::ofstream(path) << text; };
    write("/proc/self/setgroups", "deny");
    write("/proc/self/uid_map", "0 " + std::to_string(user) + " 1");
    write("/proc/self/gid_map", "0 " + std::to_string(group) + " 1");
    return mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0;
  }();
  return done;
}

class FullDisk : public BigramRun {
protected:
  void SetUp() override {
    BigramRun::SetUp();
    fs::create_directories(disk_);
    if (!OwnMounts() || mount("none", disk_.c_str(), "tmpfs", 0, "size=64m") != 0)
      GTEST_SKIP() << "no tmpfs can be mounted here: " << strerror(errno);
    mounted_ = true;
  }
  void TearDown() override {
    if (mounted_) umount2(disk_.c_str(), MNT_DETACH);
  }
  uint64_t Free() {
    struct statvfs info;
    EXPECT_EQ(statvfs(disk_.c_str(), &info), 0);
    return info.f_bavail * info.f_bsize;
  }
  // Leaves `bytes` of the disk free, to a page, whatever the run writes meanwhile.
  void Fill(uint64_t bytes) {
    int fd = open((disk_ + "/filler").c_str(), O_WRONLY | O_CREAT | O_APPEND, 0644);
    ASSERT_GE(fd, 0);
    std::string page(4096, 'x');
    while (Free() > bytes && write(fd, page.data(), page.size()) > 0) {
    }
    close(fd);
  }
  void MakeRoom() { fs::remove(disk_ + "/filler"); }
  // Halts the run at a moment when none of its checkpoints is half-written: what is free stays what it is.
  bool StopBetweenCheckpoints(Child &child) {
    for (int i = 0; i < 1000; ++i) {
      child.Signal(SIGSTOP);
      std::this_thread::sleep_for(std::chrono::milliseconds(20)); // all of its threads
      bool between = true;
      for (const auto &entry : fs::directory_iterator(run_ + "/checkpoints"))
        between &= entry.path().filename().string().rfind(".tmp", 0) != 0;
      if (between) return true;
      child.Signal(SIGCONT);
      std::this_thread::sleep_for(std::chrono::milliseconds(1 + i % 7));
    }
    return false;
  }
  // Steps of the lines of metrics.jsonl, and of the event file's scalars.
  void ExpectStepsUpTo(const std::string &run, int64_t last) {
    std::vector<int64_t> expected(last), lines, events;
    for (int64_t i = 0; i < last; ++i) expected[i] = i + 1;
    for (const auto &line : Metrics(run))
      if (line.contains("loss")) lines.push_back(line["step"]);
    EXPECT_EQ(lines, expected);
    Scalars scalars = ReadScalars(run + "/tensorboard");
    for (const auto &[step, value] : scalars["train/loss"]) events.push_back(step);
    EXPECT_EQ(events, expected);
  }
  static void ExpectNoLeftovers(const std::string &folder) {
    for (const auto &entry : fs::recursive_directory_iterator(folder))
      EXPECT_EQ(entry.path().filename().string().find(".tmp"), std::string::npos) << entry.path();
  }
  std::string disk_ = folder_ / "disk", run_ = folder_ / "disk/run";
  bool mounted_ = false;
};

constexpr char kFull[] = ": No space left on device";
constexpr uint64_t kCheckpointBytes = 2 * 300 * 300 * 4; // and some more

TEST_F(FullDisk, ACheckpointThatDoesNotFitIsTriedAgainAtTheNext) {
  MakeRun("disk/run");
  Child child(folder_, {"train", recipe_, "run.dir=" + run_, "train.steps=1000000", "train.eval_every=0",
                        "run.keep=0"});
  ASSERT_TRUE(child.Says("saved " + run_ + "/checkpoints/step-000008"));
  ASSERT_TRUE(StopBetweenCheckpoints(child));
  Fill(kCheckpointBytes * 3 / 4); // the next one's first file fits, its second does not
  std::vector<int64_t> before = ListCheckpoints(run_ + "/checkpoints");
  child.Signal(SIGCONT);
  ASSERT_TRUE(child.Says("weft-state.safetensors" + std::string(kFull) +
                         " (the run goes on; the next is due at step "))
      << child.Error();
  EXPECT_EQ(ListCheckpoints(run_ + "/checkpoints"), before);
  for (int64_t step : before)
    EXPECT_TRUE(VerifyCheckpoint(run_ + "/checkpoints/" + CheckpointName(step)).ok());
  MakeRoom();
  for (int i = 0; i < 6000 && ListCheckpoints(run_ + "/checkpoints").size() == before.size(); ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  child.Signal(SIGINT);
  ChildResult result = child.Wait();
  EXPECT_EQ(result.status, 130) << result.error;
  std::vector<int64_t> steps = ListCheckpoints(run_ + "/checkpoints");
  EXPECT_GT(steps.size(), before.size());
  ExpectStepsUpTo(run_, steps.back());
  ExpectNoLeftovers(run_);
}

TEST_F(FullDisk, TheLastCheckpointIsAnErrorAndTheRunGoesOnOnceThereIsRoom) {
  std::string whole = MakeRun("whole");
  ASSERT_EQ(Train(whole, {"train.eval_every=0"}).status, 0);
  MakeRun("disk/run");
  ASSERT_EQ(Train(run_, {"train.steps=4", "train.eval_every=0"}).status, 0);
  Fill(kCheckpointBytes / 2);
  ChildResult result = Weft({"train", run_, "--resume", "train.steps=12"});
  EXPECT_EQ(result.status, 1);
  EXPECT_NE(result.error.find("warning: the checkpoint of step 8 could not be written: cannot write "),
            std::string::npos)
      << result.error;
  EXPECT_NE(result.error.find("error: the checkpoint of step 12 could not be written: cannot write " + run_ +
                              "/checkpoints/.tmp-step-000012/model.safetensors" + kFull +
                              "\nhint: make room; weft train " + run_ + " --resume goes back to step 4\n"),
            std::string::npos)
      << result.error;
  EXPECT_EQ(ListCheckpoints(run_ + "/checkpoints"), std::vector<int64_t>{4});
  ExpectNoLeftovers(run_);
  MakeRoom();
  result = Weft({"train", run_, "--resume", "train.steps=12"});
  ASSERT_EQ(result.status, 0) << result.error;
  EXPECT_TRUE(Weights(whole, 12) == Weights(run_, 12));
  EXPECT_EQ(Metrics(whole), Metrics(run_));
}

TEST_F(FullDisk, MetricsWaitUntilThereIsRoom) {
  MakeRun("disk/run");
  Child child(folder_,
              {"train", recipe_, "run.dir=" + run_, "train.steps=1000000", "run.checkpoint_every=0"});
  ASSERT_TRUE(child.Says("step 10/"));
  Fill(0);
  for (const char *file : {"/metrics.jsonl", "/tensorboard/"})
    ASSERT_TRUE(child.Says("warning: cannot write " + run_ + file)) << child.Error();
  ASSERT_TRUE(child.Says("warning: cannot write the log" + std::string(kFull))) << child.Error();
  MakeRoom();
  ASSERT_TRUE(child.Says(run_ + "/metrics.jsonl is written again and lacks nothing"));
  child.Signal(SIGTERM);
  ChildResult result = child.Wait();
  EXPECT_EQ(result.status, 130) << result.error;
  std::vector<int64_t> steps = ListCheckpoints(run_ + "/checkpoints");
  ASSERT_EQ(steps.size(), 1u);
  ExpectStepsUpTo(run_, steps.back());
}

TEST_F(FullDisk, AnInterruptedRunThatCannotBeSavedSaysSo) {
  MakeRun("disk/run");
  Child child(folder_,
              {"train", recipe_, "run.dir=" + run_, "train.steps=1000000", "run.checkpoint_every=0"});
  ASSERT_TRUE(child.Says("step 10/"));
  Fill(0);
  child.Signal(SIGINT);
  ChildResult result = child.Wait();
  EXPECT_EQ(result.status, 1);
  EXPECT_NE(result.error.find("error: the checkpoint of step "), std::string::npos) << result.error;
  EXPECT_NE(result.error.find("\nhint: make room; weft train " + run_ + " --resume starts again\n"),
            std::string::npos)
      << result.error;
  ExpectNoLeftovers(run_);
  MakeRoom();
  ASSERT_EQ(Train(run_, {"--resume"}).status, 0);
  ExpectStepsUpTo(run_, 12);
}

TEST_F(FullDisk, DataThatDoesNotFitIsAnErrorAndMadeAgain) {
  MakeRun("disk/run");
  for (uint64_t bytes : {0, 4096, 16384}) {
    Fill(bytes);
    ChildResult result = Train(run_);
    EXPECT_EQ(result.status, 1);
    EXPECT_NE(result.error.find("error: cannot "), std::string::npos) << result.error;
    EXPECT_NE(result.error.find(run_), std::string::npos) << result.error;
    EXPECT_NE(result.error.find(kFull), std::string::npos) << result.error;
    ExpectNoLeftovers(run_);
    EXPECT_FALSE(fs::exists(run_ + "/data/data.key"));
    MakeRoom();
  }
  EXPECT_EQ(Train(run_).status, 0);
}

} // namespace
} // namespace weft
