#include "runtime/hugging_face/weight_index.h"

#include <gtest/gtest.h>

namespace weft {
namespace {

std::string Error(const std::string &text) { return std::string(ParseWeightIndex(text).status().message()); }

TEST(WeightIndex, IsReadAsItWasWritten) {
  std::map<std::string, std::string> files = {{"a", "model-00001-of-00002.safetensors"},
                                              {"b \"quoted\"", "model-00002-of-00002.safetensors"}};
  auto read = ParseWeightIndex(WeightIndexText(files, 12));
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(*read, files);
}

TEST(WeightIndex, FilesOutsideOfTheFolderAreRefused) {
  for (const char *file :
       {"../model.safetensors", "/etc/model.safetensors", "a/b.safetensors", ".safetensors", "..safetensors",
        "", "model.bin", "a\\u0000.safetensors", "safetensors"})
    EXPECT_NE(Error("{\"weight_map\":{\"w\":\"" + std::string(file) + "\"}}").find("puts w into \""),
              std::string::npos)
        << file << ": " << Error("{\"weight_map\":{\"w\":\"" + std::string(file) + "\"}}");
}

TEST(WeightIndex, ErrorsSayWhatIsWrong) {
  EXPECT_EQ(Error(""), "is not a JSON object");
  EXPECT_EQ(Error("{\"weight_map\":{\"a\":\"b.safetensors\""), "is not a JSON object");
  EXPECT_EQ(Error("{}"), "has no object weight_map");
  EXPECT_EQ(Error("{\"weight_map\":[]}"), "has no object weight_map");
  EXPECT_EQ(Error("{\"weight_map\":{\"a\":\"b.safetensors\",\"a\":\"c.safetensors\"}}"), "names a twice");
  EXPECT_EQ(Error("{\"weight_map\":{\"a\":3}}"),
            "puts a into 3 when it should be the name of a .safetensors file in the same folder");
}

} // namespace
} // namespace weft
