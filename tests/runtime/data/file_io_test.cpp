#include "runtime/data/file_io.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include "tests/runtime/data/temp_folder.h"

namespace weft {
namespace {

TEST(FileIo, LeavesDevicesAndPipesWhatTheyAre) {
  TempFolder f;
  const std::string pipe = f / "pipe";
  ASSERT_EQ(::mkfifo(pipe.c_str(), 0600), 0);
  EXPECT_EQ(WriteFileAtomically(pipe, "text"),
            absl::InvalidArgumentError("cannot write " + pipe + ": it is not a regular file"));
  EXPECT_TRUE(std::filesystem::is_fifo(pipe));
  EXPECT_EQ(ReadFile(pipe, 10).status(), absl::InvalidArgumentError(pipe + " is not a regular file"));
}

TEST(FileIo, ReadsPartsOfAFile) {
  TempFolder f;
  const InputFile file = InputFile::Open(f.Write("a", "0123456789")).value();
  EXPECT_EQ(file.size(), 10u);
  char to[8] = {};
  EXPECT_EQ(file.ReadAt(3, to, 4).value(), 4u);
  EXPECT_EQ(std::string_view(to, 4), "3456");
  EXPECT_EQ(file.ReadAt(7, to, 8).value(), 3u); // where the file ends
  EXPECT_EQ(file.ReadAt(20, to, 8).value(), 0u);
  EXPECT_EQ(InputFile::Open(f / "none").status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(ReadFile(f / "a", 9).status().code(), absl::StatusCode::kResourceExhausted);
}

} // namespace
} // namespace weft
