// A byte-level byte-pair tokenizer: text is cut into words (pretokenize.h), and within each word the pair of
// neighbouring tokens with the lowest rank is merged until none is left. Every byte is a token, so any bytes,
// valid UTF-8 or not, come back as they were.
//
// The file is Hugging Face's tokenizer.json, which the `tokenizers` package loads unchanged and which gives
// there the ids that it gives here.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "runtime/data/added_tokens.h"
#include "runtime/data/pretokenize.h"

namespace weft {

// The document separator: stands after every document of a token file. Ours for end, begin and padding too.
inline constexpr std::string_view kEndOfText = "<|endoftext|>";

// What a tokenizer is made of; Tokenizer::Make checks it.
struct TokenizerParts {
  struct Merge {
    int32_t left, right, result;
  };
  bool nfc = false; // the text is put into Unicode's normal form C first (Qwen)
  PreTokenizer pre_tokenizer;
  std::vector<std::string> tokens; // bytes by id; an added token's are its text
  std::vector<Merge> merges;       // by rank, the first merged first
  std::vector<AddedToken> added;
  bool ignore_merges = false; // a word that is a token as a whole is taken as it is (Llama 3)
  // Ids that the file's template puts before and after a text, such as a <bos>; ours has none.
  std::vector<int32_t> prefix, suffix;
};

// Immutable and cheap to copy; any number of threads may use one at once.
class Tokenizer {
public:
  static constexpr int64_t kMaxVocab = 1 << 24;
  static constexpr size_t kMaxAddedToken = 1024; // bytes

  // InvalidArgument names what is wrong: a byte without a token, a merge of unknown tokens, a pair listed
  // twice, …
  static absl::StatusOr<Tokenizer> Make(TokenizerParts parts);

  // Reads a tokenizer.json. Errors name the file and what it holds against what is read here: NotFound,
  // ResourceExhausted (over 256 MiB) or InvalidArgument. See bpe_json_reader.cpp for what is accepted.
  static absl::StatusOr<Tokenizer> Load(const std::string &path);
  static absl::StatusOr<Tokenizer> FromJson(std::string_view json);
  std::string ToJson() const;
  absl::Status Save(const std::string &path) const; // to a temporary name, synced, renamed
  // A tokenizer_config.json for `transformers`, naming the end-of-text token.
  std::string ToConfigJson() const;

  // The ids of `text`, in which the name of a special token is text like any other: what a document needs,
  // for it must not be able to end itself. Added tokens that are not special (<think>) become their ids.
  std::vector<int32_t> Encode(std::string_view text) const;
  // Likewise, but the names of special tokens become their ids: what a prompt needs. No prefix or suffix is
  // added.
  std::vector<int32_t> EncodeWithSpecials(std::string_view text) const;
  // Encode of every document, on up to `threads` threads (0 = one for each processor), which share long
  // documents too; the result is the same for any number.
  std::vector<std::vector<int32_t>> EncodeAll(absl::Span<const std::string_view> documents,
                                              int threads = 0) const;

  // The bytes of `ids`; special tokens give their text, or nothing with `skip_specials`. An id outside
  // [0, vocab_size) gives U+FFFD.
  std::string Decode(absl::Span<const int32_t> ids, bool skip_specials = false) const;
  // Empty for an id outside [0, vocab_size).
  std::string_view TokenBytes(int32_t id) const;

  int vocab_size() const;
  // The token that ends a document: <|endoftext|>, or what other tokenizers call it; -1 if the file has none.
  int end_of_text() const;
  bool IsSpecial(int32_t id) const;
  int32_t AddedId(std::string_view text) const; // -1 if no added token has this text
  const PreTokenizer &pre_tokenizer() const;
  bool nfc() const;
  bool ignore_merges() const;
  absl::Span<const AddedToken> added_tokens() const;
  absl::Span<const TokenizerParts::Merge> merges() const;
  absl::Span<const int32_t> prefix() const; // ids the file puts before a text (<bos>); empty for ours
  absl::Span<const int32_t> suffix() const;
  // xxh3 of everything that decides ids; a token file carries it, so that it is not read with another
  // tokenizer.
  uint64_t hash() const;

private:
  struct State;
  struct Scratch;
  class Borrowed;
  explicit Tokenizer(std::shared_ptr<const State> state) : state_(std::move(state)) {}
  std::vector<int32_t> EncodeAs(std::string_view text, bool with_specials) const;

  std::shared_ptr<const State> state_;
};

// Turns tokens into text as they come, holding back a UTF-8 sequence until it is whole, so that what is
// printed is never half a character. Bytes that can never become valid are given as they are.
class StreamDecoder {
public:
  explicit StreamDecoder(Tokenizer tokenizer, bool skip_specials = true)
      : tokenizer_(std::move(tokenizer)), skip_specials_(skip_specials) {}
  std::string Push(int32_t id); // the text that became whole, perhaps none
  std::string Flush();          // what was held back

private:
  Tokenizer tokenizer_;
  bool skip_specials_;
  std::string held_; // at most 3 bytes between calls
};

} // namespace weft
