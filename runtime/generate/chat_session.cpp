#include "runtime/generate/chat_session.h"

#include "absl/strings/str_cat.h"

#include <algorithm>

namespace weft {

void ChatSession::Reset() {
  messages_.clear();
  text_.clear();
  ends_.clear();
}

bool ChatSession::Undo() {
  if (num_turns() == 0) return false;
  if (format_) {
    messages_.resize(messages_.size() - 2);
  } else {
    text_.resize(ends_.back());
    ends_.pop_back();
  }
  return true;
}

void ChatSession::SetSystem(std::string text) { system_ = std::move(text); }

int64_t ChatSession::AnswerRoom() const { return std::min(options_.max_tokens, model_.context() / 4); }

absl::StatusOr<std::vector<int32_t>> ChatSession::Prompt(const std::vector<ChatMessage> &messages) const {
  std::vector<ChatMessage> all;
  if (!system_.empty()) all.push_back({"system", system_});
  all.insert(all.end(), messages.begin(), messages.end());
  return format_->Prompt(all, tokenizer_, LocalNow());
}

absl::StatusOr<ChatAnswer> ChatSession::Answer(const std::vector<int32_t> &prompt,
                                               const std::function<bool(const std::string &)> &on_text) {
  ChatAnswer answer;
  answer.prompt_tokens = static_cast<int64_t>(prompt.size());
  const auto differs = std::mismatch(held_.begin(), held_.end(), prompt.begin(), prompt.end());
  GenerateOptions options = options_;
  options.fed = answer.reused_tokens = differs.first - held_.begin();
  held_.clear(); // of what an error leaves in the cache nothing is known
  absl::StatusOr<GenerateResult> result = Generate(model_, tokenizer_, prompt, options, on_text);
  if (!result.ok()) return result.status();
  held_ = prompt;
  held_.insert(held_.end(), result->tokens.begin(), result->tokens.end());
  held_.resize(result->held);
  answer.result = *std::move(result);
  return answer;
}

absl::StatusOr<ChatAnswer> ChatSession::SayInFormat(const std::string &message,
                                                    const std::function<bool(const std::string &)> &on_text) {
  std::vector<ChatMessage> messages = messages_;
  messages.push_back({"user", message});
  absl::StatusOr<std::vector<int32_t>> prompt = Prompt(messages);
  if (!prompt.ok()) return prompt.status();
  int64_t dropped = 0;
  if (static_cast<int64_t>(prompt->size()) + AnswerRoom() > model_.context())
    while (messages.size() > 2 && static_cast<int64_t>(prompt->size()) > model_.context() / 2) {
      messages.erase(messages.begin(), messages.begin() + 2);
      ++dropped;
      prompt = Prompt(messages);
      if (!prompt.ok()) return prompt.status();
    }
  if (static_cast<int64_t>(prompt->size()) > model_.context())
    return absl::ResourceExhaustedError(
        absl::StrCat("the message has ", prompt->size(), " tokens, with its template",
                     system_.empty() ? "" : " and the system prompt", ", when the model's context holds ",
                     model_.context(), "\nhint: shorten it"));
  absl::StatusOr<ChatAnswer> answer = Answer(*prompt, on_text);
  if (!answer.ok()) return answer.status();
  answer->dropped_turns = dropped;
  if (answer->result.reason == StopReason::cancelled && answer->result.tokens.empty())
    return answer; // as if not said
  messages.push_back({"assistant", answer->result.text});
  messages_ = std::move(messages);
  return answer;
}

absl::StatusOr<ChatAnswer> ChatSession::Continue(const std::string &message,
                                                 const std::function<bool(const std::string &)> &on_text) {
  std::vector<int32_t> text = text_;
  const std::vector<int32_t> own =
      text.empty() ? EncodePrompt(tokenizer_, message) : tokenizer_.EncodeWithSpecials(message);
  text.insert(text.end(), own.begin(), own.end());
  const bool cut = static_cast<int64_t>(text.size()) + AnswerRoom() > model_.context() && !text_.empty();
  size_t dropped = 0;
  if (cut) {
    dropped = text.size() - std::min<size_t>(text.size(), std::max<int64_t>(model_.context() / 2, 1));
    text.erase(text.begin(), text.begin() + static_cast<int64_t>(dropped));
  }
  absl::StatusOr<ChatAnswer> answer = Answer(text, on_text);
  if (!answer.ok()) return answer.status();
  answer->cut = dropped > 0;
  if (answer->result.reason == StopReason::cancelled && answer->result.tokens.empty()) return answer;
  if (dropped > 0) ends_.clear(); // turns before this one cannot come back
  ends_.push_back(dropped > 0 ? 0 : text_.size());
  const bool ended = answer->result.reason == StopReason::end_of_text;
  text.insert(text.end(), answer->result.tokens.begin(), answer->result.tokens.end() - (ended ? 1 : 0));
  text_ = std::move(text);
  return answer;
}

absl::StatusOr<ChatAnswer> ChatSession::Say(const std::string &message,
                                            const std::function<bool(const std::string &)> &on_text) {
  return format_ ? SayInFormat(message, on_text) : Continue(message, on_text);
}

} // namespace weft
