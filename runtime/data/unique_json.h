// JSON objects from files: bounded in depth, and no key twice, where a library would take the last one
// silently.
#pragma once

#include "runtime/data/json_depth.h"

#include <nlohmann/json.hpp>

#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace weft {

// The object that `text` is. Otherwise `problem` says why, after what the file or its part is called: "is not
// a JSON object". Json: nlohmann::json or ordered_json.
template <class Json> Json ParseUniqueObject(std::string_view text, std::string *problem) {
  std::vector<std::set<std::string>> keys;
  std::string twice;
  auto callback = [&](int, typename Json::parse_event_t event, Json &value) {
    if (event == Json::parse_event_t::object_start) keys.emplace_back();
    if (event == Json::parse_event_t::object_end) keys.pop_back();
    if (event == Json::parse_event_t::key) {
      std::string key = value.template get<std::string>();
      if (!keys.back().insert(key).second && twice.empty()) twice = key;
    }
    return true;
  };
  problem->clear();
  Json parsed = Json::parse(text, callback, /*allow_exceptions=*/false);
  if (parsed.is_discarded() || !parsed.is_object())
    *problem = "is not a JSON object";
  else if (JsonNestsDeeper(text))
    *problem = "nests deeper than " + std::to_string(kMaxJsonDepth) + " levels";
  else if (!twice.empty())
    *problem = "names " + twice + " twice";
  return parsed;
}

} // namespace weft
