#include "runtime/data/token_file.h"

#include <csignal>
#include <cstring>
#include <functional>
#include <gtest/gtest.h>
#include <sys/resource.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "tests/runtime/data/temp_folder.h"

namespace weft {
namespace {

using Ids = std::vector<int32_t>;

const std::vector<Ids> kDocuments = {{1, 2, 3, 0}, {4, 0}, {9, 8, 7, 6, 5, 0}};

std::string WriteFile(const TempFolder &folder, const std::vector<Ids> &documents, int64_t vocab = 10) {
  const std::string path = folder / "a.tokens";
  absl::StatusOr<TokenFileWriter> writer = TokenFileWriter::Create(path, vocab, 0x1234);
  EXPECT_TRUE(writer.ok()) << writer.status();
  for (const Ids &d : documents) EXPECT_TRUE(writer->AddDocument(d).ok());
  const absl::Status s = writer->Finish();
  EXPECT_TRUE(s.ok()) << s;
  return path;
}

TEST(TokenFile, GivesBackWhatWasWritten) {
  for (int64_t vocab : {10, 65536, 65537, 2000000000}) {
    TempFolder folder;
    std::vector<Ids> documents = kDocuments;
    documents[1][0] = static_cast<int32_t>(vocab - 1);
    const absl::StatusOr<TokenFile> f = TokenFile::Open(WriteFile(folder, documents, vocab));
    ASSERT_TRUE(f.ok()) << f.status();
    EXPECT_EQ(f->num_tokens(), 12);
    EXPECT_EQ(f->num_documents(), 3);
    EXPECT_EQ(f->vocab_size(), vocab);
    EXPECT_EQ(f->tokenizer_hash(), 0x1234u);
    for (int64_t d = 0; d < 3; ++d) {
      Ids read(f->document_end(d) - f->document_begin(d));
      f->Read(f->document_begin(d), absl::MakeSpan(read));
      EXPECT_EQ(read, documents[d]);
    }
    EXPECT_EQ(f->token(4), vocab - 1);
    EXPECT_EQ(std::filesystem::file_size(f->path()), 72u + 12u * (vocab <= 65536 ? 2 : 4) + 24u);
  }
}

TEST(TokenFile, FindsTheDocumentOfAToken) {
  TempFolder folder;
  const TokenFile f = TokenFile::Open(WriteFile(folder, kDocuments)).value();
  for (int64_t i = 0; i < 12; ++i) EXPECT_EQ(f.DocumentOf(i), i < 4 ? 0 : i < 6 ? 1 : 2) << i;
  EXPECT_EQ(f.DocumentsEndingBy(12), 3);
}

TEST(TokenFile, IsKnownByItsContent) {
  TempFolder a, b;
  const uint64_t first = TokenFile::Open(WriteFile(a, kDocuments))->content_hash();
  EXPECT_EQ(TokenFile::Open(WriteFile(b, kDocuments))->content_hash(), first);
  EXPECT_NE(TokenFile::Open(WriteFile(b, {{1, 2, 3, 0}, {5, 0}, {9, 8, 7, 6, 5, 0}}))->content_hash(), first);
}

TEST(TokenFile, WritesLargeFilesInPieces) {
  TempFolder folder;
  Ids document(3000001);
  for (size_t i = 0; i < document.size(); ++i) document[i] = static_cast<int32_t>(i * 7919 % 100000);
  const TokenFile f = TokenFile::Open(WriteFile(folder, {document, {5}, document}, 100000)).value();
  Ids read(document.size());
  f.Read(3000002, absl::MakeSpan(read));
  EXPECT_EQ(read, document);
}

TEST(TokenFile, SaysWhichTokenizerItWasMadeWith) {
  TempFolder folder;
  const TokenFile f = TokenFile::Open(WriteFile(folder, kDocuments)).value();
  EXPECT_TRUE(f.CheckTokenizer(0x1234).ok());
  EXPECT_EQ(f.CheckTokenizer(0x99).message(),
            "token file " + f.path() +
                " was made with tokenizer 0000000000001234 when this run's is "
                "0000000000000099; make it anew from its text");
}

TEST(TokenFileWriter, LeavesNothingBehindUnlessFinished) {
  TempFolder folder;
  {
    absl::StatusOr<TokenFileWriter> writer = TokenFileWriter::Create(folder / "a.tokens", 10, 0);
    ASSERT_TRUE(writer->AddDocument({1, 2}).ok());
  }
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
  const std::string path = WriteFile(folder, kDocuments);
  const std::string before = Slurp(path);
  { absl::StatusOr<TokenFileWriter> writer = TokenFileWriter::Create(path, 10, 0); }
  EXPECT_EQ(Slurp(path), before);
}

TEST(TokenFileWriter, RefusesWhatItCannotHold) {
  TempFolder folder;
  absl::StatusOr<TokenFileWriter> writer = TokenFileWriter::Create(folder / "a.tokens", 10, 0);
  EXPECT_EQ(writer->Finish().message(), "a token file needs at least one document");
  EXPECT_EQ(writer->AddDocument({}).message(), "document 0 has no tokens");
  EXPECT_EQ(writer->AddDocument({1, 10}).message(), "token 1 of document 0 is 10 outside [0, 10)");
  EXPECT_EQ(writer->AddDocument({-1}).message(), "token 0 of document 0 is -1 outside [0, 10)");
  EXPECT_EQ(TokenFileWriter::Create(folder / "b", 0, 0).status().message(),
            "vocabulary size is 0 when it should be 1 to 2147483647");
  EXPECT_EQ(TokenFileWriter::Create(folder / "no/such/a", 10, 0).status().message(),
            "cannot create " + (folder / "no/such/a") + ": No such file or directory");
}

// A limit on file sizes stands in for a full disk: write() fails with EFBIG as it would with ENOSPC.
TEST(TokenFileWriter, ReportsAFullDiskAndKeepsTheOldFile) {
  TempFolder folder;
  const std::string path = WriteFile(folder, kDocuments), before = Slurp(path);
  struct rlimit old;
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &old), 0);
  const auto handler = std::signal(SIGXFSZ, SIG_IGN);
  const struct rlimit small = {100000, old.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &small), 0);
  absl::Status status;
  {
    absl::StatusOr<TokenFileWriter> writer = TokenFileWriter::Create(path, 10, 0);
    ASSERT_TRUE(writer.ok());
    status = writer->AddDocument(Ids(2000000, 1));
    if (status.ok()) status = writer->Finish();
  }
  ::setrlimit(RLIMIT_FSIZE, &old);
  std::signal(SIGXFSZ, handler);
  EXPECT_EQ(status, absl::ResourceExhaustedError("cannot write " + path + ": File too large"));
  EXPECT_EQ(Slurp(path), before);
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder.path()), {}), 1);
}

// Bad files, each made from a good one.
class BadTokenFile : public testing::Test {
protected:
  BadTokenFile() : path_(WriteFile(folder_, kDocuments)), good_(Slurp(path_)) {}

  absl::Status Open(const std::string &content) {
    folder_.Write("a.tokens", content);
    return TokenFile::Open(path_).status();
  }
  // Opens the file with a field changed and the header's checksum made to fit, as only malice would.
  template <typename T> absl::Status WithField(size_t offset, T value) {
    std::string content = good_;
    std::memcpy(content.data() + offset, &value, sizeof(T));
    Seal(content);
    return Open(content);
  }
  static void Seal(std::string &content) {
    const uint64_t documents = XXH3_64bits(content.data() + content.size() - 24, 24);
    std::memcpy(content.data() + 56, &documents, 8);
    const uint64_t sum = XXH3_64bits(content.data(), 64);
    std::memcpy(content.data() + 64, &sum, 8);
  }
  std::string Text(std::string_view what) {
    return "token file " + path_ + ": " + std::string(what) + "; make it anew from its text";
  }

  TempFolder folder_;
  std::string path_, good_;
};

TEST_F(BadTokenFile, MissingOrNoFile) {
  EXPECT_EQ(
      TokenFile::Open(folder_ / "none").status(),
      absl::NotFoundError("cannot read token file " + (folder_ / "none") + ": No such file or directory"));
  EXPECT_EQ(TokenFile::Open(folder_.path()).status().message(),
            "token file " + folder_.path() + " is not a regular file");
}

TEST_F(BadTokenFile, TruncatedAnywhere) {
  for (size_t size = 0; size < good_.size(); ++size) {
    const absl::Status s = Open(good_.substr(0, size));
    EXPECT_EQ(s.code(), absl::StatusCode::kDataLoss) << size;
    EXPECT_NE(std::string(s.message()).find("(truncated)"), std::string::npos) << size << s;
  }
  EXPECT_EQ(Open(good_.substr(0, 100)).message(),
            Text("size is 100 bytes when it should be 120 (truncated)"));
  EXPECT_EQ(Open("").message(), Text("size is 0 bytes when a header alone has 72 (truncated)"));
  EXPECT_EQ(Open(good_ + "x").message(), Text("size is 121 bytes when it should be 120"));
}

TEST_F(BadTokenFile, AnyBitFlipped) {
  for (size_t i = 0; i < good_.size(); ++i)
    for (int bit = 0; bit < 8; ++bit) {
      std::string content = good_;
      content[i] = static_cast<char>(content[i] ^ 1 << bit);
      EXPECT_EQ(Open(content).code(), absl::StatusCode::kDataLoss) << i << " " << bit;
    }
}

TEST_F(BadTokenFile, NotATokenFileOrOfAnotherVersion) {
  EXPECT_EQ(Open(std::string(500, 'x')).message(), Text("it does not start as a token file does"));
  EXPECT_EQ(WithField<uint32_t>(8, 2).message(), Text("version is 2 when 1 is read"));
}

TEST_F(BadTokenFile, SizesThatLieWithAChecksumThatFits) {
  EXPECT_EQ(WithField<uint32_t>(12, 3).message(), Text("a token has 3 bytes when it should have 2 or 4"));
  EXPECT_EQ(WithField<uint64_t>(16, 0).message(),
            Text("vocabulary size is 0 when it should be 1 to 2147483647"));
  EXPECT_EQ(WithField<uint64_t>(24, 0).message(), Text("token count is 0 in a file of 120 bytes"));
  EXPECT_EQ(WithField<uint64_t>(24, ~uint64_t{0}).message(),
            Text("token count is 18446744073709551615 in a file of 120 bytes"));
  EXPECT_EQ(WithField<uint64_t>(24, uint64_t{1} << 63).message(),
            Text("token count is 9223372036854775808 in a file of 120 bytes"));
  EXPECT_EQ(WithField<uint64_t>(32, 13).message(), Text("document count is 13 with 12 tokens"));
  EXPECT_EQ(WithField<uint64_t>(32, ~uint64_t{0}).message(),
            Text("document count is 18446744073709551615 with 12 tokens"));
  EXPECT_EQ(WithField<uint64_t>(32, 4).message(),
            Text("size is 120 bytes when it should be 128 (truncated)"));
}

TEST_F(BadTokenFile, DocumentsThatDoNotFollowEachOther) {
  EXPECT_EQ(WithField<uint64_t>(96, 0).message(),
            Text("document 0 ends at token 0, where it starts or before"));
  EXPECT_EQ(WithField<uint64_t>(104, 4).message(),
            Text("document 1 ends at token 4, where it starts or before"));
  EXPECT_EQ(WithField<uint64_t>(112, 99).message(),
            Text("the last document ends at token 99 when it should end at 12"));
}

TEST_F(BadTokenFile, TokensOutsideTheVocabulary) {
  EXPECT_EQ(WithField<uint64_t>(16, 9).message(), Text("it holds token 9 outside [0, 9)"));
  // Unverified, such a token never leaves the vocabulary either.
  TokenFileOptions quick;
  quick.verify_tokens = false;
  const TokenFile f = TokenFile::Open(path_, quick).value();
  EXPECT_EQ(f.token(6), 8);
}

TEST_F(BadTokenFile, SaysWhichChecksumFails) {
  std::string content = good_;
  content[72] ^= 1;
  EXPECT_NE(std::string(Open(content).message()).find("the checksum of the tokens is "), std::string::npos);
  content = good_;
  content[100] ^= 1;
  EXPECT_NE(std::string(Open(content).message()).find("the checksum of the documents' ends is "),
            std::string::npos);
  content = good_;
  content[40] ^= 1;
  EXPECT_NE(std::string(Open(content).message()).find("the header's checksum is "), std::string::npos);
}

} // namespace
} // namespace weft
