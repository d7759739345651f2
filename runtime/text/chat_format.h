// How a checkpoint's conversations are written: its chat template, the tokens by name that the template may
// use, and the tokens that end an answer.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "runtime/data/bpe.h"
#include "runtime/text/chat_template.h"

namespace weft {

struct ChatMessage {
  std::string role, content; // "system", "user" or "assistant"; UTF-8
};

class ChatFormat {
public:
  // The template is `template_file`, where given; otherwise FOLDER/chat_template.jinja, otherwise
  // chat_template of FOLDER/tokenizer_config.json: a text, or of several named ones "default". NotFound when
  // there is none.
  static absl::StatusOr<ChatFormat> Load(const std::string &folder, const std::string &template_file = "");
  // From the text of a tokenizer_config.json and, where not empty, of a template; `name` and `template_name`
  // are what errors call them.
  static absl::StatusOr<ChatFormat> FromText(std::string_view config, const std::string &name,
                                             std::string_view template_text,
                                             const std::string &template_name);

  // What the model reads before it answers. The names of special tokens become their ids where the template
  // writes them; within a user's or system's message they are text like any other.
  absl::StatusOr<std::vector<int32_t>> Prompt(absl::Span<const ChatMessage> messages,
                                              const Tokenizer &tokenizer, const std::tm &now) const;

private:
  ChatFormat(ChatTemplate chat_template, nlohmann::ordered_json variables)
      : template_(std::move(chat_template)), variables_(std::move(variables)) {}
  ChatTemplate template_;
  nlohmann::ordered_json variables_; // bos_token, eos_token, …
};

// The tokens that end an answer: eos_token_id of FOLDER/generation_config.json and config.json (a number or a
// list), and eos_token of tokenizer_config.json; those of the files that are there. Ids out of the vocabulary
// are errors.
absl::StatusOr<std::vector<int32_t>> LoadEndTokens(const std::string &folder, const Tokenizer &tokenizer);

} // namespace weft
