#include "runtime/text/chat_format.h"

#include <algorithm>

#include "runtime/data/file_io.h"
#include "runtime/data/json_depth.h"
#include "runtime/data/str_cat.h"
#include "runtime/data/unicode.h"

namespace weft {
namespace {

using Json = nlohmann::ordered_json;

constexpr uint64_t kMaxConfigBytes = 16 << 20, kMaxTemplateBytes = 1 << 20;

// What a message says between these is text, whatever it looks like. Both are noncharacters, which no text
// has; they are taken out of one that has them all the same.
constexpr std::string_view kTextBegin = "\xef\xb7\x90", kTextEnd = "\xef\xb7\x91"; // U+FDD0, U+FDD1

absl::StatusOr<Json> ParseObject(std::string_view text, const std::string &name) {
  if (JsonNestsDeeper(text))
    return absl::InvalidArgumentError(StrCat(name, " nests deeper than ", kMaxJsonDepth, " levels"));
  Json json = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (json.is_discarded()) return absl::InvalidArgumentError(StrCat(name, " is not valid JSON"));
  if (!json.is_object()) return absl::InvalidArgumentError(StrCat(name, " should be a JSON object"));
  return json;
}

// An empty object where there is no such file.
absl::StatusOr<Json> ReadObject(const std::string &path) {
  absl::StatusOr<std::string> text = ReadFile(path, kMaxConfigBytes);
  if (absl::IsNotFound(text.status())) return Json::object();
  if (!text.ok()) return text.status();
  return ParseObject(*text, path);
}

// A token as these files write it: its text, or an object with it.
std::optional<std::string> TokenText(const Json &token) {
  if (token.is_string()) return token.get<std::string>();
  if (!token.is_object()) return std::nullopt;
  const auto content = token.find("content");
  return content != token.end() && content->is_string() ? std::optional(content->get<std::string>())
                                                        : std::nullopt;
}

absl::StatusOr<std::string> TemplateOf(const Json &config, const std::string &name) {
  const auto found = config.find("chat_template");
  if (found == config.end() || found->is_null())
    return absl::NotFoundError(StrCat(name, " has no chat_template"));
  if (found->is_string()) return found->get<std::string>();
  std::string names;
  if (found->is_array())
    for (const Json &entry : *found) {
      if (!entry.is_object() || !entry.contains("name") || !entry["name"].is_string() ||
          !entry.contains("template") || !entry["template"].is_string())
        return absl::InvalidArgumentError(
            StrCat(name, ": an entry of chat_template should have a name and a template"));
      if (entry["name"] == "default") return entry["template"].get<std::string>();
      if (names.size() < 200)
        names += StrCat(names.empty() ? "" : ", ", entry["name"].get<std::string>().substr(0, 60));
    }
  if (names.empty())
    return absl::InvalidArgumentError(
        StrCat(name, ": chat_template should be a text, or a list of named ones"));
  return absl::InvalidArgumentError(
      StrCat(name, ": chat_template has no \"default\", only ", names, "\nhint: --template FILE gives one"));
}

// Valid UTF-8 without the marks.
std::string Clean(std::string_view text) {
  std::string out;
  for (size_t i = 0, length; i < text.size(); i += length) {
    const bool valid = DecodeUtf8(text, i, length) != kInvalidCodePoint;
    const std::string_view character = text.substr(i, length);
    if (character != kTextBegin && character != kTextEnd) out += valid ? character : "\xef\xbf\xbd";
  }
  return out;
}

// The same with the names of special tokens marked as text.
std::string Marked(std::string_view message, const Tokenizer &tokenizer) {
  const std::string clean = Clean(message);
  const std::string_view text = clean;
  std::string out;
  for (size_t i = 0; i < text.size();) {
    std::string_view name;
    for (const AddedToken &special : tokenizer.added_tokens())
      if (special.special && special.text.size() > name.size() &&
          text.substr(i, special.text.size()) == special.text)
        name = special.text;
    if (!name.empty()) out += kTextBegin;
    out += name.empty() ? text.substr(i, 1) : name;
    if (!name.empty()) out += kTextEnd;
    i += std::max<size_t>(name.size(), 1);
  }
  return out;
}

std::vector<int32_t> EncodeMarked(std::string_view text, const Tokenizer &tokenizer) {
  std::vector<int32_t> ids;
  bool plain = false;
  while (!text.empty()) {
    const size_t end = std::min({text.find(kTextBegin), text.find(kTextEnd), text.size()});
    const std::string_view piece = text.substr(0, end);
    const std::vector<int32_t> own = plain ? tokenizer.Encode(piece) : tokenizer.EncodeWithSpecials(piece);
    ids.insert(ids.end(), own.begin(), own.end());
    if (end == text.size()) break;
    plain = text.substr(end, 3) == kTextBegin;
    text.remove_prefix(end + 3);
  }
  return ids;
}

} // namespace

absl::StatusOr<ChatFormat> ChatFormat::FromText(std::string_view config, const std::string &name,
                                                std::string_view template_text,
                                                const std::string &template_name) {
  absl::StatusOr<Json> json = ParseObject(config, name);
  if (!json.ok()) return json.status();
  std::string source(template_text), source_name = template_name;
  if (template_text.empty()) {
    absl::StatusOr<std::string> found = TemplateOf(*json, name);
    if (!found.ok()) return found.status();
    source = *std::move(found), source_name = StrCat(name, ": chat_template");
  }
  absl::StatusOr<ChatTemplate> parsed = ChatTemplate::Parse(source, source_name);
  if (!parsed.ok()) return parsed.status();
  Json variables = Json::object();
  for (const char *token :
       {"bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"})
    if (json->contains(token))
      if (auto text = TokenText((*json)[token])) variables[token] = *text;
  return ChatFormat(*std::move(parsed), std::move(variables));
}

absl::StatusOr<ChatFormat> ChatFormat::Load(const std::string &folder, const std::string &template_file) {
  const std::string path = folder + "/tokenizer_config.json", beside = folder + "/chat_template.jinja";
  absl::StatusOr<std::string> config = ReadFile(path, kMaxConfigBytes);
  if (absl::IsNotFound(config.status()))
    config = "{}";
  else if (!config.ok())
    return config.status();
  const std::string file = template_file.empty() ? beside : template_file;
  absl::StatusOr<std::string> text = ReadFile(file, kMaxTemplateBytes);
  if (absl::IsNotFound(text.status()) && template_file.empty()) return FromText(*config, path, "", "");
  if (!text.ok()) return text.status();
  if (text->empty()) return absl::InvalidArgumentError(StrCat(file, " is empty"));
  return FromText(*config, path, *text, file);
}

absl::StatusOr<std::vector<int32_t>> ChatFormat::Prompt(absl::Span<const ChatMessage> messages,
                                                        const Tokenizer &tokenizer,
                                                        const std::tm &now) const {
  Json variables = variables_;
  variables["messages"] = Json::array();
  for (const ChatMessage &message : messages)
    variables["messages"].push_back(
        {{"role", message.role},
         {"content",
          message.role == "assistant" ? Clean(message.content) : Marked(message.content, tokenizer)}});
  variables["tools"] = nullptr, variables["documents"] = nullptr; // as transformers has them
  variables["add_generation_prompt"] = true;
  absl::StatusOr<std::string> text = template_.Render(variables, now);
  if (!text.ok()) return text.status();
  return EncodeMarked(*text, tokenizer);
}

absl::StatusOr<std::vector<int32_t>> LoadEndTokens(const std::string &folder, const Tokenizer &tokenizer) {
  std::vector<int32_t> ids;
  auto add = [&](const Json &id, const std::string &path) -> absl::Status {
    const bool whole =
        id.is_number_integer() && (!id.is_number_unsigned() || id.get<uint64_t>() <= INT64_MAX);
    if (!whole || id.get<int64_t>() < 0 || id.get<int64_t>() >= tokenizer.vocab_size())
      return absl::InvalidArgumentError(StrCat(path, ": eos_token_id should be an id below ",
                                               tokenizer.vocab_size(), ", or a list of such"));
    const auto value = static_cast<int32_t>(id.get<int64_t>());
    if (std::find(ids.begin(), ids.end(), value) == ids.end()) ids.push_back(value);
    return absl::OkStatus();
  };
  for (const char *file : {"/generation_config.json", "/config.json"}) {
    absl::StatusOr<Json> json = ReadObject(folder + file);
    if (!json.ok()) return json.status();
    const Json id = json->value("eos_token_id", Json());
    if (id.is_array() && id.size() > 64)
      return absl::InvalidArgumentError(StrCat(folder, file, ": eos_token_id lists more than 64 ids"));
    const bool none =
        id.is_null() || (id.is_number_integer() && !id.is_number_unsigned() && id.get<int64_t>() == -1);
    for (const Json &each : id.is_array() ? id : none ? Json::array() : Json::array({id}))
      if (absl::Status status = add(each, folder + file); !status.ok()) return status;
  }
  absl::StatusOr<Json> config = ReadObject(folder + "/tokenizer_config.json");
  if (!config.ok()) return config.status();
  if (const auto eos = TokenText(config->value("eos_token", Json())))
    if (const int32_t id = tokenizer.AddedId(*eos); id >= 0)
      if (absl::Status status = add(id, folder); !status.ok()) return status;
  return ids;
}

} // namespace weft
