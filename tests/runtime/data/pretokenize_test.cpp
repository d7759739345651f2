#include "runtime/data/pretokenize.h"

#include <gtest/gtest.h>
#include <string>
#include <vector>

#include "nlohmann/json.hpp"
#include "runtime/data/unicode.h"
#include "tests/runtime/data/temp_folder.h"

namespace weft {
namespace {

std::vector<std::string> Words(Split split, std::string_view text) {
  std::vector<std::string> words;
  for (size_t at = 0; at < text.size();) {
    const size_t end = WordEnd(split, text, at);
    words.emplace_back(text.substr(at, end - at));
    at = end;
  }
  return words;
}

using List = std::vector<std::string>;

TEST(Pretokenize, CutsProseIntoWordsWithTheirSpace) {
  EXPECT_EQ(
      Words(Split::kLlama3, "It's 12345 o'clock,  isn't it?\n\n Yes"),
      (List{"It", "'s", " ", "123", "45", " o", "'clock", ",", " ", " isn", "'t", " it", "?\n\n", " Yes"}));
  EXPECT_EQ(Words(Split::kQwen2, "a 12"), (List{"a", " ", "1", "2"}));
  EXPECT_EQ(Words(Split::kGpt2, "It's 12345  ok\n\n Yes"),
            (List{"It", "'s", " 12345", " ", " ok", "\n\n", " Yes"}));
}

TEST(Pretokenize, TakesInvalidBytesAsSymbols) {
  EXPECT_EQ(Words(Split::kLlama3, "a\xff\xfe b\xc3"), (List{"a", "\xff\xfe", " b", "\xc3"}));
  EXPECT_EQ(Words(Split::kLlama3, " \xed\xa0\x80\xf5"), (List{" \xed\xa0\x80\xf5"}));
}

// goldens/splits.json: 400 random texts of awkward pieces as the `tokenizers` package cuts them, for each
// rule.
TEST(Pretokenize, CutsAsTheRegexOfTheTokenizersPackageDoes) {
  const auto cases = nlohmann::json::parse(Slurp("tests/runtime/data/goldens/splits.json"));
  ASSERT_EQ(cases.size(), 1200u);
  for (const auto &c : cases) {
    const std::string name = c["split"];
    const Split split = name == "llama3" ? Split::kLlama3 : name == "qwen2" ? Split::kQwen2 : Split::kGpt2;
    EXPECT_EQ(Words(split, c["text"].get<std::string>()), c["words"].get<List>())
        << name << ": " << c["text"];
  }
}

TEST(Pretokenize, KnowsItsRegexesByTheirText) {
  for (Split split : {Split::kLlama3, Split::kQwen2, Split::kGpt2})
    EXPECT_EQ(SplitFromRegex(SplitRegex(split)), split);
  EXPECT_EQ(SplitFromRegex(R"(\w+)"), std::nullopt);
}

TEST(Unicode, DecodesStrictly) {
  size_t length = 0;
  EXPECT_EQ(DecodeUtf8("\xf0\x9f\x99\x82", 0, length), 0x1f642u);
  EXPECT_EQ(length, 4u);
  for (std::string_view bad : {"\x80", "\xc0\x80", "\xe0\x80\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80",
                               "\xf8\x88\x80\x80\x80", "\xe2\x82", "\xe2\x28\xa1", "\xff"}) {
    EXPECT_EQ(DecodeUtf8(bad, 0, length), kInvalidCodePoint);
    EXPECT_EQ(length, 1u);
    EXPECT_FALSE(IsValidUtf8(bad));
  }
  EXPECT_TRUE(IsValidUtf8("aé中🙂"));
}

TEST(Unicode, ClassifiesBeyondAscii) {
  EXPECT_EQ(ClassOf(0xe9), CharClass::kLetter);
  EXPECT_EQ(ClassOf(0x663), CharClass::kNumber);
  EXPECT_EQ(ClassOf(0xbd), CharClass::kNumber);
  EXPECT_EQ(ClassOf(0x3000), CharClass::kSpace);
  EXPECT_EQ(ClassOf(0x200b), CharClass::kOther); // a zero-width space is no White_Space
  EXPECT_EQ(ClassOf(0x301), CharClass::kOther);
  EXPECT_EQ(ClassOf(kInvalidCodePoint), CharClass::kOther);
}

} // namespace
} // namespace weft
