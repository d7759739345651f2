// Token files: a corpus as token ids, memory-mapped. Little-endian, as every machine we run on is:
//
//   offset  bytes
//        0      8  magic "WEFTTOK\0"
//        8      4  version (1)
//       12      4  bytes of a token: 2 or 4
//       16      8  vocabulary size: every token is below it
//       24      8  token count T
//       32      8  document count D
//       40      8  hash of the tokenizer (Tokenizer::hash), 0 if unknown
//       48      8  xxh3 of the tokens
//       56      8  xxh3 of the documents' ends
//       64      8  xxh3 of bytes 0 … 63
//       72    T*b  tokens, then zeros up to a multiple of 8
//        …    D*8  where each document ends, in tokens: increasing, the last is T
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"

namespace weft {

// Writes documents one after another; the file appears, whole, with Finish().
class TokenFileWriter {
public:
  static absl::StatusOr<TokenFileWriter> Create(const std::string &path, int64_t vocab_size,
                                                uint64_t tokenizer_hash);
  TokenFileWriter(TokenFileWriter &&) noexcept;
  TokenFileWriter &operator=(TokenFileWriter &&) noexcept;
  ~TokenFileWriter();

  // InvalidArgument for an empty document or a token outside the vocabulary.
  absl::Status AddDocument(absl::Span<const int32_t> tokens);
  // InvalidArgument when no document was added.
  absl::Status Finish();

private:
  struct State;
  explicit TokenFileWriter(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

struct TokenFileOptions {
  // Reads every token once at opening: its checksum, and that it is below the vocabulary size. The header and
  // the documents' ends are checked always.
  bool verify_tokens = true;
};

// A token file mapped into memory; cheap to copy, for any number of threads. The file must not be changed in
// place while it is open (writing another over it by rename, as the writer does, is fine).
class TokenFile {
public:
  // NotFound, or DataLoss naming the file, what it holds and what was expected there.
  static absl::StatusOr<TokenFile> Open(const std::string &path, const TokenFileOptions &options = {});

  int64_t num_tokens() const;
  int64_t num_documents() const;
  int64_t vocab_size() const;
  uint64_t tokenizer_hash() const;
  // Another for any other content: a checkpoint keeps it, to know its data again.
  uint64_t content_hash() const;
  const std::string &path() const;

  int32_t token(int64_t index) const; // 0 <= index < num_tokens()
  // tokens [first, first + out.size()), which must lie within the file
  void Read(int64_t first, absl::Span<int32_t> out) const;
  int64_t document_begin(int64_t document) const;
  int64_t document_end(int64_t document) const;
  // The document that holds token `index`.
  int64_t DocumentOf(int64_t index) const;
  // How many documents end at or before token `index`, that is, have their last token below it.
  int64_t DocumentsEndingBy(int64_t index) const;

  // FailedPrecondition, naming both, when the file was made with another tokenizer.
  absl::Status CheckTokenizer(uint64_t tokenizer_hash) const;

private:
  struct Mapping;
  explicit TokenFile(std::shared_ptr<const Mapping> mapping) : mapping_(std::move(mapping)) {}
  std::shared_ptr<const Mapping> mapping_;
};

} // namespace weft
