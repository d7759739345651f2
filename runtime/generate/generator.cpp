#include "runtime/generate/generator.h"

#include "absl/strings/str_cat.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <utility>

namespace weft {
namespace {

double SecondsSince(std::chrono::steady_clock::time_point begin) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

absl::Status CheckPrompt(const NextTokenModel &model, absl::Span<const int32_t> prompt,
                         const GenerateOptions &options) {
  if (absl::Status status = CheckSampling(options.sampling); !status.ok()) return status;
  if (options.max_tokens < 0)
    return absl::InvalidArgumentError(
        absl::StrCat("max tokens is ", options.max_tokens, " when it should be at least 0"));
  for (const std::string &stop : options.stop)
    if (stop.empty()) return absl::InvalidArgumentError("a stop string is empty");
  for (int32_t token : options.end_tokens)
    if (token < 0 || token >= model.vocab())
      return absl::InvalidArgumentError(
          absl::StrCat("the end token ", token, " is not in the model's vocabulary of ", model.vocab()));
  if (prompt.empty())
    return absl::InvalidArgumentError(
        "the prompt is empty\nhint: give at least a word, such as --prompt \"The\"");
  int64_t length = static_cast<int64_t>(prompt.size());
  if (length > model.context())
    return absl::InvalidArgumentError(
        absl::StrCat("the prompt has ", length, " tokens when the model's context holds ", model.context(),
                     "\nhint: shorten it by ", length - model.context(), " tokens or more"));
  if (options.fed < 0 || options.fed > length)
    return absl::InvalidArgumentError(absl::StrCat(options.fed, " tokens were fed of a prompt of ", length));
  for (int32_t token : prompt)
    if (token < 0 || token >= model.vocab())
      return absl::InvalidArgumentError(absl::StrCat("the prompt has the token ", token,
                                                     " when the model's vocabulary has ", model.vocab(),
                                                     "; the tokenizer is not the model's"));
  return absl::OkStatus();
}

constexpr int64_t kPromptPart =
    1024; // tokens after which a prompt can be cancelled; a multiple of every bucket

// What is left of the prompt, of which at least the last token is fed: its successor is asked for.
absl::Status FeedPrompt(NextTokenModel &model, absl::Span<const int32_t> prompt,
                        const GenerateOptions &options, int64_t &held) {
  const int64_t length = static_cast<int64_t>(prompt.size());
  held = std::min(options.fed, length - 1);
  while (held < length && !(options.cancelled && options.cancelled())) {
    int64_t count = std::min(kPromptPart, length - held);
    if (absl::Status status = model.Feed(prompt.subspan(held, count), held); !status.ok()) return status;
    held += count;
  }
  return absl::OkStatus();
}

} // namespace

const char *StopReasonName(StopReason reason) {
  switch (reason) {
  case StopReason::end_of_text:
    return "end of text";
  case StopReason::stop_string:
    return "stop string";
  case StopReason::max_tokens:
    return "max tokens";
  case StopReason::context:
    return "context";
  case StopReason::cancelled:
    return "cancelled";
  }
  return "";
}

std::vector<int32_t> EncodePrompt(const Tokenizer &tokenizer, const std::string &text) {
  std::vector<int32_t> ids(tokenizer.prefix().begin(), tokenizer.prefix().end());
  std::vector<int32_t> own = tokenizer.EncodeWithSpecials(text);
  ids.insert(ids.end(), own.begin(), own.end());
  return ids;
}

std::string StopFilter::Push(const std::string &text) {
  if (stopped_) return "";
  held_ += text;
  size_t first = std::string::npos;
  for (const std::string &stop : stops_) first = std::min(first, held_.find(stop));
  if (first != std::string::npos) {
    stopped_ = true;
    std::string out = held_.substr(0, first);
    held_.clear();
    return out;
  }
  size_t keep = 0; // the longest end of the text that begins a stop string
  for (const std::string &stop : stops_)
    for (size_t n = std::min(stop.size() - 1, held_.size()); n > keep; --n)
      if (held_.compare(held_.size() - n, n, stop, 0, n) == 0) keep = n;
  std::string out = held_.substr(0, held_.size() - keep);
  held_.erase(0, out.size());
  return out;
}

std::string StopFilter::Flush() { return std::exchange(held_, ""); }

absl::StatusOr<GenerateResult> Generate(NextTokenModel &model, const Tokenizer &tokenizer,
                                        absl::Span<const int32_t> prompt, const GenerateOptions &options,
                                        const std::function<bool(const std::string &)> &on_text) {
  if (absl::Status status = CheckPrompt(model, prompt, options); !status.ok()) return status;
  GenerateResult result;
  Sampler sampler(options.sampling);
  StreamDecoder decoder(tokenizer, /*skip_specials=*/true);
  StopFilter filter(options.stop);
  bool wanted = true;
  auto give = [&](const std::string &text) {
    result.text += text;
    if (!text.empty() && on_text && !on_text(text)) wanted = false;
  };

  auto begin = std::chrono::steady_clock::now();
  if (absl::Status status = FeedPrompt(model, prompt, options, result.held); !status.ok()) return status;
  if (result.held < static_cast<int64_t>(prompt.size())) {
    result.reason = StopReason::cancelled;
    return result;
  }
  result.prompt_s = SecondsSince(begin);
  begin = std::chrono::steady_clock::now();
  int64_t position = static_cast<int64_t>(prompt.size()); // of the token chosen next
  auto ends = [&](int32_t token) {
    return token == tokenizer.end_of_text() ||
           std::find(options.end_tokens.begin(), options.end_tokens.end(), token) != options.end_tokens.end();
  };
  while (wanted) {
    if (options.cancelled && options.cancelled()) {
      result.reason = StopReason::cancelled;
      break;
    }
    if (static_cast<int64_t>(result.tokens.size()) >= options.max_tokens) {
      result.reason = StopReason::max_tokens;
      break;
    }
    if (std::isnan(model.lse()))
      return absl::DataLossError(
          "the model gives no number for the next token (nan): its weights are broken");
    Sample sample = sampler.Choose(model.logits(), model.lse(), position);
    result.tokens.push_back(sample.token);
    result.logprobs.push_back(sample.logprob);
    if (ends(sample.token) && !options.ignore_end) {
      result.reason = StopReason::end_of_text;
      break;
    }
    give(filter.Push(decoder.Push(sample.token)));
    if (filter.stopped()) {
      result.reason = StopReason::stop_string;
      break;
    }
    if (static_cast<int64_t>(result.tokens.size()) >= options.max_tokens)
      continue; // its successor is not asked for
    if (position >= model.context()) {
      result.reason = StopReason::context;
      break;
    }
    if (absl::Status status = model.Feed({&sample.token, 1}, position); !status.ok()) return status;
    result.held = ++position;
  }
  result.tokens_s = SecondsSince(begin);
  give(filter.Push(decoder.Flush()));
  if (!filter.stopped()) give(filter.Flush());
  return result;
}

} // namespace weft
