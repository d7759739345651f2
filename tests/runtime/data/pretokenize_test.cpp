#include "runtime/data/pretokenize.h"

#include <gtest/gtest.h>
#include <random>
#include <string>
#include <vector>

#include "nlohmann/json.hpp"
#include "runtime/data/text_parts.h"
#include "runtime/data/unicode.h"
#include "tests/runtime/data/temp_folder.h"

namespace weft {
namespace {

std::vector<std::string> Words(const PreTokenizer &pre_tokenizer, std::string_view text) {
  std::vector<std::string> words;
  WordCutter cutter(pre_tokenizer, text);
  size_t at = 0;
  for (auto ends = cutter.Next(); !ends.empty(); ends = cutter.Next())
    for (size_t end : ends) {
      words.emplace_back(text.substr(at, end - at));
      at = end;
    }
  return words;
}

std::vector<std::string> Words(Split split, std::string_view text) {
  return Words(PreTokenizer(split), text);
}

// The same rule by the general engine: an alternative that never matches keeps the scanner from knowing the
// regex.
PreTokenizer Searched(Split split) {
  const PreTokenizer known(split);
  std::vector<SplitStep> steps(known.steps().begin(), known.steps().end());
  for (SplitStep &s : steps) s = {SplitStep::Kind::kSplit, s.regex + R"(|\A(?!\A)x)"};
  return PreTokenizer::Make(steps).value();
}

constexpr Split kSplits[] = {Split::kLlama3, Split::kQwen2, Split::kGpt2, Split::kDeepSeek3};

const PreTokenizer &SearchedOnce(Split split) {
  static const PreTokenizer all[] = {Searched(kSplits[0]), Searched(kSplits[1]), Searched(kSplits[2]),
                                     Searched(kSplits[3])};
  return all[static_cast<int>(split)];
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

// goldens/splits.json: 480 random texts of awkward pieces as the `tokenizers` package cuts them, for each
// rule.
TEST(Pretokenize, CutsAsTheRegexOfTheTokenizersPackageDoes) {
  const auto cases = nlohmann::json::parse(Slurp("tests/runtime/data/goldens/splits.json"));
  ASSERT_EQ(cases.size(), 1920u);
  for (const auto &c : cases) {
    const std::string name = c["split"];
    const Split split = name == "llama3"  ? Split::kLlama3
                        : name == "qwen2" ? Split::kQwen2
                        : name == "gpt2"  ? Split::kGpt2
                                          : Split::kDeepSeek3;
    EXPECT_EQ(Words(split, c["text"].get<std::string>()), c["words"].get<List>())
        << name << ": " << c["text"];
    EXPECT_EQ(Words(SearchedOnce(split), c["text"].get<std::string>()), c["words"].get<List>())
        << name << " by the general engine: " << c["text"];
  }
}

TEST(Pretokenize, CutsRandomBytesByScannerAsByTheGeneralEngine) {
  std::mt19937 rng(5);
  for (int round = 0; round < 300; ++round) {
    std::string text;
    for (int i = 0; i < 60; ++i) {
      const uint32_t kind = rng() % 5;
      if (kind == 0)
        text += static_cast<char>(rng());
      else if (kind == 1)
        text += " \n\r'.1a"[rng() % 8];
      else
        AppendUtf8(rng() % (kind == 2 ? 0x80 : kind == 3 ? 0x3200 : 0x20000), text);
    }
    for (Split split : kSplits) EXPECT_EQ(Words(split, text), Words(SearchedOnce(split), text));
  }
}

TEST(Pretokenize, GivesTheSameWordsInPartsCutAfterWords) {
  std::vector<std::string> texts = {"It's\n\nA b.\n!c\n \n 1\n2\r\n\xe4\xb8\xad\nx . \n\ty\n'll a'S  'D\n\n"};
  std::mt19937 rng(5);
  for (int round = 0; round < 300; ++round) {
    std::string &text = texts.emplace_back();
    for (int i = 0; i < 40; ++i) {
      if (rng() % 4)
        text += "  \n\n\r\t'.~1as\x01"[rng() % 13];
      else
        AppendUtf8(rng() % (rng() % 2 ? 0x3200 : 0x20000), text);
    }
  }
  size_t cuts = 0;
  for (Split split : kSplits) {
    ASSERT_TRUE(PreTokenizer(split).CutsAfterWords());
    for (const std::string &text : texts)
      for (size_t size = 1; size < text.size(); ++size) {
        List words;
        for (std::string_view rest = text; !rest.empty(); ++cuts) {
          const size_t end = PartEnd(rest, size);
          const List part = Words(split, rest.substr(0, end));
          words.insert(words.end(), part.begin(), part.end());
          rest.remove_prefix(end);
        }
        ASSERT_EQ(words, Words(split, text)) << size;
      }
  }
  EXPECT_GT(cuts, 100000u);
  EXPECT_FALSE(Searched(Split::kLlama3).CutsAfterWords());
}

TEST(Pretokenize, TakesTextWithoutAStepAsOneWord) {
  EXPECT_EQ(Words(PreTokenizer::Make({}).value(), "a b 1"), (List{"a b 1"}));
  EXPECT_EQ(Words(PreTokenizer::Make({}).value(), ""), List{});
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
  EXPECT_EQ(CategoryOf(0xe9), kLl);
  EXPECT_EQ(CategoryOf(0x663), kNd);
  EXPECT_EQ(CategoryOf(0xbd), kNo);
  EXPECT_EQ(CategoryOf(0x3000), kZs);
  EXPECT_EQ(CategoryOf(0x85), kCcSpace);
  EXPECT_EQ(CategoryOf(0x200b), kCf); // a zero-width space is no White_Space
  EXPECT_EQ(CategoryOf(0x301), kMn);
  EXPECT_EQ(CategoryOf(0x378), kCn);
  EXPECT_EQ(CategoryOf(0x10ffff), kCn);
  EXPECT_EQ(CategoryOf(kInvalidCodePoint), kSo);
  EXPECT_TRUE(IsHan(0x4e00) && IsHan(0x3007) && !IsHan(0x3042));
  EXPECT_TRUE(IsWordCharacter('_') && IsWordCharacter(0x24b6) && !IsWordCharacter('-'));
}

} // namespace
} // namespace weft
