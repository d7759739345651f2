#include "compiler/tune/tuning_cache.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
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
extern const std::string_view code_generator, fusion_passes; // hashes of sources: compiler/CMakeLists.txt

using nlohmann::json;

constexpr uint64_t kMostBytes = 1 << 20;
constexpr int64_t kFormat = 1, kMostField = 1 << 20;
constexpr size_t kMostText = 200, kMostValues = 64;
constexpr const char *kFields[] = {"tile_m", "tile_n", "block_m", "block_n", "block_k"};

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

static json headJson(const TunedFor &t) {
  return {{"format", kFormat},          {"key", t.key},          {"ms", t.ms}, {"own_ms", t.ownMs},
          {"candidates", t.candidates}, {"measured", t.measured}};
}

static std::string textOf(const json &root) {
  return root.dump(1, ' ', false, json::error_handler_t::replace) + "\n";
}

std::string tunedJson(const TunedSchedule &t) {
  json root = headJson(t);
  root["schedule"] = fieldsJson(t.schedule);
  root["own"] = fieldsJson(t.own);
  return textOf(root);
}

std::string tunedJson(const TunedFusion &t) {
  json root = headJson(t);
  root["behind"] = t.behind;
  root["apart"] = t.apart;
  return textOf(root);
}

namespace {
// Reads a file's object; the first thing that is wrong stays.
class Reader {
public:
  Reader(std::string_view text, const std::string &name) : name(name) {
    std::string problem;
    root = ParseUniqueObject<json>(text, &problem);
    if (!problem.empty()) wrong(problem);
  }

  void head(TunedFor &t) {
    int64_t format = 0;
    if (!readInteger(root, "format", kFormat, kFormat, &format))
      return wrong("has no \"format\" of ", kFormat);
    if (!root.contains("key") || !root["key"].is_string()) return wrong("has no text \"key\"");
    t.key = root["key"].get<std::string>();
    for (auto [key, value] : {std::pair("ms", &t.ms), std::pair("own_ms", &t.ownMs)}) {
      if (!root.contains(key) || !root[key].is_number()) return wrong("has no number \"", key, "\"");
      *value = root[key].get<double>();
      if (!(*value > 0 && *value < 1e9))
        return wrong(key, " is ", *value, " when it should be positive milliseconds");
    }
    if (!readInteger(root, "candidates", 1, kMostField, &t.candidates)) return wrong("has no \"candidates\"");
    if (!root.contains("measured") || !root["measured"].is_string()) return wrong("has no text \"measured\"");
    t.measured = root["measured"].get<std::string>();
    if (t.measured.size() > kMostText) wrong("has a \"measured\" of ", t.measured.size(), " bytes");
  }

  void fields(const char *key, ScheduleFields &fields) {
    if (!root.contains(key) || !root[key].is_object()) return wrong("has no object \"", key, "\"");
    for (size_t i = 0; i < fields.size(); ++i)
      if (!readInteger(root[key], kFields[i], 0, kMostField, &fields[i]))
        return wrong(key, ".", kFields[i], " is no whole number from 0 to ", kMostField);
  }

  void numbers(const char *key, std::vector<int64_t> &numbers) {
    if (!root.contains(key) || !root[key].is_array()) return wrong("has no list \"", key, "\"");
    if (root[key].size() > kMostValues) return wrong(key, " has more than ", kMostValues, " numbers");
    for (const json &number : root[key]) {
      numbers.push_back(0);
      if (!readInteger({{"number", number}}, "number", 0, kMostField, &numbers.back()))
        return wrong(key, " holds what is no whole number from 0 to ", kMostField);
    }
  }

  absl::Status status;

private:
  template <typename... What> void wrong(const What &...what) {
    if (status.ok()) status = absl::InvalidArgumentError(absl::StrCat(name, " ", what...));
    root = json::object();
  }
  const std::string &name;
  json root;
};

std::string folderOf(const char *what) {
  const char *use = std::getenv("WEFT_TUNING_CACHE");
  if (use && std::string_view(use) == "off") return "";
  const std::string folder = UserCacheFolder();
  return folder.empty() ? "" : absl::StrCat(folder, "/", what);
}

template <typename Tuned>
absl::StatusOr<Tuned> load(const std::string &folder, const std::string &key,
                           absl::StatusOr<Tuned> (*parse)(std::string_view, const std::string &),
                           const char *what) {
  const std::string path = tuningPath(folder, key);
  if (path.empty()) return absl::NotFoundError("there is no cache");
  absl::StatusOr<std::string> text = ReadFile(path, kMostBytes);
  if (!text.ok()) return text.status();
  absl::StatusOr<Tuned> tuned = parse(*text, path);
  if (tuned.ok() && tuned->key != key)
    return absl::InvalidArgumentError(absl::StrCat(path, " is of another ", what, " or machine"));
  return tuned;
}

absl::Status store(const std::string &folder, const std::string &key, const std::string &text) {
  if (folder.empty()) return absl::OkStatus();
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error) return FileError("create", folder, error.value());
  return WriteFileAtomically(tuningPath(folder, key), text);
}
} // namespace

absl::StatusOr<TunedSchedule> parseTunedSchedule(std::string_view text, const std::string &name) {
  TunedSchedule t;
  Reader reader(text, name);
  reader.head(t);
  reader.fields("schedule", t.schedule);
  reader.fields("own", t.own);
  if (!reader.status.ok()) return reader.status;
  return t;
}

absl::StatusOr<TunedFusion> parseTunedFusion(std::string_view text, const std::string &name) {
  TunedFusion t;
  Reader reader(text, name);
  reader.head(t);
  reader.numbers("behind", t.behind);
  reader.numbers("apart", t.apart);
  if (!reader.status.ok()) return reader.status;
  return t;
}

std::string scheduleFolder() { return folderOf("schedules"); }
std::string fusionFolder() { return folderOf("fusions"); }
std::string tuningPath(const std::string &folder, const std::string &key) {
  return folder.empty() ? "" : absl::StrCat(folder, "/", HashName(HashText(key)), ".json");
}

absl::StatusOr<TunedSchedule> loadTunedSchedule(const std::string &key) {
  return load(scheduleFolder(), key, parseTunedSchedule, "kernel");
}
absl::StatusOr<TunedFusion> loadTunedFusion(const std::string &key) {
  return load(fusionFolder(), key, parseTunedFusion, "product");
}

absl::Status storeTuned(const TunedSchedule &t) { return store(scheduleFolder(), t.key, tunedJson(t)); }
absl::Status storeTuned(const TunedFusion &t) { return store(fusionFolder(), t.key, tunedJson(t)); }

std::string utcNow() { return absl::FormatTime("%Y-%m-%d %H:%M UTC", absl::Now(), absl::UTCTimeZone()); }

std::string machineKey(const std::string &level, int threads) {
  std::string out =
      absl::StrCat("code generator ", std::string(code_generator), ", LLVM " LLVM_VERSION_STRING "\n",
                   ProcessorName(), ", ", level, ", threads ", threads, ", caches");
  for (int name : {_SC_LEVEL1_DCACHE_SIZE, _SC_LEVEL2_CACHE_SIZE, _SC_LEVEL3_CACHE_SIZE})
    absl::StrAppend(&out, " ", sysconf(name));
  return out + "\n";
}

std::string fusionMachineKey(const std::string &level, int threads) {
  return absl::StrCat("fusing passes ", std::string(fusion_passes), ", ", machineKey(level, threads));
}

} // namespace weft
