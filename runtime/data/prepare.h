// From text files to what a run trains on: a tokenizer and token files, kept in the run's folder.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "runtime/data/augment.h"
#include "runtime/data/bpe.h"
#include "runtime/data/token_file.h"

namespace weft {

// The recipe's [data].
struct DataOptions {
  std::vector<std::string> train;      // patterns of text or HTML files (corpus.h)
  double validation_fraction = 0.02;   // of the text's bytes, held out from `train`; 0 = none
  std::vector<std::string> validation; // patterns; where given, these are held out instead of a fraction
  std::string tokenizer =
      "train:4096";       // "train:N" learns N tokens from the training text; else a tokenizer.json
  AugmentOptions augment; // of the training text
  std::string folder;     // gets tokenizer.json, train.tokens, validation.tokens and data.key
  int threads = 0;        // for encoding; 0 = one for each processor
  std::function<void(std::string_view)> progress; // is given a line for each thing done, where set
};

struct PreparedData {
  Tokenizer tokenizer;
  TokenFile train;
  std::optional<TokenFile> validation; // absent with a fraction of 0
  bool reused = false;                 // it was all there, made from the same files in the same way
};

// Makes what is missing. What an earlier call left is used again when its text files (by path, size and time
// of change), its tokenizer and its options are the same; it is made anew when they are not or when a file is
// broken. Killed at any moment, it leaves nothing that a later call would take for whole. Errors: those of
// corpus.h, bpe.h, bpe_train.h and token_file.h, and InvalidArgument for a tokenizer key that is neither
// "train:N" nor a file.
absl::StatusOr<PreparedData> PrepareData(const DataOptions &options);

// Encodes documents into a token file, each followed by the tokenizer's end-of-text token (and after its
// prefix, such as a <bos>, where the file has one). FailedPrecondition when the tokenizer has no end-of-text
// token.
absl::Status WriteTokenFile(const std::string &path, const Tokenizer &tokenizer,
                            absl::Span<const std::string_view> documents, int threads = 0,
                            const AugmentOptions &augment = {});

} // namespace weft
