// A run's data: the tokenizer and the token files, made once and kept under names that say what they were
// made from.
#pragma once

#include "runtime/data/bpe.h"
#include "runtime/data/token_file.h"
#include "runtime/train/recipe.h"

#include "absl/status/statusor.h"

#include <functional>
#include <optional>
#include <string>

namespace weft {

struct PreparedData {
  Tokenizer tokenizer;
  TokenFile train;
  std::optional<TokenFile> validation; // none when data.validation is 0
  std::string hash;                    // of everything that decides the tokens
};

// Makes run.dir/tokenizer.json and the token files in run.dir/cache, or finds them there. `say` is told what
// takes time. Errors name the key or file: no data.train, patterns without files, empty texts, a tokenizer
// without an end of text, …
absl::StatusOr<PreparedData> PrepareData(const Recipe &recipe,
                                         const std::function<void(const std::string &)> &say);

} // namespace weft
