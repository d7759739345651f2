#include "runtime/data/corpus.h"

#include <cmath>
#include <gtest/gtest.h>
#include <set>

#include "tests/runtime/data/temp_folder.h"

namespace weft {
namespace {

using Paths = std::vector<std::string>;

TEST(Corpus, ExpandsPatternsInOrderEachFileOnce) {
  TempFolder f;
  const std::string b = f.Write("b.txt", "x"), a = f.Write("a.txt", "x"), c = f.Write("sub/c.md", "x");
  EXPECT_EQ(ExpandPatterns({f / "*.txt"}).value(), (Paths{a, b}));
  EXPECT_EQ(ExpandPatterns({f / "{b,a}.txt", a, f / "*/*.md"}).value(), (Paths{a, b, c}));
  EXPECT_EQ(ExpandPatterns({f / "*"}).value(), (Paths{a, b})); // the folder among them is passed over
}

TEST(Corpus, NamesAPatternThatMatchesNothing) {
  TempFolder f;
  f.Write("a.txt", "x");
  const absl::Status s = ExpandPatterns({f / "*.txt", f / "*.text"}).status();
  EXPECT_EQ(s.code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(std::string(s.message()).rfind("no file matches \"" + (f / "*.text") + "\" (seen from /", 0), 0u)
      << s;
  EXPECT_EQ(ExpandPatterns({f.path()}).status().message(), "\"" + f.path() +
                                                               "\" names a folder, not a file; write \"" +
                                                               f.path() + "/*\" for the files in it");
  EXPECT_EQ(ExpandPatterns({}).status().message(), "no files are named: the corpus is empty");
}

TEST(Corpus, ReadsTextAsItIsAndPagesWithoutTheirMarkup) {
  TempFolder f;
  f.Write("a.txt", "<p>caf\xe9\r\n\xff");
  f.Write("b.html", "<h1>T</h1><p>prose");
  const std::vector<Document> d = LoadCorpus({f / "*"}).value();
  ASSERT_EQ(d.size(), 2u);
  EXPECT_EQ(d[0].name, f / "a.txt");
  EXPECT_EQ(d[0].text, "<p>caf\xe9\r\n\xff");
  EXPECT_EQ(d[1].text, "T\n\nprose\n");
}

TEST(Corpus, RefusesFilesWithoutText) {
  TempFolder f;
  f.Write("a.txt", "");
  f.Write("b.html", "<p></p>");
  EXPECT_EQ(LoadCorpus({f / "*"}).status(),
            absl::InvalidArgumentError("the corpus is empty: 2 files were read, from " + (f / "a.txt") +
                                       " on, and none has text"));
  f.Write("c.txt", "x");
  EXPECT_EQ(LoadCorpus({f / "*"})->size(), 1u);
}

TEST(Corpus, ComesInBatchesOfTheSameDocuments) {
  TempFolder f;
  f.Write("a.txt", "one");
  f.Write("b.txt", "");
  f.Write("c.txt", "three");
  f.Write("one/d.html", "<p>page");
  f.Write("two/e.html", "<p>other");
  const std::vector<std::string> files = ExpandPatterns({f / "*.txt", f / "*/*"}).value();
  std::vector<std::string> texts;
  size_t batches = 0;
  const auto use = [&](absl::Span<const Document> documents) {
    ++batches;
    for (const Document &d : documents) texts.push_back(d.name + " " + d.text);
  };
  ASSERT_TRUE(LoadInBatches(files, use).ok());
  EXPECT_EQ(batches, 3u); // the texts, and the pages of each folder
  std::vector<std::string> expected;
  const std::vector<Document> documents = LoadFiles(files).value();
  for (const Document &d : documents) expected.push_back(d.name + " " + d.text);
  EXPECT_EQ(texts, expected);
  EXPECT_EQ(LoadInBatches({f / "b.txt"}, use).message(),
            "the corpus is empty: 1 file was read, from " + (f / "b.txt") + " on, and none has text");
  EXPECT_EQ(LoadInBatches({f / "none.txt"}, use).code(), absl::StatusCode::kNotFound);
}

TEST(Corpus, ExtractsTextIntoAFolder) {
  TempFolder f;
  f.Write("in/a.html", "<p>one");
  f.Write("in/b.txt", "two");
  ASSERT_TRUE(ExtractText(ExpandPatterns({f / "in/*"}).value(), f / "out/deep").ok());
  EXPECT_EQ(Slurp(f / "out/deep/a.txt"), "one\n");
  EXPECT_EQ(Slurp(f / "out/deep/b.txt"), "two");
  f.Write("in/b.html", "<p>clash");
  EXPECT_EQ(ExtractText(ExpandPatterns({f / "in/*"}).value(), f / "out").message(),
            (f / "in/b.html") + " and " + (f / "in/b.txt") + " would both become " + (f / "out/b.txt"));
}

std::string Prose(int paragraphs, int seed) {
  std::string text;
  for (int i = 0; i < paragraphs; ++i)
    text += "Paragraph " + std::to_string(i * 31 + seed) +
            " has some words that say little but take their room.\n\n";
  return text;
}

size_t Bytes(const std::vector<std::string_view> &parts) {
  size_t bytes = 0;
  for (std::string_view p : parts) bytes += p.size();
  return bytes;
}

TEST(SplitCorpus, HoldsOutAboutTheFractionAskedFor) {
  const std::vector<Document> documents = {{"a", Prose(3000, 1)}, {"b", Prose(500, 2)}, {"c", "tiny"}};
  size_t total = 0;
  for (const Document &d : documents) total += d.text.size();
  for (double fraction : {0.02, 0.1, 0.5}) {
    const CorpusSplit s = SplitCorpus(documents, fraction).value();
    EXPECT_EQ(Bytes(s.train) + Bytes(s.validation), total);
    EXPECT_NEAR(static_cast<double>(Bytes(s.validation)) / total, fraction, 0.1 * fraction + 0.002)
        << fraction;
    for (std::string_view part : s.validation)
      EXPECT_TRUE(part == "tiny" || part.starts_with("Paragraph")) << part; // cut at paragraphs
  }
}

TEST(SplitCorpus, SplitsEvenASingleFile) {
  const std::vector<Document> one = {{"a", Prose(20, 1)}};
  const CorpusSplit s = SplitCorpus(one, 0.02).value();
  EXPECT_EQ(s.validation.size(), 1u);
  EXPECT_GE(s.train.size(), 1u);
  EXPECT_LE(s.train.size(), 2u); // what is left stays together around the part taken out
}

TEST(SplitCorpus, DependsOnTheTextAloneNotOnNamesOrOrder) {
  const std::vector<Document> documents = {{"a", Prose(300, 1)}, {"b", Prose(200, 2)}, {"c", Prose(250, 3)}};
  const std::vector<Document> turned = {
      {"z", documents[2].text}, {"y", documents[0].text}, {"x", documents[1].text}};
  const CorpusSplit s = SplitCorpus(documents, 0.1).value(), t = SplitCorpus(turned, 0.1).value();
  EXPECT_EQ(std::multiset<std::string_view>(s.validation.begin(), s.validation.end()),
            std::multiset<std::string_view>(t.validation.begin(), t.validation.end()));
}

TEST(SplitCorpus, NeverCutsACharacterInTwo) {
  std::string text;
  for (int i = 0; i < 2000; ++i) text += "中"; // no blank anywhere
  const std::vector<Document> documents = {{"a", text}};
  const CorpusSplit s = SplitCorpus(documents, 0.2).value();
  for (const auto &side : {s.train, s.validation})
    for (std::string_view part : side) EXPECT_EQ(part.size() % 3, 0u);
}

TEST(SplitCorpus, HoldsOutNothingWhereNothingIsAsked) {
  const std::vector<Document> documents = {{"a", Prose(100, 1)}, {"b", "x"}};
  const CorpusSplit s = SplitCorpus(documents, 0).value();
  EXPECT_TRUE(s.validation.empty());
  EXPECT_EQ(s.train, (std::vector<std::string_view>{documents[0].text, documents[1].text}));
}

TEST(SplitCorpus, SaysWhenThereIsTooLittleText) {
  const std::vector<Document> one_byte = {{"a", "x"}};
  EXPECT_EQ(SplitCorpus(one_byte, 0.02).status().message(),
            "the corpus of 1 bytes is too small to hold out 0.02 of it for validation; set validation = 0 or "
            "bring more text");
  EXPECT_EQ(SplitCorpus(one_byte, 0)->train.size(), 1u);
  for (double bad : {-0.1, 1.0, 7.0, std::nan("")})
    EXPECT_EQ(SplitCorpus(one_byte, bad).status().code(), absl::StatusCode::kInvalidArgument);
}

} // namespace
} // namespace weft
