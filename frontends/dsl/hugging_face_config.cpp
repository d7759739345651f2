#include "frontends/dsl/hugging_face_config.h"

#include "runtime/data/unique_json.h"

#include <cmath>
#include <set>

namespace weft {
namespace {

using nlohmann::ordered_json;

constexpr size_t kMaxConfigBytes = 16 << 20;
constexpr i64 kMaxInteger = (i64(1) << 31) - 1;

std::string shown(const ordered_json &value) {
  std::string text = value.dump(-1, ' ', false, ordered_json::error_handler_t::replace);
  return text.size() > 80 ? text.substr(0, 77) + "..." : text;
}

} // namespace

struct HuggingFaceConfig::Node {
  ordered_json object;
  std::string prefix; // "rope_scaling." in an object of that name
  std::set<std::string> read;

  // The member, or null where it is absent.
  const ordered_json &at(const std::string &key) {
    static const ordered_json null;
    read.insert(key);
    auto found = object.find(key);
    return found == object.end() ? null : *found;
  }
  [[noreturn]] void wrong(const std::string &key, const std::string &should) {
    const ordered_json &value = at(key);
    throw ModelError("config.json: " + prefix + key +
                     (value.is_null() ? " is missing" : " is " + shown(value)) + " when it should be " +
                     should);
  }
};

HuggingFaceConfig HuggingFaceConfig::parse(std::string_view text) {
  if (text.size() > kMaxConfigBytes)
    throw ModelError("config.json has " + std::to_string(text.size()) + " bytes when at most " +
                     std::to_string(kMaxConfigBytes) + " are read");
  std::string problem;
  ordered_json object = ParseUniqueObject<ordered_json>(text, &problem);
  if (!problem.empty()) throw ModelError("config.json " + problem);
  return HuggingFaceConfig(new Node{std::move(object), "", {}});
}

HuggingFaceConfig::~HuggingFaceConfig() { delete node_; }

bool HuggingFaceConfig::has(const std::string &key) const { return !node_->at(key).is_null(); }

i64 HuggingFaceConfig::integer(const std::string &key) const {
  const ordered_json &value = node_->at(key);
  if (!value.is_number_unsigned() || value.get<uint64_t>() > kMaxInteger)
    node_->wrong(key, "a whole number from 0 to " + std::to_string(kMaxInteger));
  return value.get<i64>();
}
i64 HuggingFaceConfig::integer(const std::string &key, i64 fallback) const {
  return has(key) ? integer(key) : fallback;
}

double HuggingFaceConfig::number(const std::string &key) const {
  const ordered_json &value = node_->at(key);
  if (!value.is_number() || !std::isfinite(value.get<double>())) node_->wrong(key, "a number");
  return value.get<double>();
}
double HuggingFaceConfig::number(const std::string &key, double fallback) const {
  return has(key) ? number(key) : fallback;
}

bool HuggingFaceConfig::flag(const std::string &key, bool fallback) const {
  const ordered_json &value = node_->at(key);
  if (value.is_null()) return fallback;
  if (!value.is_boolean()) node_->wrong(key, "true or false");
  return value.get<bool>();
}

std::string HuggingFaceConfig::text(const std::string &key, const std::string &fallback) const {
  const ordered_json &value = node_->at(key);
  if (value.is_null()) return fallback;
  if (!value.is_string()) node_->wrong(key, "text");
  return value.get<std::string>();
}

std::vector<std::string> HuggingFaceConfig::texts(const std::string &key) const {
  const ordered_json &value = node_->at(key);
  std::vector<std::string> list;
  if (value.is_null()) return list;
  if (!value.is_array()) node_->wrong(key, "a list of texts");
  for (const ordered_json &item : value) {
    if (!item.is_string()) node_->wrong(key, "a list of texts");
    list.push_back(item.get<std::string>());
  }
  return list;
}

HuggingFaceConfig HuggingFaceConfig::object(const std::string &key) const {
  const ordered_json &value = node_->at(key);
  if (!value.is_null() && !value.is_object()) node_->wrong(key, "an object");
  return HuggingFaceConfig(
      new Node{value.is_null() ? ordered_json::object() : value, node_->prefix + key + ".", {}});
}

void HuggingFaceConfig::refuse(const std::string &key, const std::string &instead) const {
  const ordered_json &value = node_->at(key);
  throw ModelError("config.json: " + node_->prefix + key +
                   (value.is_null() ? " is missing" : " is " + shown(value)) + " when " + instead);
}

void HuggingFaceConfig::require_off(const std::string &key, const std::string &instead) const {
  const ordered_json &value = node_->at(key);
  bool zero = value.is_number() && value.get<double>() == 0;
  if (value.is_null() || value == false || zero || (value.is_structured() && value.empty())) return;
  refuse(key, instead);
}

void HuggingFaceConfig::skip(const std::vector<std::string> &keys) const {
  node_->read.insert(keys.begin(), keys.end());
}

std::vector<std::string> HuggingFaceConfig::unread() const {
  std::vector<std::string> keys;
  for (const auto &[key, value] : node_->object.items())
    if (!node_->read.count(key) && !value.is_null()) keys.push_back(key);
  return keys;
}

} // namespace weft
