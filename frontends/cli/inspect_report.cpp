#include "frontends/cli/inspect_report.h"
#include "frontends/cli/inspect_facts.h"
#include "frontends/cli/report.h"
#include "runtime/artifact/dtype.h"
#include "runtime/train/metrics.h"
#include "runtime/train/ranks.h"

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"

#include <algorithm>
#include <map>
#include <numeric>

namespace weft {
namespace {

using Rows = std::vector<std::vector<std::string>>;

// Sums over the variables of all stages; what two stages hold counts twice.
struct Totals {
  std::map<fb::VariableKind, int64_t> bytes, elements;
};

Totals Count(const fb::Artifact &artifact) {
  Totals totals;
  for (const fb::Stage *stage : *artifact.stages()) {
    if (!stage->variables()) continue;
    for (const fb::Variable *v : *stage->variables()) {
      totals.bytes[v->kind()] += v->bytes();
      totals.elements[v->kind()] += v->bytes() / std::max<int64_t>(1, ByteSize(v->dtype()));
    }
  }
  return totals;
}

// "#kernel.schedule<tile_m = 12, block_k = 0>" as "tile_m=12": the settings that say something.
std::string SettingsText(const std::string &attribute) {
  size_t begin = attribute.find('<'), end = attribute.rfind('>');
  if (attribute.empty() || attribute[0] != '#' || begin == std::string::npos || end < begin) return attribute;
  std::vector<std::string> settings;
  for (absl::string_view setting :
       absl::StrSplit(absl::string_view(attribute).substr(begin + 1, end - begin - 1), ", "))
    if (!absl::EndsWith(setting, " = 0"))
      settings.push_back(absl::StrReplaceAll(setting, {{" = ", "="}, {"\"", ""}}));
  return absl::StrJoin(settings, " ");
}

// "12.0 kB, 96 bytes a token": what generating keeps of the tokens before.
std::string CachesText(const fb::Artifact &artifact, double bytes) {
  int64_t context = 0;
  if (!absl::SimpleAtoi(ArtifactOption(artifact, "context"), &context) || context < 1)
    return BytesText(bytes);
  return absl::StrCat(BytesText(bytes), ", ", bytes / static_cast<double>(context), " bytes a token");
}

std::string Heading(const fb::Artifact &artifact, size_t stage) {
  return artifact.stages()->size() == 1 ? "" : absl::StrCat("stage ", stage, "\n");
}

} // namespace

static size_t NumTuned(const fb::Artifact &artifact) {
  size_t tuned = 0;
  if (artifact.kernels())
    for (const fb::Kernel *kernel : *artifact.kernels())
      tuned += kernel->tuned() && kernel->tuned()->size() > 0;
  return tuned;
}

std::string SummaryText(const LoadedArtifact &loaded) {
  const fb::Artifact &artifact = *loaded.root;
  Totals totals = Count(artifact);
  Rows rows = {{"file", absl::StrCat(loaded.path, ", ", BytesText(loaded.size))},
               {"model", Text(artifact.model())},
               {"parameters", absl::StrCat(CountText(totals.elements[fb::VariableKind::parameter]), ", ",
                                           BytesText(totals.bytes[fb::VariableKind::parameter]))},
               {"optimizer", BytesText(totals.bytes[fb::VariableKind::optimizer])},
               {"caches", CachesText(artifact, totals.bytes[fb::VariableKind::cache])},
               {"derived", BytesText(totals.bytes[fb::VariableKind::derived])},
               {"stages", absl::StrCat(artifact.stages()->size())},
               {"kernels", absl::StrCat(artifact.kernels() ? artifact.kernels()->size() : 0)}};
  std::vector<std::string> levels;
  if (artifact.objects())
    for (const fb::Object *object : *artifact.objects())
      levels.push_back(absl::StrCat(Text(object->level()), " (",
                                    BytesText(object->image() ? object->image()->size() : 0), ")"));
  rows.push_back({"objects", absl::StrJoin(levels, ", ")});
  if (artifact.options())
    for (const fb::Option *option : *artifact.options())
      rows.push_back({Text(option->key()), Text(option->value())});
  if (artifact.kernels())
    for (const fb::Kernel *kernel : *artifact.kernels())
      if (kernel->substituted() && kernel->substituted()->size() > 0)
        rows.push_back(
            {"substituted", absl::StrCat(Text(kernel->name()), ": ", Text(kernel->substituted()))});
  if (size_t tuned = NumTuned(artifact); tuned > 0)
    rows.push_back(
        {"tuned", absl::StrCat(tuned, " kernels have schedules chosen by measuring: --kernels, --remarks")});
  std::string out = TableText(rows, {}) + "\n";
  for (size_t s = 0; s < artifact.stages()->size(); ++s) {
    Rows entries = {{"entry", "arena", "arguments"}};
    if (const auto *list = artifact.stages()->Get(s)->entries())
      for (const fb::Entry *entry : *list) {
        std::vector<std::string> arguments;
        if (entry->arguments())
          for (const fb::Argument *a : *entry->arguments())
            arguments.push_back(absl::StrCat(a->kind() == fb::ArgumentKind::output ? "→ " : "",
                                             Text(a->name()), " ", DTypeText(a->dtype()), " ",
                                             ShapeText(a->shape()), a->dynamic() ? "*" : ""));
        entries.push_back({Text(entry->name()), BytesText(static_cast<double>(entry->arena_bytes())),
                           absl::StrJoin(arguments, ", ")});
      }
    out += Heading(artifact, s) + TableText(entries, {1}) + "\n";
  }
  return out + "* times the number of micro-batches. --params, --memory, --kernels, --remarks and --source "
               "say more.\n";
}

std::string ParamsText(const LoadedArtifact &loaded) {
  const fb::Artifact &artifact = *loaded.root;
  std::string out;
  for (size_t s = 0; s < artifact.stages()->size(); ++s) {
    Rows rows = {{"variable", "kind", "shape", "type", "init", "bytes", "in checkpoints"}};
    if (const auto *variables = artifact.stages()->Get(s)->variables())
      for (const fb::Variable *v : *variables)
        rows.push_back(
            {Text(v->name()), KindText(v->kind()), ShapeText(v->shape()), DTypeText(v->dtype()), InitText(*v),
             BytesText(v->bytes()),
             absl::StrCat(
                 Text(v->file_name()),
                 v->layers() > 0 && v->file_name() && v->file_name()->size() > 0
                     ? absl::StrCat(
                           " {", v->layer_begin(),
                           v->layers() > 1 ? absl::StrCat("..", v->layer_begin() + v->layers() - 1) : "", "}")
                     : "")});
    out += Heading(artifact, s) + TableText(rows, {5}) + "\n";
  }
  return out;
}

std::string MemoryText(const LoadedArtifact &loaded) {
  const fb::Artifact &artifact = *loaded.root;
  std::string out;
  for (size_t s = 0; s < artifact.stages()->size(); ++s) {
    const fb::Stage &stage = *artifact.stages()->Get(s);
    std::map<std::string, int64_t> kinds;
    if (stage.variables())
      for (const fb::Variable *v : *stage.variables()) kinds[KindText(v->kind())] += v->bytes();
    Rows rows = {{"memory of a rank", "bytes"}};
    for (const auto &[kind, bytes] : kinds) rows.push_back({kind, BytesText(bytes)});
    rows.push_back({"persistent, in all", BytesText(stage.persistent_bytes())});
    int64_t arena = 0;
    if (stage.entries())
      for (const fb::Entry *entry : *stage.entries()) {
        rows.push_back({"arena of " + Text(entry->name()), BytesText(entry->arena_bytes())});
        arena = std::max(arena, entry->arena_bytes());
      }
    rows.push_back({"arena (the largest)", BytesText(arena)});
    rows.push_back(
        {"together", BytesText(static_cast<double>(stage.persistent_bytes()) + static_cast<double>(arena))});
    out += Heading(artifact, s) + TableText(rows, {1}) + "\n";
  }
  if (artifact.peak() && artifact.peak()->size() > 0) {
    Rows rows = {{"at the arena's peak", "bytes", "line"}};
    for (const fb::PeakOwner *owner : *artifact.peak())
      rows.push_back({Text(owner->what()), BytesText(owner->bytes()), LineText(artifact, owner->line())});
    out += TableText(rows, {1}) + "\n";
  }
  return out;
}

std::string KernelsText(const LoadedArtifact &loaded) {
  const fb::Artifact &artifact = *loaded.root;
  if (!artifact.kernels() || artifact.kernels()->size() == 0) return "no kernels\n";
  std::vector<KernelUse> step = CountUses(artifact, "train_step"), all = CountUses(artifact, "");
  std::vector<int> order(step.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](int a, int b) { return step[a].flops > step[b].flops; });
  Rows rows = {{"kernel", "family", "launches", "flops", "bytes", "schedule", "reduction", "lines"}};
  for (int i : order) {
    const fb::Kernel &kernel = *artifact.kernels()->Get(i);
    std::vector<std::string> lines;
    if (kernel.lines())
      for (int32_t line : *kernel.lines())
        if (std::string text = LineText(artifact, line);
            std::find(lines.begin(), lines.end(), text) == lines.end())
          lines.push_back(text);
    if (lines.size() > 3) lines.resize(3), lines.push_back("…");
    rows.push_back(
        {Text(kernel.name()), Text(kernel.family()),
         absl::StrCat(step[i].launches, step[i].launches == 0 && all[i].launches ? "°" : ""),
         CountText(static_cast<double>(step[i].flops)), BytesText(static_cast<double>(step[i].bytes)),
         absl::StrCat(SettingsText(Text(kernel.schedule())), Text(kernel.tuned()).empty() ? "" : " *"),
         SettingsText(Text(kernel.reduction())), absl::StrJoin(lines, " ")});
  }
  return TableText(rows, {2, 3, 4}) +
         "\nlaunches, FLOPs and bytes of a training step with one micro-batch; ° = other entries only" +
         (NumTuned(artifact) > 0 ? "; * = chosen by measuring, --remarks says what it gains\n" : "\n");
}

// Equal remarks of one line stand once, with their number.
std::string RemarksText(const LoadedArtifact &loaded) {
  const fb::Artifact &artifact = *loaded.root;
  if (!artifact.remarks() || artifact.remarks()->size() == 0) return "no remarks\n";
  std::vector<std::pair<std::string, int>> lines;
  std::map<std::string, size_t> seen;
  for (const fb::Remark *remark : *artifact.remarks()) {
    std::string line = LineText(artifact, remark->line());
    line = absl::StrCat(line.empty() ? "" : line + ": ", Text(remark->pass()), ": ", Text(remark->kind()),
                        ": ", Text(remark->message()));
    auto [at, first] = seen.emplace(line, lines.size());
    if (first) lines.emplace_back(line, 0);
    ++lines[at->second].second;
  }
  std::string out;
  for (const auto &[line, times] : lines)
    absl::StrAppend(&out, line, times > 1 ? absl::StrCat(" (", times, " times)") : "", "\n");
  return out;
}

} // namespace weft
