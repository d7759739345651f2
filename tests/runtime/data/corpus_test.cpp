#include "runtime/data/corpus.h"

#include <algorithm>
#include <cmath>
#include <gtest/gtest.h>
#include <mutex>
#include <random>
#include <set>

#include "runtime/data/text_parts.h"

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

// All texts that ForEachText gives, sorted.
absl::StatusOr<std::vector<std::string>> Texts(const std::vector<std::string> &files, bool cut, int threads) {
  std::mutex mutex;
  std::vector<std::string> texts;
  const absl::Status read = ForEachText(files, cut, threads, [&] {
    return [&](std::string_view text) {
      std::lock_guard<std::mutex> lock(mutex);
      texts.emplace_back(text);
    };
  });
  if (!read.ok()) return read;
  std::sort(texts.begin(), texts.end());
  return texts;
}

TEST(Corpus, ComesAsTheSameTextsOnAnyNumberOfThreads) {
  TempFolder f;
  f.Write("a.txt", "one");
  f.Write("b.txt", "");
  f.Write("c.txt", "three");
  f.Write("one/d.html", "<p>page");
  f.Write("two/e.html", "<p>other");
  const std::vector<std::string> files = ExpandPatterns({f / "*.txt", f / "*/*"}).value();
  for (int threads : {0, 1, 2, 7})
    EXPECT_EQ(Texts(files, true, threads).value(),
              (std::vector<std::string>{"one", "other\n", "page\n", "three"}));
  EXPECT_EQ(Texts({f / "b.txt"}, true, 2).status().message(),
            "the corpus is empty: 1 file was read, from " + (f / "b.txt") + " on, and none has text");
  EXPECT_EQ(Texts({}, true, 2).status().code(), absl::StatusCode::kInvalidArgument);
}

TEST(Corpus, NamesTheFirstFileThatCannotBeRead) {
  TempFolder f;
  std::vector<std::string> files;
  for (int i = 0; i < 50; ++i) files.push_back(f.Write(std::to_string(i) + ".txt", "text"));
  files.insert(files.begin() + 20, {f / "none", f.path(), f / "nor"});
  for (int threads : {1, 2, 7}) {
    const absl::Status read = Texts(files, true, threads).status();
    EXPECT_EQ(read.code(), absl::StatusCode::kNotFound);
    EXPECT_NE(read.message().find(f / "none:"), std::string::npos) << read;
  }
  EXPECT_EQ(Texts({f.path()}, true, 1).status().message(), f.path() + " is not a regular file");
}

// Long files are read in parts, and every byte of them once, wherever words end.
TEST(Corpus, ComesInPartsThatAreTheFile) {
  TempFolder f;
  std::mt19937 rng(6);
  std::string words, spread;
  while (words.size() < 3'500'000)
    words += std::string(1 + rng() % 9, static_cast<char>('a' + rng() % 26)) + " ";
  while (spread.size() < 5'000'000) spread += std::string(rng() % 900'000, 'x') + (rng() % 2 ? " " : "\n");
  std::string at_edges(4 << 20, 'y'); // a word's end at, before and after each part's edge
  for (size_t i = 1; i < 4; ++i) at_edges[(i << 20) + i - 2] = ' ';
  const std::string one_word(3'000'000, 'z'), blanks(2'500'000, '\n'),
      late = std::string(2'900'000, 'z') + " z";
  for (const std::string &text : {words, spread, at_edges, one_word, blanks, late}) {
    const std::string file = f.Write("long.txt", text);
    for (int threads : {1, 2, 3, 7}) {
      const std::vector<std::string> parts = Texts({file}, true, threads).value();
      std::vector<std::string> expected;
      for (size_t begin = 0; begin < text.size();) {
        const size_t end = PartEnd(text, (begin | ((1 << 20) - 1)) + 1);
        expected.push_back(text.substr(begin, end - begin));
        begin = end;
      }
      std::sort(expected.begin(), expected.end());
      EXPECT_TRUE(parts == expected) << threads << " " << parts.size() << " " << expected.size();
    }
    EXPECT_TRUE(Texts({file}, false, 2).value() == std::vector<std::string>{text});
  }
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
