#include "runtime/hugging_face/weight_index.h"
#include "runtime/data/unique_json.h"

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace weft {
namespace {

using nlohmann::json;

bool PlainName(const std::string &name) {
  return absl::EndsWith(name, ".safetensors") && name[0] != '.' &&
         name.find_first_of(std::string_view("/\0", 2)) == std::string::npos;
}

} // namespace

absl::StatusOr<std::map<std::string, std::string>> ParseWeightIndex(absl::string_view text) {
  std::string problem;
  json root = ParseUniqueObject<json>({text.data(), text.size()}, &problem);
  if (!problem.empty()) return absl::DataLossError(problem);
  auto map = root.find("weight_map");
  if (map == root.end() || !map->is_object()) return absl::DataLossError("has no object weight_map");
  std::map<std::string, std::string> files;
  for (const auto &[tensor, file] : map->items()) {
    if (!file.is_string() || !PlainName(file.get<std::string>()))
      return absl::DataLossError(absl::StrCat(
          "puts ", tensor, " into ", file.dump(-1, ' ', false, json::error_handler_t::replace).substr(0, 100),
          " when it should be the name of a .safetensors file in the same folder"));
    files[tensor] = file.get<std::string>();
  }
  return files;
}

std::string WeightIndexText(const std::map<std::string, std::string> &files, uint64_t total_bytes) {
  json root = {{"metadata", {{"total_size", total_bytes}}}, {"weight_map", json(files)}};
  return root.dump(2, ' ', false, json::error_handler_t::replace) + "\n";
}

} // namespace weft
