// The small files of a Hugging Face folder.
#pragma once

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

#include <nlohmann/json.hpp>

#include <cstdint>
#include <map>
#include <string>

namespace weft {

// Files beside tokenizer.json and the weights that go with a model wherever it goes, where they are there:
// what surrounds a conversation, and which tokens end a text.
inline constexpr const char *kCompanionFiles[] = {"tokenizer_config.json", "generation_config.json",
                                                  "special_tokens_map.json", "added_tokens.json",
                                                  "chat_template.jinja"};
inline constexpr uint64_t kMaxCompanionBytes = 256 << 20; // some list every token
// By name. Errors name the file.
absl::StatusOr<std::map<std::string, std::string>> ReadCompanionFiles(const std::string &folder);

// config.json or another file of one object, its keys in the file's order. Errors name the file.
absl::StatusOr<nlohmann::ordered_json> ReadJsonObject(const std::string &path);
std::string JsonText(const nlohmann::ordered_json &object);

// The keys of config.json that a tokenizer decides: ids of tokens.
inline constexpr const char *kTokenIdKeys[] = {"bos_token_id", "eos_token_id", "pad_token_id"};

} // namespace weft
