// What the page says of the artifact.
#include "runtime/report/page.h"

#include "absl/strings/str_cat.h"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <map>

namespace weft {
namespace {

using nlohmann::json;

constexpr size_t kMostOwners = 64, kMostText = 200;

std::string Text(const flatbuffers::String *string) {
  return string ? std::string(string->str(), 0, kMostText) : "";
}

const char *KindName(fb::VariableKind kind) {
  switch (kind) {
  case fb::VariableKind::parameter:
    return "parameters";
  case fb::VariableKind::optimizer:
    return "optimizer";
  case fb::VariableKind::cache:
    return "caches for generating";
  case fb::VariableKind::derived:
    return "weights rounded for generating";
  case fb::VariableKind::other:
    break;
  }
  return "other";
}

std::string LineText(const fb::Artifact &artifact, int32_t line) {
  if (line < 0 || !artifact.lines() || line >= static_cast<int32_t>(artifact.lines()->size())) return "";
  const fb::Line &l = *artifact.lines()->Get(line);
  std::string file = Text(l.file()), path = Text(l.module_path());
  return absl::StrCat(file.substr(file.rfind('/') + 1), ":", l.line(), path.empty() ? "" : " ", path);
}

} // namespace

json ArtifactJson(const fb::Artifact &artifact) {
  json stages = json::array(), peak = json::array(), remarks = json::array();
  if (artifact.stages())
    for (const fb::Stage *stage : *artifact.stages()) {
      std::map<std::string, int64_t> kinds;
      if (stage->variables())
        for (const fb::Variable *v : *stage->variables()) kinds[KindName(v->kind())] += v->bytes();
      json persistent = json::array(), arenas = json::array();
      for (const auto &[kind, bytes] : kinds) persistent.push_back({{"what", kind}, {"bytes", bytes}});
      if (stage->entries())
        for (const fb::Entry *entry : *stage->entries())
          arenas.push_back({{"what", Text(entry->name())}, {"bytes", entry->arena_bytes()}});
      stages.push_back({{"persistent", persistent}, {"arenas", arenas}});
    }
  if (artifact.peak()) {
    std::vector<const fb::PeakOwner *> owners(artifact.peak()->begin(), artifact.peak()->end());
    std::stable_sort(owners.begin(), owners.end(),
                     [](const fb::PeakOwner *a, const fb::PeakOwner *b) { return a->bytes() > b->bytes(); });
    for (size_t i = 0; i < std::min(owners.size(), kMostOwners); ++i)
      peak.push_back({{"what", Text(owners[i]->what())},
                      {"bytes", owners[i]->bytes()},
                      {"line", LineText(artifact, owners[i]->line())}});
  }
  std::map<std::pair<std::string, std::string>, int64_t> counts;
  if (artifact.remarks())
    for (const fb::Remark *remark : *artifact.remarks())
      ++counts[{Text(remark->pass()), Text(remark->kind())}];
  for (const auto &[key, count] : counts)
    remarks.push_back({{"pass", key.first}, {"kind", key.second}, {"count", count}});
  return {{"model", Text(artifact.model())},
          {"kernels", artifact.kernels() ? artifact.kernels()->size() : 0},
          {"stages", stages},
          {"peak", peak},
          {"remarks", remarks}};
}

} // namespace weft
