#include "frontends/cli/inspect_facts.h"
#include "frontends/cli/inspect_report.h"

#include <nlohmann/json.hpp>

namespace weft {
namespace {

using nlohmann::json;

json ShapeJson(const flatbuffers::Vector<int64_t> *shape) {
  return shape ? json(std::vector<int64_t>(shape->begin(), shape->end())) : json::array();
}

json StageJson(const fb::Stage &stage) {
  json variables = json::array(), entries = json::array();
  if (stage.variables())
    for (const fb::Variable *v : *stage.variables())
      variables.push_back({{"name", Text(v->name())},
                           {"file_name", Text(v->file_name())},
                           {"kind", KindText(v->kind())},
                           {"dtype", DTypeText(v->dtype())},
                           {"shape", ShapeJson(v->shape())},
                           {"layers", v->layers()},
                           {"layer_begin", v->layer_begin()},
                           {"init", InitText(*v)},
                           {"bytes", v->bytes()}});
  if (stage.entries())
    for (const fb::Entry *entry : *stage.entries()) {
      json arguments = json::array();
      if (entry->arguments())
        for (const fb::Argument *a : *entry->arguments())
          arguments.push_back({{"name", Text(a->name())},
                               {"kind", a->kind() == fb::ArgumentKind::output ? "output" : "input"},
                               {"dtype", DTypeText(a->dtype())},
                               {"shape", ShapeJson(a->shape())},
                               {"dynamic", a->dynamic()}});
      entries.push_back(
          {{"name", Text(entry->name())}, {"arguments", arguments}, {"arena_bytes", entry->arena_bytes()}});
    }
  return {{"persistent_bytes", stage.persistent_bytes()}, {"variables", variables}, {"entries", entries}};
}

json KernelsJson(const fb::Artifact &artifact) {
  json kernels = json::array();
  std::vector<KernelUse> step = CountUses(artifact, "train_step"), all = CountUses(artifact, "");
  for (size_t i = 0; i < all.size(); ++i) {
    const fb::Kernel &kernel = *artifact.kernels()->Get(i);
    json lines = json::array();
    if (kernel.lines())
      for (int32_t line : *kernel.lines()) lines.push_back(LineText(artifact, line));
    kernels.push_back(
        {{"name", Text(kernel.name())},
         {"family", Text(kernel.family())},
         {"schedule", Text(kernel.schedule())},
         {"reduction", Text(kernel.reduction())},
         {"scratch_bytes", kernel.scratch_bytes()},
         {"substituted", Text(kernel.substituted())},
         {"tuned", Text(kernel.tuned())},
         {"train_step", {{"launches", step[i].launches}, {"flops", step[i].flops}, {"bytes", step[i].bytes}}},
         {"launches", all[i].launches},
         {"lines", lines}});
  }
  return kernels;
}

} // namespace

std::string InspectJson(const LoadedArtifact &loaded) {
  const fb::Artifact &artifact = *loaded.root;
  json options = json::object(), stages = json::array(), remarks = json::array(), peak = json::array(),
       objects = json::array();
  if (artifact.options())
    for (const fb::Option *option : *artifact.options()) options[Text(option->key())] = Text(option->value());
  for (const fb::Stage *stage : *artifact.stages()) stages.push_back(StageJson(*stage));
  if (artifact.remarks())
    for (const fb::Remark *r : *artifact.remarks())
      remarks.push_back({{"pass", Text(r->pass())},
                         {"kind", Text(r->kind())},
                         {"message", Text(r->message())},
                         {"line", LineText(artifact, r->line())}});
  if (artifact.peak())
    for (const fb::PeakOwner *p : *artifact.peak())
      peak.push_back(
          {{"what", Text(p->what())}, {"bytes", p->bytes()}, {"line", LineText(artifact, p->line())}});
  if (artifact.objects())
    for (const fb::Object *o : *artifact.objects())
      objects.push_back({{"level", Text(o->level())}, {"bytes", o->image() ? o->image()->size() : 0}});
  json root = {{"path", loaded.path},
               {"bytes", loaded.size},
               {"format_version", artifact.format_version()},
               {"model", Text(artifact.model())},
               {"options", options},
               {"stages", stages},
               {"kernels", KernelsJson(artifact)},
               {"objects", objects},
               {"peak", peak},
               {"remarks", remarks}};
  return root.dump(2, ' ', false, json::error_handler_t::replace) + "\n";
}

} // namespace weft
