#include "runtime/hugging_face/weight_files.h"
#include "runtime/hugging_face/weight_index.h"
#include "tests/runtime/hugging_face/folder.h"

namespace weft {
namespace {

class WeightFilesTest : public testing::Test {
protected:
  // Two files with a tensor each, and an index that says so.
  void SetUp() override {
    WriteTensors(folder_ / "one.safetensors", {F32Tensor("a", {2}, {1, 2})});
    WriteTensors(folder_ / "two.safetensors", {F32Tensor("b", {1}, {3})});
    Index({{"a", "one.safetensors"}, {"b", "two.safetensors"}});
  }
  void Index(const std::map<std::string, std::string> &files) {
    folder_.Write(kWeightIndex, WeightIndexText(files, 12));
  }
  std::string Error() {
    std::string text(WeightFiles::Open(folder_.path()).status().message());
    for (size_t at; (at = text.find(folder_.path() + "/")) != text.npos;)
      text.erase(at, folder_.path().size() + 1);
    return text;
  }
  TempFolder folder_;
};

TEST_F(WeightFilesTest, SeveralFilesAreOne) {
  auto files = WeightFiles::Open(folder_.path());
  ASSERT_TRUE(files.ok()) << files.status();
  ASSERT_EQ(files->tensors().size(), 2u);
  EXPECT_EQ(files->bytes(), 12u);
  std::vector<float> values(1);
  ASSERT_TRUE(files->ReadF32(files->tensors().at("a"), 1, absl::MakeSpan(values)).ok());
  EXPECT_EQ(values[0], 2);
  ASSERT_TRUE(files->ReadF32(files->tensors().at("b"), 0, absl::MakeSpan(values)).ok());
  EXPECT_EQ(values[0], 3);
  EXPECT_FALSE(files->ReadF32(files->tensors().at("b"), 1, absl::MakeSpan(values)).ok());
}

TEST_F(WeightFilesTest, OneFileGoesBeforeAnIndex) {
  WriteTensors(folder_ / "model.safetensors", {F32Tensor("c", {1}, {4})});
  auto files = WeightFiles::Open(folder_.path());
  ASSERT_TRUE(files.ok());
  EXPECT_EQ(files->tensors().count("c"), 1u);
}

TEST_F(WeightFilesTest, TypesAreWidenedAndOthersRefused) {
  folder_.Write("model.safetensors", RawFile("h", "F16", "[3]", std::string("\x00\x3c\x00\xc0\x01\x00", 6)));
  auto files = WeightFiles::Open(folder_.path());
  ASSERT_TRUE(files.ok()) << files.status();
  std::vector<float> values(3);
  ASSERT_TRUE(files->ReadF32(files->tensors().at("h"), 0, absl::MakeSpan(values)).ok());
  EXPECT_EQ(values, (std::vector<float>{1, -2, 0x1p-24f}));
  folder_.Write("model.safetensors", RawFile("e", "F8_E4M3", "[3]", "\x38\xc0\x01")); // without its scales
  files = WeightFiles::Open(folder_.path());
  ASSERT_TRUE(files.ok()) << files.status();
  ASSERT_TRUE(files->ReadF32(files->tensors().at("e"), 0, absl::MakeSpan(values)).ok());
  EXPECT_EQ(values, (std::vector<float>{1, -2, 0x1p-9f}));
  folder_.Write("model.safetensors", RawFile("q", "F8_E5M2", "[3]", "abc"));
  files = WeightFiles::Open(folder_.path());
  ASSERT_TRUE(files.ok()) << files.status();
  EXPECT_FALSE(files->ReadF32(files->tensors().at("q"), 0, absl::MakeSpan(values)).ok());
}

TEST_F(WeightFilesTest, WhatDoesNotHoldTogetherIsNamed) {
  const std::string index = std::string(kWeightIndex) + ": ";
  Index({{"a", "one.safetensors"}, {"b", "three.safetensors"}});
  EXPECT_EQ(Error(), index + "the file three.safetensors is missing");
  Index({{"a", "one.safetensors"}});
  EXPECT_EQ(Error(), ""); // two.safetensors is not asked for
  Index({{"a", "two.safetensors"}, {"b", "two.safetensors"}});
  EXPECT_EQ(Error(), index + "tensor a is not in two.safetensors");
  Index({{"b", "two.safetensors"}, {"c", "one.safetensors"}});
  EXPECT_EQ(Error(), index + "tensor a is in one.safetensors when the index does not name it");
  WriteTensors(folder_ / "two.safetensors", {F32Tensor("a", {2}, {1, 2}), F32Tensor("b", {1}, {3})});
  Index({{"a", "one.safetensors"}, {"b", "two.safetensors"}});
  EXPECT_EQ(Error(), index + "tensor a is in one.safetensors and in two.safetensors");
  std::filesystem::resize_file(folder_ / "two.safetensors", 60);
  EXPECT_NE(Error().find("two.safetensors: the header is said to have"), std::string::npos) << Error();
  folder_.Write(kWeightIndex, "{}");
  EXPECT_EQ(Error(), index + "has no object weight_map");
}

TEST_F(WeightFilesTest, OtherFormatsAreNamed) {
  TempFolder empty;
  EXPECT_NE(WeightFiles::Open(empty.path()).status().message().find("has neither model.safetensors nor"),
            std::string::npos);
  empty.Write("pytorch_model.bin", "");
  EXPECT_NE(WeightFiles::Open(empty.path()).status().message().find("writes pytorch_model.bin's weights as"),
            std::string::npos);
}

} // namespace
} // namespace weft
