#include "runtime/data/prepare.h"

#include <gtest/gtest.h>

#include "runtime/data/loader.h"
#include "tests/runtime/data/temp_folder.h"

namespace weft {
namespace {

std::string Prose(int lines) {
  std::string text;
  for (int i = 0; i < lines; ++i)
    text += "line " + std::to_string(i * 37) + " of a text that is long enough\n";
  return text;
}

class PrepareTest : public testing::Test {
protected:
  PrepareTest() {
    folder_.Write("in/a.txt", Prose(300));
    folder_.Write("in/b.html", "<p>a page, in which <b>little</b> is said</p>");
    options_.train = {folder_ / "in/*"};
    options_.tokenizer = "train:300";
    options_.folder = folder_ / "run/data";
  }
  TempFolder folder_;
  DataOptions options_;
};

TEST_F(PrepareTest, GoesFromFilesToBatches) {
  std::vector<std::string> lines;
  options_.progress = [&](std::string_view line) { lines.emplace_back(line); };
  const absl::StatusOr<PreparedData> data = PrepareData(options_);
  ASSERT_TRUE(data.ok()) << data.status();
  EXPECT_FALSE(data->reused);
  EXPECT_EQ(lines.size(), 3u);
  EXPECT_EQ(data->tokenizer.vocab_size(), 300);
  ASSERT_TRUE(data->validation.has_value());
  // Every document ends with <|endoftext|>, which stands nowhere else, and decodes to its text.
  std::string all;
  for (const TokenFile &file : {data->train, *data->validation})
    for (int64_t d = 0; d < file.num_documents(); ++d) {
      std::vector<int32_t> ids(file.document_end(d) - file.document_begin(d));
      file.Read(file.document_begin(d), absl::MakeSpan(ids));
      EXPECT_EQ(ids.back(), 256);
      EXPECT_EQ(std::count(ids.begin(), ids.end(), 256), 1);
      all += data->tokenizer.Decode(ids, /*skip_specials=*/true);
    }
  EXPECT_EQ(all.size(), Prose(300).size() + std::string("a page, in which little is said\n").size());
  const TrainLoader loader = TrainLoader::Make(data->train, {.batch = 2, .seq = 32}).value();
  EXPECT_GT(loader.GetBatch(0)->num_targets, 0);
}

TEST_F(PrepareTest, UsesAgainWhatItMade) {
  const std::string first = PrepareData(options_)->train.path();
  const std::string tokens = Slurp(first);
  absl::StatusOr<PreparedData> again = PrepareData(options_);
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_TRUE(again->reused);
  ASSERT_TRUE(again->validation.has_value());
  // Another option, a changed text, a broken file: made anew.
  options_.tokenizer = "train:290";
  EXPECT_FALSE(PrepareData(options_)->reused);
  options_.tokenizer = "train:300";
  EXPECT_FALSE(PrepareData(options_)->reused);
  EXPECT_EQ(Slurp(first), tokens);
  folder_.Write("in/c.txt", "more");
  EXPECT_FALSE(PrepareData(options_)->reused);
  std::string broken = Slurp(first);
  broken[broken.size() / 2] ^= 4;
  folder_.Write("run/data/train.tokens", broken);
  again = PrepareData(options_);
  ASSERT_TRUE(again.ok());
  EXPECT_FALSE(again->reused);
}

TEST_F(PrepareTest, TakesATokenizerFromAFileAndHeldOutFiles) {
  folder_.Write("held/v.txt", "held out");
  options_.tokenizer = "tests/runtime/data/goldens/tokenizer.json";
  options_.validation = {folder_ / "held/*.txt"};
  const absl::StatusOr<PreparedData> data = PrepareData(options_);
  ASSERT_TRUE(data.ok()) << data.status();
  EXPECT_EQ(data->tokenizer.vocab_size(), 512);
  EXPECT_EQ(data->train.num_documents(), 2);
  EXPECT_EQ(data->validation->num_documents(), 1);
  EXPECT_TRUE(PrepareData(options_)->reused);
}

TEST_F(PrepareTest, HoldsNothingOutWithAFractionOfZero) {
  options_.validation_fraction = 0;
  EXPECT_FALSE(PrepareData(options_)->validation.has_value());
  EXPECT_FALSE(PrepareData(options_)->validation.has_value());
}

TEST_F(PrepareTest, SaysWhatIsWrong) {
  const auto error = [&] { return std::string(PrepareData(options_).status().message()); };
  options_.tokenizer = "train:many";
  EXPECT_EQ(
      error(),
      "data.tokenizer is \"train:many\" when it should be \"train:N\" with N tokens, or a tokenizer.json");
  options_.tokenizer = "train:10";
  EXPECT_EQ(error(), "a vocabulary of 10 is too small: 256 bytes and 1 special tokens need 257");
  options_.tokenizer = folder_ / "none.json";
  EXPECT_EQ(error(), "cannot read " + (folder_ / "none.json") + ": No such file or directory");
  options_.tokenizer = "train:300";
  options_.folder = folder_ / "in/a.txt/data";
  EXPECT_EQ(error(), "cannot create " + options_.folder + ": Not a directory");
  options_.train = {folder_ / "empty.txt"};
  folder_.Write("empty.txt", "");
  EXPECT_NE(error().find("the corpus is empty"), std::string::npos);
}

TEST_F(PrepareTest, PutsTheTrainingTextAloneInFillInTheMiddleForm) {
  options_.augment = {.fim = 1, .split_tokens = 0.5, .seed = 2};
  const absl::StatusOr<PreparedData> data = PrepareData(options_);
  ASSERT_TRUE(data.ok()) << data.status();
  const int32_t begin = data->tokenizer.AddedId(kFimTokens[0]);
  ASSERT_GE(begin, 0);
  for (int64_t d = 0; d < data->train.num_documents(); ++d)
    EXPECT_EQ(data->train.token(data->train.document_begin(d)), begin);
  for (int64_t d = 0; d < data->validation->num_documents(); ++d)
    EXPECT_NE(data->validation->token(data->validation->document_begin(d)), begin);
  EXPECT_TRUE(PrepareData(options_)->reused);
  const uint64_t hash = data->train.content_hash();
  options_.augment.seed = 3;
  const absl::StatusOr<PreparedData> other = PrepareData(options_);
  EXPECT_FALSE(other->reused);
  EXPECT_NE(other->train.content_hash(), hash);
  options_.augment.seed = 2;
  EXPECT_EQ(PrepareData(options_)->train.content_hash(), hash);
}

TEST(WriteTokenFile, NeedsATokenThatEndsADocument) {
  TokenizerParts parts;
  for (int b = 0; b < 256; ++b) parts.tokens.emplace_back(1, static_cast<char>(b));
  const std::string_view text = "x";
  TempFolder folder;
  EXPECT_EQ(
      WriteTokenFile(folder / "a", Tokenizer::Make(parts).value(), {&text, 1}).message(),
      "the tokenizer has no token that ends a document; one named <|endoftext|>, </s> or the like is needed");
}

} // namespace
} // namespace weft
