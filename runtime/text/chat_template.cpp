#include "runtime/text/chat_template.h"

#include "runtime/data/str_cat.h"
#include "runtime/data/unicode.h"
#include "runtime/text/jinja_evaluator.h"

namespace weft {

struct ChatTemplate::State {
  std::string name, source;
  jinja::Limits limits;
  jinja::Tree tree;
};

namespace {

absl::Status StatusOf(const std::string &name, const jinja::Error &error) {
  const std::string message = StrCat(name, error.line > 0 ? StrCat(":", error.line) : "", ": ",
                                     error.raised ? "the template refuses this: " : "", error.message);
  return error.limited ? absl::ResourceExhaustedError(message) : absl::InvalidArgumentError(message);
}

} // namespace

absl::StatusOr<ChatTemplate> ChatTemplate::Parse(std::string_view source, const std::string &name,
                                                 const jinja::Limits &limits) {
  if (source.size() > limits.template_bytes)
    return absl::ResourceExhaustedError(
        StrCat(name, " has ", source.size(), " bytes when ", limits.template_bytes, " is the most"));
  if (!IsValidUtf8(source)) return absl::InvalidArgumentError(StrCat(name, " is not valid UTF-8"));
  auto state = std::make_shared<State>();
  state->name = name, state->source = std::string(source), state->limits = limits;
  try {
    state->tree = jinja::Parse(source, limits);
  } catch (const jinja::Error &error) {
    return StatusOf(name, error);
  }
  return ChatTemplate(std::move(state));
}

absl::StatusOr<std::string> ChatTemplate::Render(const nlohmann::ordered_json &variables,
                                                 const std::tm &now) const {
  jinja::Budget budget(state_->limits);
  jinja::Evaluator evaluator(state_->tree, budget, now);
  try {
    for (const auto &[name, value] : variables.items())
      evaluator.SetVariable(name, jinja::FromJson(value, budget));
    return evaluator.Run();
  } catch (jinja::Error &error) {
    if (error.line == 0) error.line = evaluator.line();
    return StatusOf(state_->name, error);
  }
}

const std::string &ChatTemplate::source() const { return state_->source; }

std::tm LocalNow() {
  const std::time_t now = std::time(nullptr);
  std::tm local{};
  localtime_r(&now, &local);
  return local;
}

} // namespace weft
