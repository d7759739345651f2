// Text from a model: the prompt is read in buckets, then tokens are drawn one by one and streamed as text.
#pragma once

#include "runtime/data/bpe.h"
#include "runtime/generate/sampler.h"

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace weft {

// A model with a place in a text: what it has been fed stays in its key-value cache.
class NextTokenModel {
public:
  virtual ~NextTokenModel() = default;
  virtual int64_t vocab() const = 0;
  virtual int64_t context() const = 0; // tokens it can hold
  // Reads tokens at positions position, position + 1, …; everything before has been fed. Afterwards logits()
  // and lse() are those of the token that follows the last one.
  virtual absl::Status Feed(absl::Span<const int32_t> tokens, int64_t position) = 0;
  virtual absl::Span<const float> logits() const = 0; // (vocab)
  virtual float lse() const = 0;
};

struct GenerateOptions {
  int64_t max_tokens = 256;
  SamplingOptions sampling;
  std::vector<std::string> stop;   // the text ends before the first of these
  bool ignore_end = false;         // go on after the end-of-text token
  std::vector<int32_t> end_tokens; // that end it as well, such as the end of a turn
  // How many tokens of the prompt, from its first, the model has been fed already.
  int64_t fed = 0;
  std::function<bool()> cancelled; // asked before each token and between parts of the prompt; true ends it
};

enum class StopReason { end_of_text, stop_string, max_tokens, context, cancelled };
const char *StopReasonName(StopReason reason); // "end of text", "stop string", "max tokens", "context", …

struct GenerateResult {
  std::vector<int32_t> tokens; // without the prompt, with an end-of-text token
  std::vector<float> logprobs; // of each
  std::string text;            // as streamed
  StopReason reason = StopReason::max_tokens;
  int64_t held = 0; // how many of the prompt's tokens and these, from the first, the model has been fed
  double prompt_s = 0, tokens_s = 0; // seconds for the prompt, and for the tokens after the first
};

// `on_text` gets the text piece by piece, never half a character; false from it ends the generation.
// InvalidArgument for an empty prompt, one longer than the context, or options out of range.
absl::StatusOr<GenerateResult> Generate(NextTokenModel &model, const Tokenizer &tokenizer,
                                        absl::Span<const int32_t> prompt, const GenerateOptions &options,
                                        const std::function<bool(const std::string &)> &on_text);

// The ids of a prompt: special tokens by name, after what the tokenizer puts before a text (<bos>).
std::vector<int32_t> EncodePrompt(const Tokenizer &tokenizer, const std::string &text);

// Holds back what may be the beginning of a stop string.
class StopFilter {
public:
  explicit StopFilter(std::vector<std::string> stops) : stops_(std::move(stops)) {}
  // The text that can be given out now. Nothing more comes once `stopped`.
  std::string Push(const std::string &text);
  std::string Flush(); // what was held back, at the end
  bool stopped() const { return stopped_; }

private:
  std::vector<std::string> stops_;
  std::string held_;
  bool stopped_ = false;
};

} // namespace weft
