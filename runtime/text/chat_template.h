// Chat templates: how a tokenizer's model wants a conversation written, in the template language of Hugging
// Face's tokenizer_config.json (jinja2's, as `transformers` sets it up).
//
// Read are the statements set, if, for, macro, with, filter, raw, generation, break and continue, all
// expressions but * and ** in calls, and the filters, tests and methods in the tables of jinja_*filters.cpp,
// jinja_tests.cpp and jinja_methods.cpp. What else jinja2 has is refused by name; nothing that is accepted
// means something else here.
#pragma once

#include <ctime>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "nlohmann/json.hpp"
#include "runtime/text/jinja_value.h"

namespace weft {

// Immutable and cheap to copy; any number of threads may render one at once.
class ChatTemplate {
public:
  // `name` is what errors call it. InvalidArgument with the line of what is wrong or not read.
  static absl::StatusOr<ChatTemplate> Parse(std::string_view source, const std::string &name,
                                            const jinja::Limits &limits = {});

  // `variables`: an object; what the template sees by name: messages, add_generation_prompt, bos_token,
  // tools, …. `now` is what strftime_now tells. Errors name the template and the line: InvalidArgument, also
  // for its own raise_exception; ResourceExhausted when a limit was met.
  absl::StatusOr<std::string> Render(const nlohmann::ordered_json &variables, const std::tm &now) const;

  const std::string &source() const;

private:
  struct State;
  explicit ChatTemplate(std::shared_ptr<const State> state) : state_(std::move(state)) {}
  std::shared_ptr<const State> state_;
};

// The local time, for Render.
std::tm LocalNow();

} // namespace weft
