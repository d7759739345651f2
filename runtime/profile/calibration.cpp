#include "runtime/profile/calibration.h"
#include "runtime/data/file_io.h"
#include "runtime/data/unique_json.h"
#include "runtime/train/file_hash.h"

#include "absl/strings/str_cat.h"

#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <limits>

namespace weft {
namespace {

using nlohmann::json;

constexpr uint64_t kMostBytes = 1 << 20;
constexpr size_t kMostUnits = 16, kMostLevels = 16, kMostText = 400;

json RateJson(const Rate &rate) { return {{"one", rate.one}, {"all", rate.all}}; }

bool ReadRate(const json &value, Rate *rate) {
  if (!value.is_object() || !value.contains("one") || !value.contains("all")) return false;
  const json &one = value["one"], &all = value["all"];
  if (!one.is_number() || !all.is_number()) return false;
  *rate = {one.get<double>(), all.get<double>()};
  return std::isfinite(rate->one) && std::isfinite(rate->all) && rate->one > 0 && rate->all > 0;
}

bool ReadText(const json &object, const char *key, std::string *text) {
  if (!object.contains(key) || !object[key].is_string()) return false;
  *text = object[key].get<std::string>();
  return text->size() <= kMostText;
}

} // namespace

const Rate &Calibration::FlopsOf(const std::string &unit) const {
  auto found = flops.find(unit);
  return found == flops.end() ? flops.at("fma") : found->second;
}

std::string CalibrationJson(const Calibration &c) {
  json flops = json::object(), levels = json::array();
  for (const auto &[unit, rate] : c.flops) flops[unit] = RateJson(rate);
  for (const MemoryLevel &level : c.levels)
    levels.push_back({{"name", level.name}, {"bytes", level.bytes}, {"bytes_per_s", RateJson(level.rate)}});
  json root = {{"processor", c.processor}, {"cpu_level", c.cpu_level}, {"threads", c.threads},
               {"flops_per_s", flops},     {"levels", levels},         {"launch_ns", c.launch_ns},
               {"measured", c.measured},   {"disturbed", c.disturbed}};
  return root.dump(1, ' ', false, json::error_handler_t::replace);
}

absl::StatusOr<Calibration> ParseCalibration(std::string_view text, const std::string &name) {
  auto wrong = [&](const auto &...what) {
    return absl::InvalidArgumentError(absl::StrCat(name, " ", what...));
  };
  std::string problem;
  json root = ParseUniqueObject<json>(text, &problem);
  if (!problem.empty()) return wrong(problem);
  Calibration c;
  for (auto [key, field] : {std::pair("processor", &c.processor), std::pair("cpu_level", &c.cpu_level),
                            std::pair("measured", &c.measured)})
    if (!ReadText(root, key, field)) return wrong("has no text \"", key, "\"");
  if (!root.contains("disturbed") || !root["disturbed"].is_boolean()) return wrong("has no \"disturbed\"");
  c.disturbed = root["disturbed"].get<bool>();
  if (!root.contains("threads") || !root["threads"].is_number_integer()) return wrong("has no \"threads\"");
  const int64_t threads = root["threads"].is_number_unsigned() && root["threads"].get<uint64_t>() > INT32_MAX
                              ? -1
                              : root["threads"].get<int64_t>();
  if (threads < 1 || threads > 1 << 20) return wrong("has threads ", threads, " when it should be 1 or more");
  c.threads = static_cast<int>(threads);
  if (!root.contains("launch_ns") || !root["launch_ns"].is_number()) return wrong("has no \"launch_ns\"");
  c.launch_ns = root["launch_ns"].get<double>();
  if (!(c.launch_ns >= 0 && c.launch_ns < 1e12)) return wrong("has a launch_ns of ", c.launch_ns);
  const json flops = root.value("flops_per_s", json()), levels = root.value("levels", json());
  if (!flops.is_object() || !flops.contains("fma") || flops.size() > kMostUnits)
    return wrong("has no \"flops_per_s\" with \"fma\"");
  for (const auto &[unit, value] : flops.items())
    if (unit.size() > kMostText || !ReadRate(value, &c.flops[unit]))
      return wrong("flops_per_s.", unit.substr(0, 40), " is not {\"one\": RATE, \"all\": RATE}");
  if (!levels.is_array() || levels.empty() || levels.size() > kMostLevels)
    return wrong("has no \"levels\" of the memory");
  for (const json &value : levels) {
    MemoryLevel level;
    if (!value.is_object() || !ReadText(value, "name", &level.name) || !value.contains("bytes") ||
        !value["bytes"].is_number_integer() || !value.contains("bytes_per_s") ||
        !ReadRate(value["bytes_per_s"], &level.rate))
      return wrong("has a level without name, bytes or bytes_per_s");
    const json &bytes = value["bytes"];
    level.bytes =
        bytes.is_number_unsigned() && bytes.get<uint64_t>() > INT64_MAX ? INT64_MAX : bytes.get<int64_t>();
    if (level.bytes <= (c.levels.empty() ? 0 : c.levels.back().bytes))
      return wrong("has a level of ", level.bytes, " bytes when each should be larger than the one before");
    c.levels.push_back(level);
  }
  c.levels.back().bytes = INT64_MAX;
  return c;
}

std::string CalibrationPath(const Calibration &machine) {
  const std::string folder = UserCacheFolder();
  if (folder.empty()) return "";
  std::string key = absl::StrCat(machine.processor, "\n", machine.cpu_level, "\n", machine.threads);
  return absl::StrCat(folder, "/machine-", HashName(HashText(key)), ".json");
}

absl::StatusOr<Calibration> CachedCalibration(ThreadPool &pool, const std::string &cpu_level, bool again,
                                              void (*say)(const std::string &)) {
  Calibration key;
  key.processor = ProcessorName();
  key.cpu_level = cpu_level;
  key.threads = pool.size();
  const std::string path = CalibrationPath(key);
  if (!again && !path.empty()) {
    absl::StatusOr<std::string> text = ReadFile(path, kMostBytes);
    absl::StatusOr<Calibration> kept = text.ok() ? ParseCalibration(*text, path) : text.status();
    if (kept.ok() && kept->processor == key.processor && kept->cpu_level == cpu_level &&
        kept->threads == key.threads)
      return kept;
    if (!kept.ok() && !absl::IsNotFound(kept.status()))
      say(absl::StrCat("warning: ", std::string(kept.status().message()), "; the machine is measured again"));
  }
  say(absl::StrCat("measuring this machine: ", key.threads, key.threads == 1 ? " thread, " : " threads, ",
                   cpu_level));
  absl::StatusOr<Calibration> made = Calibrate(pool, cpu_level);
  if (made.ok() && made->disturbed)
    say("warning: other processes ran meanwhile: what was measured is too low, and not kept for the next "
        "time");
  if (!made.ok() || made->disturbed || path.empty()) return made;
  std::error_code error;
  std::filesystem::create_directories(std::filesystem::path(path).parent_path(), error);
  if (absl::Status status = WriteFileAtomically(path, CalibrationJson(*made)); !status.ok())
    say(absl::StrCat("warning: ", std::string(status.message()),
                     "; the machine is measured again next time"));
  return made;
}

} // namespace weft
