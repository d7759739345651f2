// A conversation with a model. What the model has read stays in its key-value cache: of each prompt, only
// what differs from what it holds is fed. An answer is the one that a fresh model would give to the same
// messages.
#pragma once

#include "runtime/generate/generator.h"
#include "runtime/text/chat_format.h"

#include "absl/status/statusor.h"

#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace weft {

struct ChatAnswer {
  GenerateResult result;
  int64_t prompt_tokens = 0, reused_tokens = 0; // of the prompt; the latter were in the cache
  int64_t dropped_turns = 0;                    // the oldest, which had no place any more
  bool cut = false;                             // without a template: the text's beginning was dropped
};

class ChatSession {
public:
  // Without a format the conversation is one text, which each message and answer goes on with. Model and
  // tokenizer must outlive it.
  ChatSession(NextTokenModel &model, const Tokenizer &tokenizer, std::optional<ChatFormat> format,
              GenerateOptions options)
      : model_(model), tokenizer_(tokenizer), format_(std::move(format)), options_(std::move(options)) {}

  // The model's answer, which is part of the conversation from then on, cut short or not; a turn that was
  // cancelled before a first token is none. Where messages and answer
  // do not fit into the context, the oldest turns are dropped until half of it is free (a text without a
  // template is cut to its last half). An error leaves the conversation as it was.
  absl::StatusOr<ChatAnswer> Say(const std::string &message,
                                 const std::function<bool(const std::string &)> &on_text);

  void Reset();                     // forgets the conversation, not the system prompt
  bool Undo();                      // forgets the last message and its answer; false when there is none
  void SetSystem(std::string text); // "" = none; what was said stays
  const std::string &system() const { return system_; }
  int64_t num_turns() const { return static_cast<int64_t>(format_ ? messages_.size() / 2 : ends_.size()); }
  bool has_format() const { return format_.has_value(); }

private:
  absl::StatusOr<std::vector<int32_t>> Prompt(const std::vector<ChatMessage> &messages) const;
  absl::StatusOr<ChatAnswer> Answer(const std::vector<int32_t> &prompt,
                                    const std::function<bool(const std::string &)> &on_text);
  absl::StatusOr<ChatAnswer> SayInFormat(const std::string &message,
                                         const std::function<bool(const std::string &)> &on_text);
  absl::StatusOr<ChatAnswer> Continue(const std::string &text,
                                      const std::function<bool(const std::string &)> &on_text);
  int64_t AnswerRoom() const; // tokens to keep free for an answer

  NextTokenModel &model_;
  const Tokenizer &tokenizer_;
  std::optional<ChatFormat> format_;
  GenerateOptions options_;
  std::string system_;
  std::vector<ChatMessage> messages_; // user, assistant, user, assistant, …
  std::vector<int32_t> text_;         // without a format: all of it
  std::vector<size_t> ends_;          // where it ended before each turn
  std::vector<int32_t> held_;         // what the model's cache holds
};

} // namespace weft
