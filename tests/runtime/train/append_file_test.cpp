#include "runtime/train/append_file.h"
#include "tests/runtime/data/temp_folder.h"

#include <gtest/gtest.h>

#include <csignal>
#include <sys/resource.h>

namespace weft {
namespace {

// Lets files of this process grow to `bytes`, as a disk of that size would, while it lives.
class FileLimit {
public:
  explicit FileLimit(rlim_t bytes) {
    std::signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &old_);
    rlimit limit{bytes, old_.rlim_max};
    EXPECT_EQ(setrlimit(RLIMIT_FSIZE, &limit), 0);
  }
  ~FileLimit() { setrlimit(RLIMIT_FSIZE, &old_); }

private:
  rlimit old_;
};

TEST(AppendFile, AFullDiskLeavesWholeRecordsAndLosesNone) {
  TempFolder folder;
  std::string path = folder.Write("records", "one two torn");
  auto file = AppendFile::Open(path, 8);
  ASSERT_TRUE(file.ok()) << file.status();
  ASSERT_TRUE(file->Append("three ").ok());
  {
    FileLimit limit(17); // three bytes more
    absl::Status status = file->Append("four ");
    EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted);
    EXPECT_EQ(status.message(), "cannot write " + path + ": No space left on device");
    EXPECT_EQ(Slurp(path), "one two three "); // not half of it
    EXPECT_FALSE(file->Append("five ").ok());
    EXPECT_FALSE(file->Flush().ok());
    EXPECT_EQ(Slurp(path), "one two three ");
  }
  ASSERT_TRUE(file->Append("six ").ok());
  EXPECT_EQ(Slurp(path), "one two three four five six ");
  EXPECT_TRUE(file->Flush().ok());
  EXPECT_TRUE(file->Sync().ok());
  EXPECT_EQ(Slurp(path), "one two three four five six ");
}

TEST(AppendFile, AFileThatCannotBeOpenedIsNamed) {
  TempFolder folder;
  EXPECT_EQ(AppendFile::Open(folder / "no/records", 0).status().message(),
            "cannot open " + (folder / "no/records") + ": No such file or directory");
}

} // namespace
} // namespace weft
