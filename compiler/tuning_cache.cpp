#include "compiler/tuning_cache.h"
#include "absl/strings/str_cat.h"
#include "runtime/data/file_io.h"
#include "runtime/data/unique_json.h"
#include "runtime/profile/calibration.h"
#include "runtime/train/file_hash.h"
#include "llvm/Config/llvm-config.h"
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <unistd.h>

namespace weft {
extern const std::string_view code_generator; // a hash of its sources: compiler/CMakeLists.txt

using nlohmann::json;

constexpr uint64_t kMostBytes = 1 << 20;
constexpr int64_t kFormat = 1, kMostField = 1 << 20;
constexpr size_t kMostText = 200;
constexpr const char *kFields[] = {"tile_m", "tile_n", "block_m", "block_n", "block_k", "in_place"};

static json fieldsJson(const ScheduleFields &fields) {
  json out = json::object();
  for (size_t i = 0; i < fields.size(); ++i) out[kFields[i]] = fields[i];
  return out;
}

static bool readInteger(const json &object, const char *key, int64_t least, int64_t most, int64_t *value) {
  if (!object.contains(key) || !object[key].is_number_integer()) return false;
  const json &number = object[key];
  if (number.is_number_unsigned() && number.get<uint64_t>() > uint64_t(INT64_MAX)) return false;
  *value = number.get<int64_t>();
  return *value >= least && *value <= most;
}

std::string tunedScheduleJson(const TunedSchedule &t) {
  json root = {{"format", kFormat},
               {"key", t.key},
               {"schedule", fieldsJson(t.schedule)},
               {"own", fieldsJson(t.own)},
               {"ms", t.ms},
               {"own_ms", t.ownMs},
               {"candidates", t.candidates},
               {"measured", t.measured}};
  return root.dump(1, ' ', false, json::error_handler_t::replace) + "\n";
}

absl::StatusOr<TunedSchedule> parseTunedSchedule(std::string_view text, const std::string &name) {
  auto wrong = [&](const auto &...what) {
    return absl::InvalidArgumentError(absl::StrCat(name, " ", what...));
  };
  std::string problem;
  json root = ParseUniqueObject<json>(text, &problem);
  if (!problem.empty()) return wrong(problem);
  TunedSchedule t;
  int64_t format = 0;
  if (!readInteger(root, "format", kFormat, kFormat, &format)) return wrong("has no \"format\" of ", kFormat);
  if (!root.contains("key") || !root["key"].is_string()) return wrong("has no text \"key\"");
  t.key = root["key"].get<std::string>();
  for (auto [key, fields] : {std::pair("schedule", &t.schedule), std::pair("own", &t.own)}) {
    if (!root.contains(key) || !root[key].is_object()) return wrong("has no object \"", key, "\"");
    for (size_t i = 0; i < fields->size(); ++i)
      if (!readInteger(root[key], kFields[i], 0, kMostField, &(*fields)[i]))
        return wrong(key, ".", kFields[i], " is no whole number from 0 to ", kMostField);
  }
  for (auto [key, value] : {std::pair("ms", &t.ms), std::pair("own_ms", &t.ownMs)}) {
    if (!root.contains(key) || !root[key].is_number()) return wrong("has no number \"", key, "\"");
    *value = root[key].get<double>();
    if (!(*value > 0 && *value < 1e9))
      return wrong(key, " is ", *value, " when it should be positive milliseconds");
  }
  if (!readInteger(root, "candidates", 1, kMostField, &t.candidates)) return wrong("has no \"candidates\"");
  if (!root.contains("measured") || !root["measured"].is_string()) return wrong("has no text \"measured\"");
  t.measured = root["measured"].get<std::string>();
  if (t.measured.size() > kMostText) return wrong("has a \"measured\" of ", t.measured.size(), " bytes");
  return t;
}

std::string tuningFolder() {
  const char *use = std::getenv("WEFT_TUNING_CACHE");
  if (use && std::string_view(use) == "off") return "";
  const char *cache = std::getenv("XDG_CACHE_HOME"), *home = std::getenv("HOME");
  std::string folder = cache && *cache == '/' ? cache : home && *home ? absl::StrCat(home, "/.cache") : "";
  return folder.empty() ? "" : folder + "/weft/schedules";
}

std::string tuningPath(const std::string &key) {
  std::string folder = tuningFolder();
  return folder.empty() ? "" : absl::StrCat(folder, "/", HashName(HashText(key)), ".json");
}

absl::StatusOr<TunedSchedule> loadTuned(const std::string &key) {
  const std::string path = tuningPath(key);
  if (path.empty()) return absl::NotFoundError("there is no cache");
  absl::StatusOr<std::string> text = ReadFile(path, kMostBytes);
  if (!text.ok()) return text.status();
  absl::StatusOr<TunedSchedule> tuned = parseTunedSchedule(*text, path);
  if (tuned.ok() && tuned->key != key)
    return absl::InvalidArgumentError(path + " is of another kernel or machine");
  return tuned;
}

absl::Status storeTuned(const TunedSchedule &tuned) {
  const std::string path = tuningPath(tuned.key);
  if (path.empty()) return absl::OkStatus();
  std::error_code error;
  std::filesystem::create_directories(std::filesystem::path(path).parent_path(), error);
  if (error) return FileError("create", std::filesystem::path(path).parent_path().string(), error.value());
  return WriteFileAtomically(path, tunedScheduleJson(tuned));
}

std::string machineKey(const std::string &level, int threads) {
  std::string out =
      absl::StrCat("code generator ", std::string(code_generator), ", LLVM " LLVM_VERSION_STRING "\n",
                   ProcessorName(), ", ", level, ", threads ", threads, ", caches");
  for (int name : {_SC_LEVEL1_DCACHE_SIZE, _SC_LEVEL2_CACHE_SIZE, _SC_LEVEL3_CACHE_SIZE})
    absl::StrAppend(&out, " ", sysconf(name));
  return out + "\n";
}

} // namespace weft
