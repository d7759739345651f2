#include "runtime/data/file_io.h"
#include "runtime/hugging_face/staged_folder.h"
#include "tests/runtime/hugging_face/folder.h"

namespace weft {
namespace {

namespace fs = std::filesystem;

TEST(StagedFolder, AppearsWhole) {
  TempFolder folder;
  {
    auto staged = StagedFolder::Create(folder / "new/parent/out/");
    ASSERT_TRUE(staged.ok()) << staged.status();
    ASSERT_TRUE(WriteUnsynced(staged->Path("a"), "text").ok());
    fs::create_directory(staged->Path("inner"));
    ASSERT_TRUE(WriteUnsynced(staged->Path("inner/b"), "more").ok());
    EXPECT_FALSE(fs::exists(folder / "new/parent/out"));
    ASSERT_TRUE(staged->Commit().ok());
  }
  EXPECT_EQ(Slurp(folder / "new/parent/out/inner/b"), "more");
  EXPECT_EQ(Listed(folder / "new/parent"), std::vector<std::string>{"out"});
}

TEST(StagedFolder, WithoutCommitNothingIsLeft) {
  TempFolder folder;
  {
    auto staged = StagedFolder::Create(folder / "new/parent/out");
    ASSERT_TRUE(staged.ok());
    StagedFolder moved = *std::move(staged);
    ASSERT_TRUE(WriteUnsynced(moved.Path("a"), "text").ok());
  }
  EXPECT_EQ(Listed(folder.path()), std::vector<std::string>());
}

TEST(StagedFolder, ParentsOfOthersStay) {
  TempFolder folder;
  {
    auto staged = StagedFolder::Create(folder / "new/parent/out");
    ASSERT_TRUE(staged.ok());
    folder.Write("new/other", "");
  }
  EXPECT_EQ(Listed(folder / "new"), std::vector<std::string>{"other"});
}

TEST(StagedFolder, NeitherOverwritesNorSharesAFolder) {
  TempFolder folder;
  folder.Write("full/file", "");
  EXPECT_EQ(StagedFolder::Create(folder / "full").status().code(), absl::StatusCode::kAlreadyExists);
  EXPECT_EQ(StagedFolder::Create(folder / "full/file").status().code(), absl::StatusCode::kAlreadyExists);
  fs::create_symlink("nowhere", folder / "link");
  EXPECT_EQ(StagedFolder::Create(folder / "link").status().code(), absl::StatusCode::kAlreadyExists);
  fs::create_directory(folder / "empty");
  auto staged = StagedFolder::Create(folder / "empty");
  ASSERT_TRUE(staged.ok());
  auto second = StagedFolder::Create(folder / "empty");
  EXPECT_NE(second.status().message().find("is being written by another weft"), std::string::npos);
  EXPECT_TRUE(staged->Commit().ok());
  EXPECT_FALSE(StagedFolder::Create("/proc/nothing/out").ok());
}

TEST(StagedFolder, WhatAKilledOneLeftIsRemoved) {
  TempFolder folder;
  folder.Write(".tmp-out/half", "");
  {
    auto staged = StagedFolder::Create(folder / "out");
    ASSERT_TRUE(staged.ok()) << staged.status();
    EXPECT_EQ(Listed(staged->folder()), std::vector<std::string>());
  }
  EXPECT_EQ(Listed(folder.path()), std::vector<std::string>());
}

} // namespace
} // namespace weft
