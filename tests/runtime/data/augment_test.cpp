#include "runtime/data/augment.h"

#include <algorithm>
#include <gtest/gtest.h>
#include <set>

#include "runtime/data/bpe_train.h"
#include "runtime/data/unicode.h"

namespace weft {
namespace {

using Ids = std::vector<int32_t>;

Tokenizer Trained(std::string_view text) {
  BpeTrainOptions options;
  options.vocab_size = 300;
  options.special_tokens.insert(options.special_tokens.end(), std::begin(kFimTokens), std::end(kFimTokens));
  return TrainBpe({&text, 1}, options).value();
}

const Tokenizer &Trained() {
  static const Tokenizer t = Trained("one.\n\ntwo.\n\nthree);\n four.\n\nfive);\n 1\n\n2\n\n");
  return t;
}

std::vector<Ids> Augmented(const AugmentOptions &options, const std::vector<std::string> &texts,
                           int64_t first = 0, int threads = 1) {
  const std::vector<std::string_view> views(texts.begin(), texts.end());
  return Augmenter::Make(Trained(), options)->Encode(views, first, threads);
}

int32_t Fim(int i) { return Trained().AddedId(kFimTokens[i]); }

// The text that a document in fill-in-the-middle form was made of.
std::string Restored(const Ids &ids) {
  const auto hole = std::find(ids.begin(), ids.end(), Fim(1)),
             end = std::find(ids.begin(), ids.end(), Fim(2));
  EXPECT_EQ(ids.front(), Fim(0));
  const auto text = [](auto from, auto to) { return Trained().Decode(Ids(from, to)); };
  return text(ids.begin() + 1, hole) + text(end + 1, ids.end()) + text(hole + 1, end);
}

TEST(Augment, DoesNothingWithoutBeingAsked) {
  const std::string text = "one.\n\ntwo";
  EXPECT_EQ(Augmented({}, {text, ""}), (std::vector<Ids>{Trained().Encode(text), {}}));
}

TEST(Augment, PutsDocumentsInTheOrderPrefixSuffixMiddle) {
  std::vector<std::string> texts = {"x", "é🙂é🙂", "one.\n\ntwo", std::string("\xff\xfe\x80", 3)};
  for (int i = 0; i < 100; ++i) texts.push_back("document " + std::to_string(i) + " of some length, äöü");
  const std::vector<Ids> made = Augmented({.fim = 1}, texts);
  ASSERT_EQ(made.size(), texts.size());
  std::set<size_t> places;
  for (size_t i = 0; i < texts.size(); ++i) {
    EXPECT_EQ(Restored(made[i]), texts[i]);
    places.insert(std::find(made[i].begin(), made[i].end(), Fim(1)) - made[i].begin());
    const auto hole = std::find(made[i].begin(), made[i].end(), Fim(1));
    if (IsValidUtf8(texts[i])) { // no character is cut
      EXPECT_TRUE(IsValidUtf8(Trained().Decode(Ids(made[i].begin(), hole))));
    }
  }
  EXPECT_GT(places.size(), 10u);
}

TEST(Augment, FillsAboutTheRateOfDocuments) {
  const std::vector<std::string> texts(4000, "some text");
  int filled = 0;
  for (const Ids &ids : Augmented({.fim = 0.25}, texts)) filled += ids[0] == Fim(0);
  EXPECT_NEAR(filled, 1000, 6 * 28);
}

TEST(Augment, FillsLongDocumentsInPartsAndLeavesTheRestTogether) {
  std::string text;
  for (int i = 0; i < 20000; ++i) text += "line " + std::to_string(i) + "\n";
  const std::vector<Ids> made = Augmented({.fim = 0.5}, {text});
  std::string all;
  int filled = 0;
  bool last_plain = false;
  for (const Ids &ids : made) {
    const bool fim = ids[0] == Fim(0);
    EXPECT_FALSE(last_plain && !fim);
    last_plain = !fim;
    filled += fim;
    all += fim ? Restored(ids) : Trained().Decode(ids);
  }
  EXPECT_EQ(all, text);
  EXPECT_GT(filled, 2);
}

TEST(Augment, SplitsTokensThatJoinPunctuationAndLineBreaks) {
  const int32_t joined = Trained().Encode(".\n\n")[0];
  ASSERT_EQ(Trained().TokenBytes(joined), ".\n\n");
  std::string text;
  for (int i = 0; i < 2000; ++i) text += "one.\n\n";
  const Ids plain = Trained().Encode(text);
  EXPECT_EQ(std::count(plain.begin(), plain.end(), joined), 2000);
  const Ids all = Augmented({.split_tokens = 1}, {text})[0],
            some = Augmented({.split_tokens = 0.25}, {text})[0];
  EXPECT_EQ(std::count(all.begin(), all.end(), joined), 0);
  EXPECT_EQ(std::count(all.begin(), all.end(), '.'), 2000);
  EXPECT_NEAR(std::count(some.begin(), some.end(), joined), 1500, 6 * 20);
  EXPECT_EQ(Trained().Decode(all), text);
  EXPECT_EQ(Trained().Decode(some), text);
  // Line breaks alone, and what has letters, stay.
  EXPECT_EQ(Augmented({.split_tokens = 1}, {"1\n\n2"})[0], Trained().Encode("1\n\n2"));
}

TEST(Augment, GivesTheSameWhateverCameBeforeAndWithAnyNumberOfThreads) {
  std::vector<std::string> texts;
  for (int i = 0; i < 50; ++i) texts.push_back("document " + std::to_string(i) + ".\n\nends);\n here.\n\n");
  const AugmentOptions options = {.fim = 0.5, .split_tokens = 0.5, .seed = 3};
  const std::vector<Ids> all = Augmented(options, texts);
  EXPECT_EQ(Augmented(options, texts, 0, 3), all);
  const std::vector<Ids> later = Augmented(options, {texts.begin() + 20, texts.end()}, 20);
  EXPECT_EQ(later, std::vector<Ids>(all.begin() + 20, all.end()));
  EXPECT_NE(Augmented({.fim = 0.5, .split_tokens = 0.5, .seed = 4}, texts), all);
}

TEST(Augment, RefusesWhatItCannotDo) {
  const Tokenizer without = TrainBpe({"a b a b"}, 260).value();
  EXPECT_EQ(
      Augmenter::Make(without, {.fim = 0.5}).status().message(),
      "data.fim is 0.5 when the tokenizer has no tokens for it, such as <|fim_begin|>, <|fim_hole|> and "
      "<|fim_end|>; set data.fim = 0 or take another tokenizer");
  EXPECT_EQ(Augmenter::Make(without, {.split_tokens = 2}).status().message(),
            "data.split_tokens is 2 when it should be 0 to 1");
}

} // namespace
} // namespace weft
