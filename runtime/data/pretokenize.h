// Cuts text into the words within which byte pairs are merged.
#pragma once

#include <cstddef>
#include <optional>
#include <string_view>

namespace weft {

// The split rules of the tokenizers we read. Each is a hand-written scanner equal to the regular expression
// that `SplitRegex` gives (as Oniguruma reads it in the `tokenizers` package); a tokenizer.json must hold one
// of them word for word. A byte that is not valid UTF-8 counts as a symbol, [^\s\p{L}\p{N}].
enum class Split {
  kLlama3, // contractions; a word with one symbol or space before it; up to 3 digits; symbols; blanks. Ours
           // too.
  kQwen2,  // likewise, each digit alone
  kGpt2,   // contractions in lower case; words, numbers and symbols with one space before them; blanks
};

std::string_view SplitRegex(Split split);
std::optional<Split> SplitFromRegex(std::string_view regex);

// The end of the word that starts at text[at]; at < text.size(), and the result is greater than `at`.
size_t WordEnd(Split split, std::string_view text, size_t at);

} // namespace weft
