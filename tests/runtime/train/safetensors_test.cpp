#include "runtime/train/safetensors.h"

#include <gtest/gtest.h>

#include <cstring>
#include <filesystem>
#include <fstream>

namespace weft {
namespace {

class Safetensors : public testing::Test {
protected:
  void SetUp() override {
    folder_ = testing::TempDir() + "safetensors_test";
    std::filesystem::create_directories(folder_);
    path_ = folder_ + "/x.safetensors";
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  void WriteRaw(const std::string &header, size_t data_bytes, int64_t length = -1) {
    std::ofstream out(path_, std::ios::binary);
    uint64_t n = length < 0 ? header.size() : length;
    out.write(reinterpret_cast<const char *>(&n), 8);
    out << header << std::string(data_bytes, '\1');
  }
  // What opening says about a file, without its path.
  std::string Error(const std::string &header, size_t data_bytes, int64_t length = -1) {
    WriteRaw(header, data_bytes, length);
    absl::Status status = SafetensorsReader::Open(path_).status();
    std::string message(status.message());
    return message.starts_with(path_ + ": ") ? message.substr(path_.size() + 2) : "unexpected: " + message;
  }
  std::string folder_, path_;
};

TEST_F(Safetensors, WhatIsWrittenReadsBack) {
  float a[6] = {1, 2, 3, 4, 5, 6};
  int64_t b[1] = {-7};
  auto writer = SafetensorsWriter::Create(
      path_,
      {{"z.a", fb::DType::f32, {2, 3}}, {"b\"q", fb::DType::i64, {}}, {"empty", fb::DType::f32, {0, 4}}},
      {{"format", "pt"}});
  ASSERT_TRUE(writer.ok()) << writer.status();
  ASSERT_TRUE(writer->Append({reinterpret_cast<char *>(a), 8}).ok());
  ASSERT_TRUE(writer->Append({reinterpret_cast<char *>(a) + 8, 16}).ok());
  ASSERT_TRUE(writer->Append({reinterpret_cast<char *>(b), 8}).ok());
  ASSERT_TRUE(writer->Finish().ok());
  EXPECT_EQ(writer->size(), std::filesystem::file_size(path_));

  auto reader = SafetensorsReader::Open(path_);
  ASSERT_TRUE(reader.ok()) << reader.status();
  EXPECT_EQ(reader->metadata().at("format"), "pt");
  float got[6];
  ASSERT_TRUE(reader->Read("z.a", fb::DType::f32, {2, 3}, {reinterpret_cast<char *>(got), sizeof got}).ok());
  EXPECT_EQ(memcmp(got, a, sizeof a), 0);
  int64_t got_b = 0;
  ASSERT_TRUE(reader->Read("b\"q", fb::DType::i64, {}, {reinterpret_cast<char *>(&got_b), 8}).ok());
  EXPECT_EQ(got_b, -7);
  EXPECT_EQ(reader->tensors().at("z.a").offset % 8, 0u);

  char room[24];
  EXPECT_EQ(reader->Read("z.b", fb::DType::f32, {2, 3}, room).message(),
            path_ + ": has no tensor z.b (the nearest name is z.a)");
  EXPECT_EQ(reader->Read("z.a", fb::DType::i32, {2, 3}, room).message(),
            path_ + ": tensor z.a has the type F32 when the model has I32");
  EXPECT_EQ(reader->Read("z.a", fb::DType::f32, {3, 2}, room).message(),
            path_ + ": tensor z.a has the shape (2, 3) when the model has (3, 2)");
}

TEST_F(Safetensors, AWriterThatIsGivenTooLittleOrTheSameNameTwiceFails) {
  auto writer = SafetensorsWriter::Create(path_, {{"a", fb::DType::f32, {2}}});
  ASSERT_TRUE(writer.ok());
  EXPECT_EQ(writer->Finish().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(SafetensorsWriter::Create(path_, {{"a", fb::DType::f32, {2}}, {"a", fb::DType::f32, {2}}})
                .status()
                .message(),
            path_ + ": two tensors have the name a");
}

TEST_F(Safetensors, AMissingFileIsNamed) {
  auto status = SafetensorsReader::Open(folder_ + "/none").status();
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
  EXPECT_NE(status.message().find(folder_ + "/none"), std::string::npos);
}

TEST_F(Safetensors, HostileFilesAreErrors) {
  const std::string t = R"("dtype":"F32","shape":[2],"data_offsets":)";
  EXPECT_EQ(Error("{}", 0, 200'000'000), "the header is said to have 200000000 bytes when 100000000 is the "
                                         "most; this is not a safetensors file");
  EXPECT_EQ(Error("{}", 0, 50),
            "the header is said to have 50 bytes when the file has 2 after its length; it may be cut off");
  EXPECT_EQ(Error("[]", 0), "the header is not a JSON object");
  EXPECT_EQ(Error("{", 0), "the header is not a JSON object");
  EXPECT_EQ(Error(std::string(100000, '['), 0), "the header is not a JSON object");
  EXPECT_EQ(Error("{\"a\":{" + t + "[0,8]},\"a\":{" + t + "[0,8]}}", 8), "the header names a twice");
  EXPECT_EQ(Error("{\"a\":{" + t + "[0,8]},\"b\":{" + t + "[4,12]}}", 12), "tensors a and b overlap");
  EXPECT_EQ(Error("{\"a\":{" + t + "[0,8]},\"b\":{" + t + "[12,20]}}", 20),
            "bytes [8, 12) before tensor b belong to no tensor");
  EXPECT_EQ(Error("{\"a\":{" + t + "[0,8]}}", 20), "bytes [8, 20) after the last tensor belong to no tensor");
  EXPECT_EQ(Error("{\"a\":{" + t + "[0,8]}}", 7),
            "tensor a lies at bytes [0, 8) when the file has 7 bytes of tensors; it may be cut off");
  EXPECT_EQ(Error("{\"a\":{" + t + "[8,0]}}", 8),
            "tensor a lies at bytes [8, 0) when the file has 8 bytes of tensors; it may be cut off");
  EXPECT_EQ(Error("{\"a\":{" + t + "[0,4]}}", 4), "tensor a has 4 bytes when F32 (2) takes 8");
  EXPECT_EQ(Error("{\"a\":{" + t + "[-1,4]}}", 4), "tensor a has no data_offsets of two whole numbers");
  EXPECT_EQ(Error("{\"a\":{" + t + "[0]}}", 4), "tensor a has no data_offsets of two whole numbers");
  EXPECT_EQ(Error(R"({"a":{"dtype":"F33","shape":[2],"data_offsets":[0,8]}})", 8),
            "tensor a has the unknown type F33");
  EXPECT_EQ(Error(R"({"a":{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,8]}})", 8),
            "tensor a has a shape too large for any file");
  EXPECT_EQ(Error(R"({"a":{"dtype":"F32","shape":[-2],"data_offsets":[0,8]}})", 8),
            "tensor a has a shape that is not of whole numbers");
  EXPECT_EQ(Error(R"({"a":3})", 8), "tensor a is not an object");
  EXPECT_EQ(Error(R"({"__metadata__":{"a":3}})", 0), "__metadata__.a is not a string");
  std::ofstream(path_, std::ios::binary) << "abc";
  EXPECT_EQ(SafetensorsReader::Open(path_).status().message(),
            path_ + ": has 3 bytes, too few for a safetensors file");
}

} // namespace
} // namespace weft
