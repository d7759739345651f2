#include "runtime/train/checkpoint_saver.h"
#include "runtime/train/safetensors.h"
#include "tests/runtime/data/temp_folder.h"
#include "tests/runtime/train/test_variable.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <future>
#include <set>

namespace weft {
namespace {

namespace fs = std::filesystem;

class Saver : public testing::Test {
protected:
  CheckpointContents Contents(int64_t step) {
    CheckpointContents contents;
    contents.state.step = step;
    contents.variables = {w_.view};
    return contents;
  }
  std::set<std::string> Names() {
    std::set<std::string> names;
    for (const auto &entry : fs::directory_iterator(folder_.path())) names.insert(entry.path().filename());
    return names;
  }
  using Set = std::set<std::string>;
  TempFolder folder_;
  TestVariable w_{"w", "model.w", fb::VariableKind::parameter, {2, 3}};
  CheckpointSaver saver_{folder_.path(), 1};
};

TEST_F(Saver, TheRunGoesOnWhileTheDiskIsWaitedFor) {
  w_.Fill(1);
  std::promise<absl::Status> disk;
  ASSERT_TRUE(saver_.Begin(Contents(5), [&] { return disk.get_future().get(); }).ok());
  w_.Fill(100); // what the next steps do
  EXPECT_FALSE(saver_.Ended(/*wait=*/false));
  EXPECT_EQ(Names(), Set{".tmp-step-000005"}); // no name before it is on the disk
  disk.set_value(absl::OkStatus());
  auto ended = saver_.Ended(/*wait=*/true);
  ASSERT_TRUE(ended && ended->path.ok()) << ended->path.status();
  EXPECT_EQ(ended->step, 5);
  EXPECT_EQ(Names(), Set{"step-000005"});
  EXPECT_TRUE(VerifyCheckpoint(*ended->path).ok());
  ASSERT_TRUE(ReadCheckpoint(*ended->path, {w_.view}, false).ok());
  EXPECT_EQ(w_.values[5], 6);                // as it was at its step
  EXPECT_FALSE(saver_.Ended(/*wait=*/true)); // told once

  ASSERT_TRUE(saver_.Begin(Contents(6), [] { return absl::OkStatus(); }).ok());
  ended = saver_.Ended(/*wait=*/true);
  ASSERT_TRUE(ended && ended->path.ok());
  EXPECT_EQ(Names(), Set{"step-000006"}); // one is kept
}

TEST_F(Saver, AnErrorOfEitherPartLeavesWhatWasThere) {
  auto sync = [] { return absl::OkStatus(); };
  ASSERT_TRUE(saver_.Begin(Contents(5), sync).ok());
  ASSERT_TRUE(saver_.Ended(true)->path.ok());
  ASSERT_TRUE(saver_.Begin(Contents(6), [] { return absl::ResourceExhaustedError("full"); }).ok());
  auto ended = saver_.Ended(true);
  ASSERT_TRUE(ended);
  EXPECT_EQ(ended->step, 6);
  EXPECT_EQ(ended->path.status(), absl::ResourceExhaustedError("full"));
  EXPECT_EQ(Names(), Set{"step-000005"});

  // A folder that is not there any more when the name is to be given.
  std::string elsewhere = folder_ / "gone";
  ASSERT_TRUE(saver_
                  .Begin(Contents(7),
                         [&] {
                           fs::rename(folder_ / ".tmp-step-000007", elsewhere);
                           return absl::OkStatus();
                         })
                  .ok());
  ended = saver_.Ended(true);
  ASSERT_TRUE(ended);
  EXPECT_EQ(ended->path.status().message(),
            "cannot open " + (folder_ / ".tmp-step-000007") + ": No such file or directory");
  EXPECT_EQ(Names(), (Set{"step-000005", "gone"}));

  std::string file = folder_.Write("file", "");
  CheckpointSaver nowhere(file, 1);
  EXPECT_NE(nowhere.Begin(Contents(8), sync).message().find(file), std::string::npos);
  EXPECT_FALSE(nowhere.Ended(true));
}

} // namespace
} // namespace weft
