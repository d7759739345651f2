#include "runtime/device/cpu.h"
#include "runtime/device/memory.h"
#include "tests/runtime/artifact/builder.h"

#include <gtest/gtest.h>

#include <fstream>
#include <iterator>

namespace weft {
namespace {

std::vector<uint8_t> Image() {
  std::ifstream file(KERNELS_PATH, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

// The sample with `levels`' objects.
std::shared_ptr<const LoadedArtifact> Artifact(const std::vector<std::string> &levels,
                                               const std::vector<uint8_t> &image = Image()) {
  fb::ArtifactT artifact = testing::Sample();
  artifact.objects.clear();
  for (const std::string &level : levels) testing::AddObject(artifact, level, image);
  auto loaded = LoadArtifactFromMemory(SerializeArtifact(artifact), "f.weft");
  EXPECT_TRUE(loaded.ok()) << loaded.status();
  return *loaded;
}

bool Contains(const absl::Status &status, const std::string &text) {
  return status.message().find(text) != absl::string_view::npos;
}

class Cpu : public ::testing::Test {
protected:
  void SetUp() override {
    if (DetectCpuLevel() == CpuLevel::none) GTEST_SKIP() << "this machine has no AVX2";
  }
};

TEST_F(Cpu, LoadsAndCallsKernels) {
  auto library = KernelLibrary::Load(*Artifact({"avx2"}));
  ASSERT_TRUE(library.ok()) << library.status();
  EXPECT_EQ((*library)->level(), "avx2");
  ASSERT_EQ((*library)->num_functions(), 2);
  int64_t in[4] = {1, 2, 3, 4}, out[4] = {}, sizes[1] = {10};
  char *buffers[2] = {reinterpret_cast<char *>(in), reinterpret_cast<char *>(out)};
  (*library)->function(0)(buffers, sizes, 1, 3, nullptr);
  EXPECT_EQ(out[0], 0);
  EXPECT_EQ(out[1], 12);
  EXPECT_EQ(out[2], 13);
  EXPECT_EQ(out[3], 0);
}

TEST_F(Cpu, TakesTheBestLevelOfTheMachine) {
  auto library = KernelLibrary::Load(*Artifact({"avx2", "avx512", "avx512bf16", "amx"}));
  ASSERT_TRUE(library.ok()) << library.status();
  EXPECT_EQ((*library)->level(), CpuLevelName(DetectCpuLevel()));
  library = KernelLibrary::Load(*Artifact({"avx2", "avx512"}), {"avx2"});
  ASSERT_TRUE(library.ok()) << library.status();
  EXPECT_EQ((*library)->level(), "avx2");
}

TEST_F(Cpu, SeveralLibrariesLiveSideBySide) {
  auto one = KernelLibrary::Load(*Artifact({"avx2"}));
  auto two = KernelLibrary::Load(*Artifact({"avx2"}));
  ASSERT_TRUE(one.ok() && two.ok());
  EXPECT_NE((*one)->function(0), (*two)->function(0));
  one->reset();
  auto three = KernelLibrary::Load(*Artifact({"avx2"})); // takes the freed descriptor's number
  ASSERT_TRUE(three.ok());
  EXPECT_NE((*two)->function(0), (*three)->function(0));
  float value = 0;
  char *buffers[1] = {reinterpret_cast<char *>(&value)};
  (*three)->function(1)(buffers, nullptr, 0, 1, nullptr);
  EXPECT_EQ(value, 42);
}

TEST_F(Cpu, SaysWhichLevelIsMissing) {
  absl::Status status = KernelLibrary::Load(*Artifact({"avx2"}), {"avx512"}).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  if (DetectCpuLevel() >= CpuLevel::avx512) {
    EXPECT_TRUE(Contains(status,
                         "f.weft: has kernels for avx2 when cpu level 'avx512' was asked for: compile with "
                         "--target cpu:avx512"))
        << status;
  } else {
    EXPECT_TRUE(Contains(status, "cpu level 'avx512' was asked for, but this machine lacks avx512f"))
        << status;
  }
  status = KernelLibrary::Load(*Artifact({"avx2"}), {"mmx"}).status();
  EXPECT_TRUE(Contains(status, "cpu level is 'mmx' when it should be avx2, avx512, avx512bf16 or amx"))
      << status;
  status = KernelLibrary::Load(*Artifact({"sve"})).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_TRUE(Contains(status, std::string("f.weft: has kernels for sve when this machine has ") +
                                   CpuLevelName(DetectCpuLevel()) + ": compile with --target cpu"))
      << status;
}

TEST_F(Cpu, RefusesBrokenObjects) {
  absl::Status status = KernelLibrary::Load(*Artifact({"avx2"}, {1, 2, 3})).status();
  EXPECT_TRUE(Contains(status, "f.weft: the kernels for avx2 are not a 64-bit ELF shared object of 3 bytes"))
      << status;
  std::vector<uint8_t> image = Image();
  for (size_t size = 64; size < image.size(); size += 997) {
    // Cut after the loaded segments, an object may still load; it must not take the process down.
    auto library = KernelLibrary::Load(*Artifact({"avx2"}, {image.begin(), image.begin() + size}));
    EXPECT_TRUE(library.ok() || absl::IsInvalidArgument(library.status())) << library.status();
  }
}

TEST_F(Cpu, NamesAMissingKernel) {
  fb::ArtifactT artifact = testing::Sample();
  artifact.objects.clear();
  testing::AddObject(artifact, "avx2", Image());
  testing::AddKernel(artifact, "third", 0, 0);
  auto loaded = LoadArtifactFromMemory(SerializeArtifact(artifact), "f.weft");
  ASSERT_TRUE(loaded.ok());
  absl::Status status = KernelLibrary::Load(**loaded).status();
  EXPECT_TRUE(Contains(status, "f.weft: the kernels for avx2 lack the symbol 'third'")) << status;
}

TEST(Memory, IsZeroAndAligned) {
  for (int64_t bytes : {int64_t{1}, int64_t{5000}, int64_t{3} << 20}) {
    auto memory = Memory::Allocate(bytes, "a test");
    ASSERT_TRUE(memory.ok());
    EXPECT_EQ(memory->size(), bytes);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(memory->data()) % (bytes >= (2 << 20) ? 2 << 20 : 4096), 0u);
    for (int64_t i = 0; i < bytes; ++i) ASSERT_EQ(memory->data()[i], 0);
    memory->data()[bytes - 1] = 1;
  }
  EXPECT_EQ(Memory::Allocate(0, "nothing")->size(), 0);
}

TEST(Memory, SaysWhatItCouldNotGet) {
  absl::Status status = Memory::Allocate(int64_t{1} << 60, "the arena").status();
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_TRUE(Contains(status, "cannot get 1073741824.00 GiB of memory for the arena")) << status;
}

} // namespace
} // namespace weft
