#include "runtime/data/bpe_train.h"

#include <cstdlib>
#include <gtest/gtest.h>
#include <map>
#include <random>

#include "runtime/data/file_io.h"
#include "runtime/data/text_parts.h"
#include "tests/runtime/data/temp_folder.h"

namespace weft {
namespace {

constexpr char kGolden[] = "tests/runtime/data/goldens/tokenizer.json";

absl::StatusOr<Tokenizer> Train(std::vector<std::string_view> documents, int vocab_size) {
  return TrainBpe(documents, vocab_size);
}

// The rule of bpe_train.h as plainly as it can be said: count all pairs anew each round.
std::vector<std::string> SlowTokens(const std::vector<std::string> &words, size_t vocab) {
  std::vector<std::string> tokens;
  for (int b = 0; b < 256; ++b) tokens.emplace_back(1, static_cast<char>(b));
  tokens.emplace_back(kEndOfText);
  std::vector<std::vector<int>> ids(words.size());
  for (size_t w = 0; w < words.size(); ++w)
    for (char c : words[w]) ids[w].push_back(static_cast<uint8_t>(c));
  while (tokens.size() < vocab) {
    std::map<std::pair<int, int>, int> counts;
    for (const auto &w : ids)
      for (size_t i = 1; i < w.size(); ++i) ++counts[{w[i - 1], w[i]}];
    std::pair<int, int> best{-1, -1};
    int most = 1;
    for (const auto &[pair, count] : counts) // in ascending order, so the first of equals is kept
      if (count > most) most = count, best = pair;
    if (best.first < 0) break;
    const std::string bytes = tokens[best.first] + tokens[best.second];
    const auto same = std::find(tokens.begin(), tokens.end(), bytes);
    const int id = static_cast<int>(same - tokens.begin());
    if (same == tokens.end()) tokens.push_back(bytes);
    for (auto &w : ids) {
      std::vector<int> merged;
      for (size_t i = 0; i < w.size(); ++i)
        if (i + 1 < w.size() && w[i] == best.first && w[i + 1] == best.second)
          merged.push_back(id), ++i;
        else
          merged.push_back(w[i]);
      w = merged;
    }
  }
  return tokens;
}

TEST(BpeTrain, MergesTheMostFrequentPairFirstAsASlowCountDoes) {
  for (int seed = 0; seed < 20; ++seed) {
    std::mt19937 rng(seed);
    std::vector<std::string> words;
    std::string text;
    for (int w = 0; w < 200; ++w) {
      std::string word(1 + rng() % 9, 'a');
      for (char &c : word) c = static_cast<char>('a' + rng() % 3);
      words.push_back(w == 0 ? word : " " + word);
      text += words.back();
    }
    const absl::StatusOr<Tokenizer> t = Train({text}, 330);
    ASSERT_TRUE(t.ok()) << t.status();
    const std::vector<std::string> expected = SlowTokens(words, 330);
    ASSERT_EQ(t->vocab_size(), static_cast<int>(expected.size())) << seed;
    for (int id = 0; id < t->vocab_size(); ++id)
      ASSERT_EQ(t->TokenBytes(id), expected[id]) << seed << " " << id;
  }
}

TEST(BpeTrain, BreaksTiesByTheSmallerIds) {
  const absl::StatusOr<Tokenizer> t =
      Train({"zx zx ab ab ac ac"}, 259); // " a" occurs 4 times, all others twice
  ASSERT_TRUE(t.ok()) << t.status();
  EXPECT_EQ(t->TokenBytes(257), " a");
  EXPECT_EQ(t->TokenBytes(258), "zx"); // 'z' 122 < " a" 257
}

TEST(BpeTrain, GivesTheSameForDocumentsInAnyOrder) {
  const std::string text = Slurp("tests/runtime/data/goldens/sample.txt");
  std::vector<std::string_view> documents;
  for (size_t at = 0; at < text.size(); at += 1000)
    documents.push_back(std::string_view(text).substr(at, 1000));
  const absl::StatusOr<Tokenizer> forward = TrainBpe(documents, 500);
  std::reverse(documents.begin(), documents.end());
  const absl::StatusOr<Tokenizer> backward = TrainBpe(documents, 500);
  EXPECT_EQ(forward->ToJson(), backward->ToJson());
}

TEST(BpeTrain, GivesTheSameOnAnyNumberOfThreadsAndFromPartsOfTheText) {
  std::mt19937 rng(8);
  std::string text; // of more words than a thread takes at a time, in more parts than one
  while (text.size() < 3'000'000) {
    for (uint32_t i = 1 + rng() % 7; i > 0; --i) text += "etaoinsrhldcu"[rng() % (5 + rng() % 9)];
    text += rng() % 10 ? " " : ".\n";
  }
  const std::string long_word(2'500'000, 'z'); // across the edges of parts
  TempFolder f;
  for (const std::string &t :
       {text, long_word + text, std::string("x"), std::string("ab ab"), std::string("\n")})
    for (Split split : {Split::kLlama3, Split::kGpt2}) {
      BpeTrainOptions options;
      options.vocab_size = 600;
      options.split = split;
      options.threads = 1;
      const std::string_view whole = t;
      const std::string one = TrainBpe({&whole, 1}, options)->ToJson();
      const std::vector<std::string> files = {f.Write("a.txt", t), f.Write("empty.txt", "")};
      for (int threads : {1, 2, 3, 7}) {
        options.threads = threads;
        EXPECT_EQ(TrainBpe({&whole, 1}, options)->ToJson(), one) << threads;
        WordCounts words{PreTokenizer(split)};
        ASSERT_TRUE(words.AddFiles(files, threads).ok());
        EXPECT_EQ(TrainBpe(words, options)->ToJson(), one) << threads;
      }
    }
  WordCounts words, files;
  const std::string_view whole = text;
  std::vector<std::string> paths;
  for (std::string_view rest = whole; !rest.empty();) {
    const size_t end = PartEnd(rest, 1 + rng() % 10'000);
    const std::string_view part = rest.substr(0, end);
    words.Add({&part, 1}, 2);
    paths.push_back(f.Write("many/" + std::to_string(paths.size()) + ".txt", part));
    rest.remove_prefix(end);
  }
  ASSERT_TRUE(files.AddFiles(paths, 3).ok());
  BpeTrainOptions options;
  options.vocab_size = 600;
  const std::string one = TrainBpe({&whole, 1}, options)->ToJson();
  EXPECT_EQ(TrainBpe(words, options)->ToJson(), one);
  EXPECT_EQ(TrainBpe(files, options)->ToJson(), one);
}

TEST(BpeTrain, TakesTheRuleItIsTold) {
  BpeTrainOptions options;
  options.vocab_size = 300;
  options.split = Split::kDeepSeek3;
  const std::string_view text = "a1 a1 a1 12345";
  const Tokenizer t = TrainBpe({&text, 1}, options).value();
  EXPECT_EQ(t.pre_tokenizer().steps().size(), 3u);
  EXPECT_EQ(Tokenizer::FromJson(t.ToJson())->hash(), t.hash());
}

TEST(BpeTrain, GivesTheVocabularyItGaveBefore) {
  const std::string text = Slurp("tests/runtime/data/goldens/sample.txt");
  ASSERT_FALSE(text.empty());
  const absl::StatusOr<Tokenizer> t = Train({text}, 512);
  ASSERT_TRUE(t.ok()) << t.status();
  if (std::getenv("WEFT_UPDATE_GOLDENS")) {
    ASSERT_TRUE(t->Save(kGolden).ok());
  }
  EXPECT_EQ(t->ToJson(), Slurp(kGolden));
}

TEST(BpeTrain, StopsShortWhenNoPairComesTwice) {
  const absl::StatusOr<Tokenizer> one_byte = Train({"x"}, 4096);
  ASSERT_TRUE(one_byte.ok()) << one_byte.status();
  EXPECT_EQ(one_byte->vocab_size(), 257);
  EXPECT_EQ(one_byte->Encode("x"), (std::vector<int32_t>{'x'}));
  EXPECT_EQ(one_byte->end_of_text(), 256);
}

TEST(BpeTrain, LearnsFromBytesThatAreNoText) {
  std::string noise;
  std::mt19937 rng(3);
  for (int i = 0; i < 5000; ++i) noise += static_cast<char>(rng());
  const absl::StatusOr<Tokenizer> t = Train({noise, std::string_view("\0\0\0\0", 4)}, 300);
  ASSERT_TRUE(t.ok()) << t.status();
  EXPECT_EQ(t->Decode(t->Encode(noise)), noise);
}

TEST(BpeTrain, CopesWithAWordOfAMegabyte) {
  std::string word;
  std::mt19937 rng(4);
  for (int i = 0; i < 1 << 20; ++i) word += static_cast<char>('a' + rng() % 26);
  const absl::StatusOr<Tokenizer> t = Train({word, std::string(1 << 20, 'q')}, 600);
  ASSERT_TRUE(t.ok()) << t.status();
  EXPECT_EQ(t->Decode(t->Encode(word)), word);
}

TEST(BpeTrain, NeverMakesASpecialTokenOutOfText) {
  BpeTrainOptions options;
  options.vocab_size = 400;
  options.special_tokens = {"<|endoftext|>", "the"};
  const std::string_view text = "the the the then then";
  const absl::StatusOr<Tokenizer> t = TrainBpe({&text, 1}, options);
  ASSERT_TRUE(t.ok()) << t.status();
  for (int32_t id : t->Encode(text)) EXPECT_FALSE(t->IsSpecial(id));
  EXPECT_EQ(t->AddedId("the"), 257);
  EXPECT_TRUE(Tokenizer::FromJson(t->ToJson()).ok());
}

TEST(BpeTrain, RefusesAnEmptyCorpus) {
  EXPECT_EQ(Train({}, 4096).status().message(),
            "there is no text to train a tokenizer on: the corpus is empty");
  EXPECT_EQ(Train({"", ""}, 4096).status().code(), absl::StatusCode::kInvalidArgument);
}

TEST(BpeTrain, RefusesAVocabularyOutOfRange) {
  EXPECT_EQ(Train({"text"}, 256).status().message(),
            "a vocabulary of 256 is too small: 256 bytes and 1 special tokens need 257");
  EXPECT_EQ(Train({"text"}, 1 << 30).status().message(),
            "a vocabulary of 1073741824 is too large: at most 16777216 tokens are possible");
}

} // namespace
} // namespace weft
