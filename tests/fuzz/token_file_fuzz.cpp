// The reader of token files: bytes as they are, and with the checksums made right.
#include "runtime/data/token_file.h"
#include "tests/fuzz/fuzz_target.h"
#include "tests/fuzz/memory_file.h"

#include <algorithm>
#include <cstring>
#include <filesystem>

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace weft::fuzz {
namespace {

// The places in the header: token_file.h.
constexpr size_t kHeader = 72, kTokenBytes = 12, kTokens = 24, kDocuments = 32, kTokensSum = 48,
                 kDocumentsSum = 56, kHeaderSum = 64;

uint64_t Integer(const std::string &bytes, size_t at, size_t width) {
  uint64_t value = 0;
  std::memcpy(&value, &bytes[at], width);
  return value;
}

void SetSum(std::string &bytes, size_t at, size_t first, size_t count) {
  uint64_t sum = XXH3_64bits(&bytes[first], count);
  std::memcpy(&bytes[at], &sum, sizeof sum);
}

// Sums over what the header says is there, as far as it is.
void SetSums(std::string &bytes) {
  uint64_t width = Integer(bytes, kTokenBytes, 4), tokens = Integer(bytes, kTokens, 8);
  uint64_t documents = Integer(bytes, kDocuments, 8), rest = bytes.size() - kHeader;
  if (width > 0 && width < 16 && tokens <= rest / width) {
    uint64_t begin = (tokens * width + 7) / 8 * 8;
    SetSum(bytes, kTokensSum, kHeader, tokens * width);
    if (begin <= rest && documents <= (rest - begin) / 8)
      SetSum(bytes, kDocumentsSum, kHeader + begin, documents * 8);
  }
  SetSum(bytes, kHeaderSum, 0, kHeaderSum);
}

void Read(const TokenFile &file, bool verified) {
  int64_t tokens = file.num_tokens(), documents = file.num_documents(), begin = 0;
  std::vector<int32_t> ids(tokens);
  file.Read(0, absl::MakeSpan(ids));
  for (int32_t id : ids) Require(id >= 0 && id < file.vocab_size(), "a token is in the vocabulary");
  for (int64_t d = 0; d < documents; ++d) {
    Require(file.document_begin(d) == begin && file.document_end(d) > begin, "documents follow each other");
    begin = file.document_end(d);
    Require(file.DocumentOf(begin - 1) == d, "a token is of its document");
  }
  Require(begin == tokens, "documents have all tokens");
  Require(verified || file.token(tokens - 1) == ids.back(), "a token reads the same alone");
}

void Open(MemoryFile &memory, const std::string &bytes) {
  memory.Set(bytes);
  for (bool verify : {true, false}) {
    auto file = TokenFile::Open(memory.path(), {.verify_tokens = verify});
    Outcome(std::string(file.status().message()));
    if (file.ok()) Read(*file, verify);
  }
}

} // namespace

std::vector<std::string> Seeds() {
  std::vector<std::string> seeds;
  for (int64_t vocab : {10, 70000}) {
    // The writer makes a file beside the one it replaces, so that one in memory will not do.
    std::string path = (std::filesystem::temp_directory_path() / "weft-fuzz-XXXXXX").string();
    Require(mkdtemp(path.data()) != nullptr, "a folder can be made");
    auto writer = TokenFileWriter::Create(path + "/a.tokens", vocab, 0x1234);
    Require(writer.ok(), "a seed is begun");
    for (const std::vector<int32_t> &document :
         {std::vector<int32_t>{1, 2, 3, 0}, {4, 0}, {9, 8, 7, 6, 5, 0, 0}})
      Require(writer->AddDocument(document).ok(), "a seed's document is written");
    Require(writer->Finish().ok(), "a seed is written");
    std::string bytes(std::filesystem::file_size(path + "/a.tokens"), '\0');
    FILE *file = std::fopen((path + "/a.tokens").c_str(), "rb");
    Require(file && std::fread(bytes.data(), 1, bytes.size(), file) == bytes.size(), "a seed is read");
    std::fclose(file);
    std::filesystem::remove_all(path);
    seeds.push_back(std::move(bytes));
  }
  return seeds;
}

std::vector<std::string> Words() { return {"WEFTTOK", std::string("\4\0\0\0", 4), std::string(8, '\0')}; }

} // namespace weft::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static weft::fuzz::MemoryFile memory;
  std::string bytes(reinterpret_cast<const char *>(data), size);
  weft::fuzz::Open(memory, bytes);
  if (size < weft::fuzz::kHeader) return 0;
  weft::fuzz::SetSums(bytes);
  weft::fuzz::Open(memory, bytes);
  return 0;
}
