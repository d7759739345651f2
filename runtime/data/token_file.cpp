#include "runtime/data/token_file.h"

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "absl/strings/str_format.h"
#include "runtime/data/file_io.h"
#include "runtime/data/str_cat.h"

namespace weft {
namespace {

static_assert(std::endian::native == std::endian::little,
              "token files are little-endian and mapped as they are");

constexpr char kMagic[8] = {'W', 'E', 'F', 'T', 'T', 'O', 'K', '\0'};
constexpr uint32_t kVersion = 1;

struct Header {
  char magic[8];
  uint32_t version;
  uint32_t token_bytes;
  uint64_t vocab_size;
  uint64_t token_count;
  uint64_t document_count;
  uint64_t tokenizer_hash;
  uint64_t tokens_checksum;
  uint64_t documents_checksum;
  uint64_t header_checksum;
};
static_assert(sizeof(Header) == 72);

uint64_t HeaderChecksum(const Header &h) { return XXH3_64bits(&h, offsetof(Header, header_checksum)); }

uint64_t Padded(uint64_t bytes) { return (bytes + 7) / 8 * 8; }

} // namespace

struct TokenFileWriter::State {
  AtomicFile file;
  Header header{};
  XXH3_state_t checksum;    // of the tokens so far
  std::vector<char> buffer; // tokens not yet written
  std::vector<uint64_t> ends;

  explicit State(AtomicFile f) : file(std::move(f)) { XXH3_64bits_reset(&checksum); }
  absl::Status Flush() {
    XXH3_64bits_update(&checksum, buffer.data(), buffer.size());
    absl::Status s = file.Append(buffer.data(), buffer.size());
    buffer.clear();
    return s;
  }
};

TokenFileWriter::TokenFileWriter(std::unique_ptr<State> state) : state_(std::move(state)) {}
TokenFileWriter::TokenFileWriter(TokenFileWriter &&) noexcept = default;
TokenFileWriter &TokenFileWriter::operator=(TokenFileWriter &&) noexcept = default;
TokenFileWriter::~TokenFileWriter() = default;

absl::StatusOr<TokenFileWriter> TokenFileWriter::Create(const std::string &path, int64_t vocab_size,
                                                        uint64_t tokenizer_hash) {
  if (vocab_size < 1 || vocab_size > INT32_MAX)
    return absl::InvalidArgumentError(
        StrCat("vocabulary size is ", vocab_size, " when it should be 1 to ", INT32_MAX));
  absl::StatusOr<AtomicFile> file = AtomicFile::Create(path);
  if (!file.ok()) return file.status();
  auto state = std::make_unique<State>(std::move(*file));
  std::memcpy(state->header.magic, kMagic, sizeof(kMagic));
  state->header.version = kVersion;
  state->header.token_bytes = vocab_size <= 65536 ? 2 : 4;
  state->header.vocab_size = static_cast<uint64_t>(vocab_size);
  state->header.tokenizer_hash = tokenizer_hash;
  if (absl::Status s = state->file.Append(&state->header, sizeof(Header)); !s.ok()) return s;
  return TokenFileWriter(std::move(state));
}

absl::Status TokenFileWriter::AddDocument(absl::Span<const int32_t> tokens) {
  State &s = *state_;
  const uint64_t document = s.ends.size();
  if (tokens.empty()) return absl::InvalidArgumentError(StrCat("document ", document, " has no tokens"));
  for (size_t i = 0; i < tokens.size(); ++i)
    if (tokens[i] < 0 || static_cast<uint64_t>(tokens[i]) >= s.header.vocab_size)
      return absl::InvalidArgumentError(StrCat("token ", i, " of document ", document, " is ", tokens[i],
                                               " outside [0, ", s.header.vocab_size, ")"));
  const size_t width = s.header.token_bytes;
  for (int32_t token : tokens) {
    const char *bytes = reinterpret_cast<const char *>(&token); // the low bytes come first
    s.buffer.insert(s.buffer.end(), bytes, bytes + width);
    if (s.buffer.size() >= (1 << 20))
      if (absl::Status status = s.Flush(); !status.ok()) return status;
  }
  s.header.token_count += tokens.size();
  s.ends.push_back(s.header.token_count);
  return absl::OkStatus();
}

absl::Status TokenFileWriter::Finish() {
  State &s = *state_;
  if (s.ends.empty()) return absl::InvalidArgumentError("a token file needs at least one document");
  if (absl::Status status = s.Flush(); !status.ok()) return status;
  const uint64_t bytes = s.header.token_count * s.header.token_bytes;
  const char zeros[8] = {};
  if (absl::Status status = s.file.Append(zeros, Padded(bytes) - bytes); !status.ok()) return status;
  if (absl::Status status = s.file.Append(s.ends.data(), s.ends.size() * 8); !status.ok()) return status;
  s.header.document_count = s.ends.size();
  s.header.tokens_checksum = XXH3_64bits_digest(&s.checksum);
  s.header.documents_checksum = XXH3_64bits(s.ends.data(), s.ends.size() * 8);
  s.header.header_checksum = HeaderChecksum(s.header);
  if (absl::Status status = s.file.WriteAt(0, &s.header, sizeof(Header)); !status.ok()) return status;
  return s.file.Commit();
}

struct TokenFile::Mapping {
  std::string path;
  void *address = MAP_FAILED;
  size_t bytes = 0;
  Header header{};
  const char *tokens = nullptr;
  const uint64_t *ends = nullptr; // (documents)

  ~Mapping() {
    if (address != MAP_FAILED) ::munmap(address, bytes);
  }
};

namespace {

template <typename... Args> absl::Status Broken(const std::string &path, const Args &...what) {
  return absl::DataLossError(StrCat("token file ", path, ": ", what..., "; make it anew from its text"));
}

absl::Status CheckHeader(const std::string &path, const Header &h, uint64_t file_bytes) {
  if (std::memcmp(h.magic, kMagic, sizeof(kMagic)) != 0)
    return Broken(path, "it does not start as a token file does");
  if (h.version != kVersion) return Broken(path, "version is ", h.version, " when ", kVersion, " is read");
  if (h.header_checksum != HeaderChecksum(h))
    return Broken(path, "the header's checksum is ", absl::StrFormat("%016x", h.header_checksum),
                  " when it should be ", absl::StrFormat("%016x", HeaderChecksum(h)));
  if (h.token_bytes != 2 && h.token_bytes != 4)
    return Broken(path, "a token has ", h.token_bytes, " bytes when it should have 2 or 4");
  if (h.vocab_size < 1 || h.vocab_size > INT32_MAX)
    return Broken(path, "vocabulary size is ", h.vocab_size, " when it should be 1 to ", INT32_MAX);
  // Counts are bounded by the file's size before they are multiplied, so nothing below can overflow.
  if (h.token_count < 1 || h.token_count > file_bytes / h.token_bytes)
    return Broken(path, "token count is ", h.token_count, " in a file of ", file_bytes, " bytes");
  if (h.document_count < 1 || h.document_count > h.token_count)
    return Broken(path, "document count is ", h.document_count, " with ", h.token_count, " tokens");
  const uint64_t expected = sizeof(Header) + Padded(h.token_count * h.token_bytes) + h.document_count * 8;
  if (file_bytes != expected)
    return Broken(path, "size is ", file_bytes, " bytes when it should be ", expected,
                  file_bytes < expected ? " (truncated)" : "");
  return absl::OkStatus();
}

template <typename T> T LargestOf(const char *tokens, uint64_t count) {
  T largest = 0;
  const T *t = reinterpret_cast<const T *>(tokens);
  for (uint64_t i = 0; i < count; ++i) largest = std::max(largest, t[i]);
  return largest;
}

} // namespace

absl::StatusOr<TokenFile> TokenFile::Open(const std::string &path, const TokenFileOptions &options) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) return FileError("read token file", path, errno);
  struct stat info;
  if (::fstat(fd, &info) != 0 || !S_ISREG(info.st_mode)) {
    ::close(fd);
    return absl::InvalidArgumentError(StrCat("token file ", path, " is not a regular file"));
  }
  auto m = std::make_shared<Mapping>();
  m->path = path;
  m->bytes = static_cast<size_t>(info.st_size);
  if (m->bytes < sizeof(Header)) {
    ::close(fd);
    return Broken(path, "size is ", m->bytes, " bytes when a header alone has ", sizeof(Header),
                  " (truncated)");
  }
  m->address = ::mmap(nullptr, m->bytes, PROT_READ, MAP_SHARED, fd, 0);
  const int error = errno;
  ::close(fd);
  if (m->address == MAP_FAILED) return FileError("map token file", path, error);

  std::memcpy(&m->header, m->address, sizeof(Header));
  const Header &h = m->header;
  if (absl::Status s = CheckHeader(path, h, m->bytes); !s.ok()) return s;
  const uint64_t token_bytes = h.token_count * h.token_bytes;
  m->tokens = static_cast<const char *>(m->address) + sizeof(Header);
  m->ends = reinterpret_cast<const uint64_t *>(m->tokens + Padded(token_bytes));

  if (const uint64_t sum = XXH3_64bits(m->ends, h.document_count * 8); sum != h.documents_checksum)
    return Broken(path, "the checksum of the documents' ends is ", absl::StrFormat("%016x", sum),
                  " when it should be ", absl::StrFormat("%016x", h.documents_checksum));
  for (uint64_t d = 0; d < h.document_count; ++d)
    if (m->ends[d] <= (d == 0 ? 0 : m->ends[d - 1]))
      return Broken(path, "document ", d, " ends at token ", m->ends[d], ", where it starts or before");
  if (m->ends[h.document_count - 1] != h.token_count)
    return Broken(path, "the last document ends at token ", m->ends[h.document_count - 1],
                  " when it should end at ", h.token_count);

  if (options.verify_tokens) {
    if (const uint64_t sum = XXH3_64bits(m->tokens, token_bytes); sum != h.tokens_checksum)
      return Broken(path, "the checksum of the tokens is ", absl::StrFormat("%016x", sum),
                    " when it should be ", absl::StrFormat("%016x", h.tokens_checksum));
    const uint64_t largest = h.token_bytes == 2 ? LargestOf<uint16_t>(m->tokens, h.token_count)
                                                : LargestOf<uint32_t>(m->tokens, h.token_count);
    if (largest >= h.vocab_size)
      return Broken(path, "it holds token ", largest, " outside [0, ", h.vocab_size, ")");
  }
  return TokenFile(std::move(m));
}

int64_t TokenFile::num_tokens() const { return static_cast<int64_t>(mapping_->header.token_count); }
int64_t TokenFile::num_documents() const { return static_cast<int64_t>(mapping_->header.document_count); }
int64_t TokenFile::vocab_size() const { return static_cast<int64_t>(mapping_->header.vocab_size); }
uint64_t TokenFile::tokenizer_hash() const { return mapping_->header.tokenizer_hash; }
// The header's checksum covers the counts, the tokenizer and the checksums of all the rest.
uint64_t TokenFile::content_hash() const { return mapping_->header.header_checksum; }
const std::string &TokenFile::path() const { return mapping_->path; }

int32_t TokenFile::token(int64_t index) const {
  int32_t token;
  Read(index, {&token, 1});
  return token;
}

void TokenFile::Read(int64_t first, absl::Span<int32_t> out) const {
  // A file opened without verification may hold an id that no embedding has: it becomes the last one.
  const auto last = static_cast<uint32_t>(mapping_->header.vocab_size - 1);
  auto copy = [&](const auto *tokens) {
    for (size_t i = 0; i < out.size(); ++i)
      out[i] = static_cast<int32_t>(std::min<uint32_t>(tokens[first + i], last));
  };
  if (mapping_->header.token_bytes == 2)
    copy(reinterpret_cast<const uint16_t *>(mapping_->tokens));
  else
    copy(reinterpret_cast<const uint32_t *>(mapping_->tokens));
}

int64_t TokenFile::document_begin(int64_t d) const { return d == 0 ? 0 : document_end(d - 1); }
int64_t TokenFile::document_end(int64_t d) const { return static_cast<int64_t>(mapping_->ends[d]); }

int64_t TokenFile::DocumentsEndingBy(int64_t index) const {
  const uint64_t *ends = mapping_->ends;
  return std::upper_bound(ends, ends + num_documents(), static_cast<uint64_t>(index)) - ends;
}
// Documents that end at or before `index` are those before the one that holds it.
int64_t TokenFile::DocumentOf(int64_t index) const { return DocumentsEndingBy(index); }

absl::Status TokenFile::CheckTokenizer(uint64_t hash) const {
  if (tokenizer_hash() == hash) return absl::OkStatus();
  return absl::FailedPreconditionError(
      StrCat("token file ", path(), " was made with tokenizer ", absl::StrFormat("%016x", tokenizer_hash()),
             " when this run's is ", absl::StrFormat("%016x", hash), "; make it anew from its text"));
}

} // namespace weft
