#include "runtime/train/hugging_face_files.h"
#include "runtime/data/file_io.h"
#include "runtime/data/unique_json.h"

#include "absl/strings/str_cat.h"

namespace weft {
absl::StatusOr<std::map<std::string, std::string>> ReadCompanionFiles(const std::string &folder) {
  std::map<std::string, std::string> files;
  for (const char *name : kCompanionFiles) {
    absl::StatusOr<std::string> text = ReadFile(absl::StrCat(folder, "/", name), kMaxCompanionBytes);
    if (absl::IsNotFound(text.status())) continue;
    if (!text.ok()) return text.status();
    files[name] = *std::move(text);
  }
  return files;
}

absl::StatusOr<nlohmann::ordered_json> ReadJsonObject(const std::string &path) {
  absl::StatusOr<std::string> text = ReadFile(path, kMaxCompanionBytes);
  if (!text.ok()) return text.status();
  std::string problem;
  auto object = ParseUniqueObject<nlohmann::ordered_json>(*text, &problem);
  if (!problem.empty()) return absl::DataLossError(absl::StrCat(path, " ", problem));
  return object;
}

std::string JsonText(const nlohmann::ordered_json &object) {
  return object.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
}

} // namespace weft
