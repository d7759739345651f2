// Cuts text into the words within which byte pairs are merged.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"

namespace weft {

// The rules of well-known tokenizers. A byte that is not valid UTF-8 counts as U+FFFD, a symbol.
enum class Split {
  kLlama3, // contractions; a word with one symbol or space before it; up to 3 digits; symbols; blanks. Ours
           // too.
  kQwen2,  // likewise, each digit alone. Qwen 3's too.
  kGpt2,   // contractions in lower case; words, numbers and symbols with one space before them; blanks
  kDeepSeek3, // up to 3 digits; Chinese and Japanese; ASCII words with a symbol before them, other words, …
};

// A step cuts each of the pieces that the step before left: what matches the regex is a piece, and so is what
// lies between two matches. Kinds differ only in how a tokenizer.json writes them.
struct SplitStep {
  enum class Kind { kSplit, kDigits, kByteLevel } kind = Kind::kSplit;
  std::string regex;
};

// Immutable and cheap to copy.
class PreTokenizer {
public:
  static constexpr size_t kMaxSteps = 16;

  explicit PreTokenizer(Split split = Split::kLlama3);
  // Regexes that are those of the rules above, or of Digits, get a hand-written scanner; others are searched
  // for (regex.h). Without a step the text is one word. InvalidArgument names a regex and what of it is not
  // read.
  static absl::StatusOr<PreTokenizer> Make(std::vector<SplitStep> steps);

  absl::Span<const SplitStep> steps() const;
  // Whether a word always ends where a printable ASCII character is followed by a space, or an ASCII letter
  // or digit by a line break, so that a text cut there gives the same words in parts.
  bool CutsAfterWords() const;

private:
  friend class WordCutter;
  struct State;
  explicit PreTokenizer(std::shared_ptr<const State> state) : state_(std::move(state)) {}
  std::shared_ptr<const State> state_;
};

// The words of one text in order; both have to outlive it.
class WordCutter {
public:
  WordCutter(const PreTokenizer &pre_tokenizer, std::string_view text);
  ~WordCutter();
  // Where the next words end: some at once, none when all have been given. Valid until the next call. The
  // first word starts at 0, each other where the one before ends.
  absl::Span<const size_t> Next();

private:
  class Pieces;
  const PreTokenizer::State &state_;
  std::string_view text_;
  size_t at_ = 0, piece_end_ = 0;
  std::unique_ptr<Pieces> pieces_; // where there are several steps or a regex
  size_t ends_[256];
};

} // namespace weft
