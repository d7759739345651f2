#include "frontends/cli/inspect_facts.h"

#include "runtime/train/nearest.h"

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

#include <algorithm>

namespace weft {
namespace {

void Count(const flatbuffers::Vector<flatbuffers::Offset<fb::Instruction>> *body, int64_t times,
           std::vector<KernelUse> &uses) {
  if (!body) return;
  for (const fb::Instruction *instruction : *body) {
    if (const fb::Launch *launch = instruction->op_as_Launch()) {
      KernelUse &use = uses[launch->kernel()];
      use.launches += times;
      use.flops += times * launch->flops();
      use.bytes += times * launch->bytes();
    } else if (const fb::Loop *loop = instruction->op_as_Loop()) {
      Count(loop->body(),
            loop->count_argument() >= 0 ? times : times * std::max<int64_t>(0, loop->end() - loop->begin()),
            uses);
    }
  }
}

} // namespace

std::vector<KernelUse> CountUses(const fb::Artifact &artifact, const std::string &entry) {
  std::vector<KernelUse> uses(artifact.kernels() ? artifact.kernels()->size() : 0);
  for (const fb::Stage *stage : *artifact.stages()) {
    if (!stage->entries()) continue;
    for (const fb::Entry *e : *stage->entries())
      if (entry.empty() || e->name()->str() == entry) Count(e->body(), 1, uses);
  }
  return uses;
}

absl::StatusOr<int> FindKernel(const fb::Artifact &artifact, const std::string &name) {
  std::vector<std::string> names, candidates;
  int found = -1;
  if (artifact.kernels())
    for (const fb::Kernel *kernel : *artifact.kernels()) {
      names.push_back(Text(kernel->name()));
      if (names.back() == name) return static_cast<int>(names.size()) - 1;
      if (name.empty() || !absl::StartsWith(names.back(), name)) continue;
      found = static_cast<int>(names.size()) - 1;
      candidates.push_back(names.back());
    }
  if (candidates.size() == 1) return found;
  if (candidates.empty()) {
    std::string nearest = Nearest(name, names);
    return absl::NotFoundError(absl::StrCat("there is no kernel ", name, "\nhint: ",
                                            nearest.empty() ? "weft inspect --kernels lists them"
                                                            : absl::StrCat("did you mean ", nearest, "?")));
  }
  const size_t count = candidates.size();
  if (count > 8) candidates.resize(8), candidates.push_back("…");
  return absl::InvalidArgumentError(absl::StrCat(count, " kernels have names that begin with ", name, ": ",
                                                 absl::StrJoin(candidates, ", ")));
}

std::string Text(const flatbuffers::String *string) { return string ? string->str() : ""; }

std::string DTypeText(fb::DType dtype) {
  switch (dtype) {
  case fb::DType::f32:
    return "f32";
  case fb::DType::f64:
    return "f64";
  case fb::DType::i32:
    return "i32";
  case fb::DType::i64:
    return "i64";
  case fb::DType::boolean:
    return "bool";
  case fb::DType::bf16:
    return "bf16";
  }
  return "?";
}

std::string KindText(fb::VariableKind kind) {
  switch (kind) {
  case fb::VariableKind::parameter:
    return "parameter";
  case fb::VariableKind::optimizer:
    return "optimizer";
  case fb::VariableKind::cache:
    return "cache";
  case fb::VariableKind::other:
    return "other";
  case fb::VariableKind::derived:
    return "derived";
  }
  return "?";
}

std::string InitText(const fb::Variable &variable) {
  switch (variable.init()) {
  case fb::InitKind::zeros:
    return "zeros";
  case fb::InitKind::ones:
    return "ones";
  case fb::InitKind::normal:
    return absl::StrCat("normal ", variable.init_scale());
  case fb::InitKind::uniform:
    return absl::StrCat("uniform ±", variable.init_scale());
  case fb::InitKind::constant:
    return absl::StrCat("constant ", variable.init_scale());
  }
  return "?";
}

std::string LineText(const fb::Artifact &artifact, int32_t line) {
  if (line < 0 || !artifact.lines() || line >= static_cast<int32_t>(artifact.lines()->size())) return "";
  const fb::Line &l = *artifact.lines()->Get(line);
  std::string file = Text(l.file()), path = Text(l.module_path());
  return absl::StrCat(file.substr(file.rfind('/') + 1), ":", l.line(),
                      path.empty() ? "" : absl::StrCat(" (", path, ")"));
}

} // namespace weft
