#include "runtime/artifact/reader.h"
#include "tests/runtime/artifact/builder.h"

#include "absl/strings/str_cat.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <random>

namespace weft {
namespace {

using ::testing::TempDir;

std::string TempPath(const std::string &name) {
  return absl::StrCat(TempDir(), "/weft_reader_test_", getpid(), "_", name);
}

absl::Status Load(const std::vector<uint8_t> &bytes) {
  return LoadArtifactFromMemory(bytes, "sample.weft").status();
}

TEST(ArtifactReader, ReadsBackWhatWasWritten) {
  fb::ArtifactT artifact = testing::Sample();
  std::string path = TempPath("good.weft");
  ASSERT_TRUE(WriteArtifact(artifact, path).ok());
  auto loaded = LoadArtifact(path);
  ASSERT_TRUE(loaded.ok()) << loaded.status();
  EXPECT_EQ((**loaded)->model()->str(), "sample");
  EXPECT_EQ((**loaded)->format_version(), kArtifactFormatVersion);
  EXPECT_EQ((**loaded)->stages()->Get(0)->entries()->Get(0)->name()->str(), "step");
  EXPECT_EQ((*loaded)->path, path);
  for (const auto &entry : std::filesystem::directory_iterator(TempDir()))
    EXPECT_EQ(entry.path().string().find(path + ".tmp"), std::string::npos) << "temporary file left behind";
  std::filesystem::remove(path);
}

TEST(ArtifactReader, EqualContentGivesEqualBytes) {
  fb::ArtifactT a = testing::Sample(), b = testing::Sample();
  EXPECT_EQ(SerializeArtifact(a), SerializeArtifact(b));
}

TEST(ArtifactReader, NamesAMissingFile) {
  absl::Status status = LoadArtifact("/nowhere/model.weft").status();
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
  EXPECT_NE(status.message().find("cannot open artifact /nowhere/model.weft"), std::string::npos) << status;
  EXPECT_NE(LoadArtifact("/").status().message().find("is not a regular file"), std::string::npos);
}

TEST(ArtifactReader, RefusesWhatIsNoArtifact) {
  std::string path = TempPath("text.weft");
  std::ofstream(path) << "this is some text and no artifact at all";
  absl::Status status = LoadArtifact(path).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss);
  EXPECT_NE(status.message().find(path + ": is not a Weft artifact"), std::string::npos) << status;
  std::ofstream(path, std::ios::trunc) << "";
  EXPECT_NE(LoadArtifact(path).status().message().find("has 0 bytes"), std::string::npos);
  std::filesystem::remove(path);
}

TEST(ArtifactReader, FindsEveryTruncation) {
  fb::ArtifactT artifact = testing::Sample();
  testing::AddObject(artifact, "avx512", std::vector<uint8_t>(20000, 9));
  std::vector<uint8_t> bytes = SerializeArtifact(artifact);
  ASSERT_TRUE(Load(bytes).ok());
  for (size_t size = 0; size < bytes.size(); size += 97) {
    std::vector<uint8_t> cut(bytes.begin(), bytes.begin() + size);
    absl::Status status = Load(cut);
    EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss) << size << " " << status;
  }
  std::vector<uint8_t> longer = bytes;
  longer.push_back(0);
  EXPECT_EQ(Load(longer).code(), absl::StatusCode::kDataLoss);
}

TEST(ArtifactReader, FindsEveryFlippedBit) {
  fb::ArtifactT artifact = testing::Sample();
  std::vector<uint8_t> bytes = SerializeArtifact(artifact);
  for (size_t i = 0; i < bytes.size(); ++i)
    for (int bit = 0; bit < 8; ++bit) {
      bytes[i] ^= 1 << bit;
      EXPECT_EQ(Load(bytes).code(), absl::StatusCode::kDataLoss) << "byte " << i << " bit " << bit;
      bytes[i] ^= 1 << bit;
    }
  EXPECT_TRUE(Load(bytes).ok());
}

// A file made to deceive has a right checksum: then the verifier and the semantic checks stand alone.
TEST(ArtifactReader, SurvivesDamageUnderARightChecksum) {
  fb::ArtifactT artifact = testing::Sample();
  const std::vector<uint8_t> good = SerializeArtifact(artifact);
  std::vector<uint8_t> bytes;
  int refused = 0;
  auto attempt = [&] {
    if (!PatchChecksum(absl::MakeSpan(bytes)) || !Load(bytes).ok()) ++refused;
  };
  for (size_t i = 0; i < good.size(); ++i)
    for (int bit = 0; bit < 8; ++bit) {
      bytes = good;
      bytes[i] ^= 1 << bit;
      attempt();
    }
  std::mt19937 random(1);
  for (int round = 0; round < 3000; ++round) {
    bytes = good;
    for (int k = 0; k < 8; ++k) {
      uint32_t value = random() % 3 == 0 ? 0xFFFFFFFF : random();
      std::memcpy(&bytes[random() % (bytes.size() / 4) * 4], &value, 4);
    }
    if (random() % 4 == 0) bytes.resize(bytes.size() - random() % bytes.size());
    attempt();
  }
  EXPECT_GT(refused, 3000);
}

TEST(ArtifactReader, TellsOldFromNewVersions) {
  fb::ArtifactT artifact = testing::Sample();
  for (int change : {-1, 1}) {
    std::vector<uint8_t> bytes = SerializeArtifact(artifact);
    auto *root = flatbuffers::GetMutableRoot<flatbuffers::Table>(bytes.data());
    root->SetField<int32_t>(fb::Artifact::VT_FORMAT_VERSION, kArtifactFormatVersion + change, 0);
    ASSERT_TRUE(PatchChecksum(absl::MakeSpan(bytes)));
    absl::Status status = Load(bytes);
    EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
    std::string expected =
        absl::StrCat("sample.weft: format version is ", kArtifactFormatVersion + change,
                     " when this runtime reads version ", kArtifactFormatVersion,
                     change > 0 ? ": use the runtime that belongs to the compiler that wrote it"
                                : ": compile the model again");
    EXPECT_EQ(status.message(), expected);
  }
}

TEST(ArtifactReader, RefusesEndlessNesting) {
  fb::ArtifactT artifact = testing::Sample();
  auto body = testing::List(testing::Zero(testing::InArena(0, 8)));
  for (int i = 0; i < 200; ++i) body = testing::List(testing::Loop(0, 1, std::move(body)));
  artifact.stages[0]->entries[0]->body = std::move(body);
  absl::Status status = Load(SerializeArtifact(artifact));
  EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss);
  EXPECT_NE(status.message().find("nested deeper"), std::string::npos) << status;
}

TEST(ArtifactWriter, RefusesWhatTheReaderWouldRefuse) {
  fb::ArtifactT artifact = testing::Sample();
  artifact.stages[0]->entries[0]->arena_bytes = 8;
  std::string path = TempPath("bad.weft");
  absl::Status status = WriteArtifact(artifact, path);
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_FALSE(std::filesystem::exists(path));
}

TEST(ArtifactWriter, NamesAFolderThatIsNotThere) {
  fb::ArtifactT artifact = testing::Sample();
  absl::Status status = WriteArtifact(artifact, "/nowhere/model.weft");
  EXPECT_NE(status.message().find("cannot create /nowhere/model.weft.tmp."), std::string::npos) << status;
}

} // namespace
} // namespace weft
