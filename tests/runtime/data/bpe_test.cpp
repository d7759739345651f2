#include "runtime/data/bpe.h"

#include <gtest/gtest.h>
#include <random>

#include "nlohmann/json.hpp"
#include "runtime/data/bpe_train.h"
#include "runtime/data/unicode.h"
#include "tests/runtime/data/temp_folder.h"

namespace weft {
namespace {

using Ids = std::vector<int32_t>;

const Tokenizer &Golden() {
  static const Tokenizer t = Tokenizer::Load("tests/runtime/data/goldens/tokenizer.json").value();
  return t;
}

std::string RandomBytes(int seed, int count) {
  std::mt19937 rng(seed);
  std::string s;
  for (int i = 0; i < count; ++i) s += static_cast<char>(rng());
  return s;
}

// goldens/ids.json: what the `tokenizers` package gives with goldens/tokenizer.json.
TEST(Bpe, GivesTheIdsOfTheTokenizersPackage) {
  const auto cases = nlohmann::json::parse(Slurp("tests/runtime/data/goldens/ids.json"));
  ASSERT_GT(cases.size(), 100u);
  for (const auto &c : cases) {
    const std::string text = c["text"];
    EXPECT_EQ(Golden().Encode(text), c["ids"].get<Ids>()) << c["text"];
    EXPECT_EQ(Golden().EncodeWithSpecials(text), c["ids_with_specials"].get<Ids>()) << c["text"];
    EXPECT_EQ(Golden().Decode(c["ids"].get<Ids>()), text);
    EXPECT_EQ(Golden().Decode(c["ids_with_specials"].get<Ids>()), text);
  }
}

// goldens/FAMILY.json: tokenizers configured as those of well-known models, made and used by the `tokenizers`
// package (tokenizer_families.py).
TEST(Bpe, GivesTheIdsOfTheTokenizersPackageWithTheTokenizersOfOthers) {
  for (const std::string name :
       {"llama3", "qwen2", "deepseek3", "gpt2", "starcoder", "cl100k", "o200k", "bytes"}) {
    const absl::StatusOr<Tokenizer> read = Tokenizer::Load("tests/runtime/data/goldens/" + name + ".json");
    ASSERT_TRUE(read.ok()) << read.status();
    const absl::StatusOr<Tokenizer> again = Tokenizer::FromJson(read->ToJson());
    ASSERT_TRUE(again.ok()) << again.status();
    EXPECT_EQ(again->hash(), read->hash());
    const auto cases = nlohmann::json::parse(Slurp("tests/runtime/data/goldens/" + name + ".ids.json"));
    ASSERT_GT(cases.size(), 40u);
    for (const Tokenizer &t : {*read, *again})
      for (const auto &c : cases) {
        const std::string text = c["text"];
        EXPECT_EQ(t.Encode(text), c["ids"].get<Ids>()) << name << ": " << c["text"];
        Ids ids = t.EncodeWithSpecials(text);
        EXPECT_EQ(ids, c["ids_with_specials"].get<Ids>()) << name << ": " << c["text"];
        ids.insert(ids.begin(), t.prefix().begin(), t.prefix().end());
        ids.insert(ids.end(), t.suffix().begin(), t.suffix().end());
        EXPECT_EQ(ids, c["ids_in_template"].get<Ids>()) << name << ": " << c["text"];
      }
  }
}

TEST(Bpe, GivesAnyBytesBackAsTheyWere) {
  std::vector<std::string> hostile = {"",
                                      std::string(1, '\0'),
                                      std::string(3, '\0') + "a",
                                      "\xff\xfe\xfd",
                                      "\xc3",
                                      "\xe2\x82",
                                      "\xed\xa0\x80\xed\xb0\x80",
                                      "\xf8\x88\x80\x80\x80",
                                      "caf\xe9 latin-1",
                                      "\r\n\r\r\n \t\v\f ",
                                      std::string(100000, ' '),
                                      std::string(100000, 'a'),
                                      std::string(100000, '\n'),
                                      std::string(99999, '\x80'),
                                      "<|endoftext|>"};
  for (int b = 0; b < 256; ++b) hostile.emplace_back(1, static_cast<char>(b));
  for (int seed = 0; seed < 50; ++seed) hostile.push_back(RandomBytes(seed, 500));
  for (const std::string &text : hostile) {
    const Ids ids = Golden().Encode(text);
    EXPECT_EQ(Golden().Decode(ids), text);
    for (int32_t id : ids) ASSERT_FALSE(Golden().IsSpecial(id));
    EXPECT_EQ(Golden().Decode(Golden().EncodeWithSpecials(text)), text);
  }
}

TEST(Bpe, MergesLongWordsAsShortOnes) {
  // One word of more than a short word's bytes takes the other path; its first bytes are the same word when
  // cut shorter and nothing merges across: compared token by token with a slow merge by rank.
  std::mt19937 rng(11);
  for (int round = 0; round < 20; ++round) {
    std::string word;
    for (int i = 0; i < 65 + round * 10; ++i) word += "etaoinsrhl"[rng() % 10];
    Ids slow;
    for (char c : word) slow.push_back(static_cast<uint8_t>(c));
    for (const auto &m : Golden().merges()) // ascending rank; a merge makes pairs of higher rank only
      for (size_t i = 0; i + 1 < slow.size(); ++i)
        if (slow[i] == m.left && slow[i + 1] == m.right) {
          slow[i] = m.result;
          slow.erase(slow.begin() + i + 1);
        }
    EXPECT_EQ(Golden().Encode(word), slow) << word;
  }
}

TEST(Bpe, GivesTheSameIdsOnAnyNumberOfThreads) {
  const std::string text = Slurp("tests/runtime/data/goldens/sample.txt");
  std::vector<std::string_view> documents;
  std::vector<Ids> expected;
  for (size_t at = 0; at < text.size(); at += 97) {
    documents.push_back(std::string_view(text).substr(at, 97));
    expected.push_back(Golden().Encode(documents.back()));
  }
  for (int threads : {0, 1, 2, 7}) EXPECT_EQ(Golden().EncodeAll(documents, threads), expected);
  EXPECT_TRUE(Golden().EncodeAll({}, 3).empty());
}

TEST(Bpe, GivesTheSameIdsWhereThreadsShareADocument) {
  const std::string sample = Slurp("tests/runtime/data/goldens/sample.txt");
  std::string text;
  while (text.size() < 3'000'000) text += sample;
  const std::string_view documents[] = {"a", text, ""};
  for (const char *name : {"tokenizer", "gpt2", "qwen2", "deepseek3"}) {
    const Tokenizer t = Tokenizer::Load(std::string("tests/runtime/data/goldens/") + name + ".json").value();
    const std::vector<Ids> expected = {t.Encode("a"), t.Encode(text), {}};
    for (int threads : {1, 2, 7}) EXPECT_TRUE(t.EncodeAll(documents, threads) == expected) << name << threads;
  }
}

TEST(Bpe, KeepsADocumentFromEndingItself) {
  const int32_t end = Golden().end_of_text();
  EXPECT_EQ(end, 256);
  const Ids plain = Golden().Encode("a<|endoftext|>b");
  EXPECT_EQ(std::count(plain.begin(), plain.end(), end), 0);
  const Ids special = Golden().EncodeWithSpecials("a<|endoftext|>b");
  EXPECT_EQ(special, (Ids{'a', end, 'b'}));
  EXPECT_EQ(Golden().Decode(special), "a<|endoftext|>b");
  EXPECT_EQ(Golden().Decode(special, /*skip_specials=*/true), "ab");
}

TEST(Bpe, PrefersTheLongestSpecialTokenAtAPlace) {
  TokenizerParts parts;
  for (int b = 0; b < 256; ++b) parts.tokens.emplace_back(1, static_cast<char>(b));
  for (const char *text : {"<a>", "<a><b>", "<b>"}) {
    parts.added.push_back({text, static_cast<int32_t>(parts.tokens.size())});
    parts.tokens.emplace_back(text);
  }
  const Tokenizer t = Tokenizer::Make(parts).value();
  EXPECT_EQ(t.EncodeWithSpecials("<a><b><a><"), (Ids{257, 256, '<'}));
  EXPECT_EQ(t.end_of_text(), -1);
}

TEST(Bpe, DecodesIdsOutsideTheVocabularyToAReplacementCharacter) {
  EXPECT_EQ(Golden().Decode({'a', -1, 512, INT32_MAX, 'b'}), "a\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"
                                                             "b");
  EXPECT_EQ(Golden().TokenBytes(-1), "");
  EXPECT_EQ(Golden().TokenBytes(512), "");
  EXPECT_FALSE(Golden().IsSpecial(512));
}

TEST(Bpe, TakesAWholeWordWhereTheFileSaysSo) {
  TokenizerParts parts;
  for (int b = 0; b < 256; ++b) parts.tokens.emplace_back(1, static_cast<char>(b));
  parts.tokens.insert(parts.tokens.end(), {"bc", "abc"});
  parts.merges = {{'b', 'c', 256}};
  EXPECT_EQ(Tokenizer::Make(parts)->Encode("abc"), (Ids{'a', 256}));
  parts.ignore_merges = true;
  EXPECT_EQ(Tokenizer::Make(parts)->Encode("abc"), (Ids{257}));
}

TEST(StreamDecoder, HoldsBackHalfCharacters) {
  StreamDecoder d(Golden());
  std::string out;
  for (int32_t byte : {0xf0, 0x9f, 0x99}) EXPECT_EQ(d.Push(byte), "");
  EXPECT_EQ(d.Push(0x82), "🙂");
  EXPECT_EQ(d.Push('a'), "a");
  EXPECT_EQ(d.Push(0xc3), "");
  EXPECT_EQ(d.Push('b'), "\xc3"
                         "b"); // never completed: given as it is
  EXPECT_EQ(d.Push(0xe2), "");
  EXPECT_EQ(d.Push(Golden().end_of_text()), "");
  EXPECT_EQ(d.Flush(), "\xe2");
  EXPECT_EQ(d.Flush(), "");
}

TEST(StreamDecoder, GivesAllBytesInTheEndAndValidTextOnlyWhole) {
  const std::string sample = Slurp("tests/runtime/data/goldens/sample.txt");
  for (const std::string &text :
       {sample, RandomBytes(5, 3000), std::string("\xed\xa0\x80\xf4\x90\xe0\x80")}) {
    StreamDecoder d(Golden());
    std::string out;
    for (int32_t id : Golden().Encode(text)) {
      const std::string piece = d.Push(id);
      EXPECT_TRUE(IsValidUtf8(piece) || !IsValidUtf8(text));
      out += piece;
    }
    EXPECT_EQ(out + d.Flush(), text);
  }
}

TEST(Bpe, ChecksWhatItIsMadeOf) {
  TokenizerParts good;
  for (int b = 0; b < 256; ++b) good.tokens.emplace_back(1, static_cast<char>(b));
  good.tokens.push_back("ab");
  good.merges = {{'a', 'b', 256}};
  ASSERT_TRUE(Tokenizer::Make(good).ok());
  const auto error = [&](auto change) {
    TokenizerParts parts = good;
    change(parts);
    return std::string(Tokenizer::Make(parts).status().message());
  };
  EXPECT_EQ(error([](auto &p) { p.tokens[7] = "xy"; }),
            "byte 0x07 has no token, so text that holds it could not be encoded");
  EXPECT_EQ(error([](auto &p) { p.tokens.push_back("q"); }), "tokens 113 and 257 are the same byte");
  EXPECT_EQ(error([](auto &p) { p.tokens.push_back(""); }), "token 257 is empty");
  EXPECT_EQ(error([](auto &p) {
              p.merges.push_back({'a', 999, 256});
            }),
            "merge 1 names token 999 outside [0, 257)");
  EXPECT_EQ(error([](auto &p) {
              p.merges.push_back({'a', 'c', 256});
            }),
            "merge 1 of tokens 97 and 99 gives token 256, which is not their bytes");
  EXPECT_EQ(error([](auto &p) {
              p.merges.push_back({'a', 'b', 256});
            }),
            "merge 1 of tokens 97 and 98 is listed before");
  EXPECT_EQ(error([](auto &p) {
              p.added.push_back({"<s>", 300});
            }),
            "added token \"<s>\" has id 300 outside [0, 257)");
  EXPECT_EQ(error([](auto &p) {
              p.added.push_back({"<s>", 3});
            }),
            "added token \"<s>\" has id 3, which is another token's");
}

} // namespace
} // namespace weft
