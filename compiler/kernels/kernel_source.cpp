#include "compiler/kernels/kernel_source.h"
#include "passes/codegen/cpu/compile.h"
#include "passes/codegen/cpu/emit.h"
#include "runtime/device/cpu.h"
#include "runtime/train/file_hash.h"
#include <fstream>

using namespace mlir;
namespace weft {

program::KernelOp findKernel(ModuleOp module, StringRef name) {
  for (auto kernel : module.getOps<program::KernelOp>())
    if (kernel.getSymName() == name) return kernel;
  return nullptr;
}

std::variant<const cpu::CpuLevel *, std::string> chooseLevel(const LoadedArtifact &artifact,
                                                             const std::string &wanted) {
  std::string have;
  const cpu::CpuLevel *best = nullptr, *last = nullptr;
  const CpuLevel machine = DetectCpuLevel();
  for (const cpu::CpuLevel *level : cpu::cpuLevels()) {
    bool there = false;
    if (artifact->objects())
      for (const fb::Object *object : *artifact->objects()) there |= object->level()->c_str() == level->name;
    if (!there) continue;
    have += (have.empty() ? "" : ", ") + level->name.str();
    if (level->name == wanted) return level;
    last = level;
    for (int l = int(CpuLevel::avx2); l <= int(machine); ++l)
      if (level->name == CpuLevelName(CpuLevel(l))) best = level;
  }
  if (!wanted.empty() || !last)
    return artifact.path + ": has code for " + (have.empty() ? "no level" : have) +
           (wanted.empty()
                ? ""
                : " when cpu level '" + wanted + "' was asked for: compile with --target cpu:" + wanted);
  return best ? best : last;
}

static std::string textOf(program::KernelOp kernel) {
  std::string text;
  llvm::raw_string_ostream(text) << kernel;
  return text + "\n";
}

std::vector<KernelTextLine> kernelText(program::KernelOp kernel) {
  std::vector<KernelTextLine> lines;
  std::string text = textOf(kernel);
  SmallVector<StringRef> split;
  StringRef(text).trim().split(split, '\n');
  for (StringRef line : split) lines.push_back({line.str(), {}});
  // Parsed again, the ops' places are those in the text: in the same order, they are the same ops.
  auto again = parseKernels(*kernel.getContext(), text, "kernel");
  if (!std::holds_alternative<OwningOpRef<ModuleOp>>(again)) return lines;
  SmallVector<Operation *> ops, places;
  kernel->walk<WalkOrder::PreOrder>([&](Operation *op) { ops.push_back(op); });
  (*std::get<OwningOpRef<ModuleOp>>(again))->walk<WalkOrder::PreOrder>([&](Operation *op) {
    if (!isa<ModuleOp>(op)) places.push_back(op);
  });
  if (ops.size() != places.size()) return lines;
  for (auto [op, place] : llvm::zip(ops, places)) {
    auto at = dyn_cast<FileLineColLoc>(place->getLoc());
    if (!at || at.getLine() < 1 || at.getLine() > lines.size() || isa<program::KernelOp>(op)) continue;
    addOrigins(op->getLoc(), lines[at.getLine() - 1].origins);
  }
  return lines;
}

static void gather(const flatbuffers::Vector<flatbuffers::Offset<fb::Instruction>> *body, int kernel,
                   int64_t times, bool eachBatch, const std::string &entry, std::vector<LaunchGroup> &out) {
  if (!body) return;
  for (const fb::Instruction *instruction : *body) {
    if (const fb::Loop *loop = instruction->op_as_Loop()) {
      bool counted = loop->count_argument() >= 0;
      gather(loop->body(), kernel,
             counted ? times : times * std::max<int64_t>(0, loop->end() - loop->begin()),
             eachBatch || counted, entry, out);
    }
    const fb::Launch *launch = instruction->op_as_Launch();
    if (!launch || launch->kernel() != kernel) continue;
    auto same = llvm::find_if(out, [&](const LaunchGroup &g) {
      auto sizes = [](const fb::Launch &l) {
        return l.sizes() ? std::vector<int64_t>(l.sizes()->begin(), l.sizes()->end())
                         : std::vector<int64_t>();
      };
      return g.entry == entry && g.eachBatch == eachBatch && g.launch->line() == launch->line() &&
             sizes(*g.launch) == sizes(*launch);
    });
    if (same == out.end())
      out.push_back({launch, entry, times, eachBatch});
    else
      same->times += times;
  }
}

std::vector<LaunchGroup> launchesOf(const fb::Artifact &artifact, int kernel) {
  std::vector<LaunchGroup> out;
  for (const fb::Stage *stage : *artifact.stages())
    if (stage->entries())
      for (const fb::Entry *entry : *stage->entries())
        gather(entry->body(), kernel, 1, false, entry->name()->str(), out);
  return out;
}

static std::vector<ModelLine> modelLines(const fb::Artifact &artifact, const fb::Kernel &kernel) {
  std::vector<ModelLine> out;
  if (!kernel.lines() || !artifact.lines()) return out;
  std::map<std::string, std::pair<std::vector<std::string>, bool>> files; // lines, and whether it has changed
  for (int32_t number : *kernel.lines()) {
    if (number < 0) continue;
    const fb::Line &line = *artifact.lines()->Get(number);
    ModelLine m{line.file() ? line.file()->str() : "", line.module_path() ? line.module_path()->str() : "",
                line.line(), line.column()};
    auto [it, fresh] = files.try_emplace(m.file);
    if (fresh) {
      std::ifstream in(m.file);
      for (std::string text; it->second.first.size() < 100000 && std::getline(in, text);)
        it->second.first.push_back(text);
      if (artifact.sources())
        for (const fb::SourceFile *source : *artifact.sources())
          if (source->file() && source->file()->string_view() == m.file && source->hash()) {
            auto now = HashFile(m.file);
            it->second.second = now.ok() && now->hash != source->hash();
          }
    }
    auto &[texts, changed] = it->second;
    if (m.line >= 1 && size_t(m.line) <= texts.size()) m.text = StringRef(texts[m.line - 1]).trim().str();
    m.changed = changed;
    out.push_back(std::move(m));
  }
  llvm::stable_sort(out, [](const ModelLine &a, const ModelLine &b) {
    return std::tie(a.file, a.line) < std::tie(b.file, b.line);
  });
  return out;
}

std::variant<KernelSource, std::string> kernelSource(MLIRContext &context, const LoadedArtifact &artifact,
                                                     int number, std::string wanted) {
  auto chosen = chooseLevel(artifact, wanted);
  if (auto *problem = std::get_if<std::string>(&chosen)) return *problem;
  const cpu::CpuLevel &level = *std::get<const cpu::CpuLevel *>(chosen);
  auto unpacked = unpackKernels(context, artifact);
  if (auto *problem = std::get_if<std::string>(&unpacked)) return *problem;
  const fb::Kernel &kernel = *artifact->kernels()->Get(number);
  program::KernelOp op = findKernel(*std::get<OwningOpRef<ModuleOp>>(unpacked), kernel.name()->str());
  if (!op || !cpu::kernelOpOf(op)) return artifact.path + ": kernel_ir has no kernel " + kernel.name()->str();
  KernelSource out;
  out.name = kernel.name()->str();
  out.family = kernel.family() ? kernel.family()->str() : "";
  out.level = level.name.str();
  out.substituted = kernel.substituted() ? kernel.substituted()->str() : "";
  out.tuned = kernel.tuned() ? kernel.tuned()->str() : "";
  out.model = modelLines(*artifact.root, kernel);
  out.text = kernelText(op);
  out.launches = launchesOf(*artifact.root, number);
  out.reduction = explainReduction(cpu::kernelOpOf(op));
  out.schedule = explainSchedule(cpu::kernelOpOf(op));

  StringRef image;
  for (const fb::Object *object : *artifact->objects())
    if (object->level()->c_str() == level.name && object->image())
      image = StringRef(reinterpret_cast<const char *>(object->image()->data()), object->image()->size());
  auto stored = disassemble(image, out.name, /*lines=*/false);
  if (!stored) return artifact.path + ": " + llvm::toString(stored.takeError());
  out.code = std::move(*stored);

  // The code is generated again, with lines of the text above, to find out which instruction came of which
  // op.
  std::string errors;
  ScopedDiagnosticHandler handler(&context, [&](Diagnostic &d) { errors += d.str() + "\n"; });
  auto placed = parseKernels(context, textOf(op), "kernel");
  if (auto *problem = std::get_if<std::string>(&placed)) return *problem;
  auto isCode = [](StringRef substituted) { return substituted.starts_with("code"); };
  SmallVector<std::string> others; // whose code is not the compiler's, at one level at least
  for (const fb::Kernel *k : *artifact->kernels())
    if (k->substituted() && isCode(k->substituted()->c_str()) && k->name()->str() != out.name)
      others.push_back(k->name()->str());
  ModuleOp all = *std::get<OwningOpRef<ModuleOp>>(unpacked);
  auto with = findKernel(*std::get<OwningOpRef<ModuleOp>>(placed), out.name);
  with->moveBefore(op);
  op.erase();
  // Among the others, with some of which it may share its code; where the artifact may have a user's code in
  // place of some, without these, and with them.
  for (bool without : {true, false}) {
    if (without == others.empty()) continue;
    OwningOpRef<ModuleOp> module = all.clone();
    if (without)
      for (const std::string &name : others)
        if (auto k = findKernel(*module, name)) k.erase();
    out.llvmIr.clear();
    cpu::CompileOptions plain, withLines;
    plain.only = withLines.only = out.name;
    plain.llvmIr = &out.llvmIr;
    plain.sharers = &out.sharers;
    withLines.lines = true;
    if (failed(cpu::compileKernels(*module, level, plain)))
      return "kernel " + out.name + " does not compile again: " + errors;
    auto again = cpu::compileKernels(*module, level, withLines);
    if (failed(again)) return "kernel " + out.name + " does not compile again: " + errors;
    auto lined = disassemble(*again, out.name, /*lines=*/true);
    if (!lined) return llvm::toString(lined.takeError());
    out.hasLines = sameCode(*lined, out.code);
    if (!out.hasLines) continue;
    out.code = std::move(*lined);
    llvm::erase(out.sharers, out.name);
    return out;
  }
  out.sharers.clear();
  if (isCode(out.substituted)) {
    out.note = "the code is not the compiler's: instructions have no lines, and there is no LLVM IR";
    out.llvmIr.clear();
  } else {
    out.note = "this weftc generates other code than the one that compiled the artifact: the assembly is the "
               "artifact's, without lines; the LLVM IR is of this weftc";
  }
  return out;
}

} // namespace weft
