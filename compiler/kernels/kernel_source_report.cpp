// The report of `weft inspect --source`, for a reader and as JSON.
#include "compiler/kernels/kernel_source.h"
#include "runtime/train/byte_size.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FormatVariadic.h"
#include <nlohmann/json.hpp>

using llvm::formatv;
namespace weft {
namespace {

std::string sizesText(const fb::Launch &launch, size_t own) {
  std::string out;
  for (size_t i = 0; launch.sizes() && i < own && i < launch.sizes()->size(); ++i)
    out += (i ? " × " : "") + std::to_string(launch.sizes()->Get(i));
  return out;
}

// How many sizes come before the first stride.
size_t ownSizes(const fb::Artifact &artifact, const KernelSource &source) {
  for (const fb::Kernel *kernel : *artifact.kernels())
    if (kernel->name()->string_view() == source.name && kernel->buffers() && kernel->buffers()->size())
      return kernel->buffers()->Get(0)->slot();
  return 0;
}

std::string countText(double n) {
  return n >= 1e9   ? formatv("{0:F2} G", n / 1e9).str()
         : n >= 1e6 ? formatv("{0:F2} M", n / 1e6).str()
                    : formatv("{0:F0}", n).str();
}

std::string mixText(const InstructionMix &mix) {
  std::vector<std::pair<std::string, int64_t>> kinds(mix.kinds.begin(), mix.kinds.end());
  llvm::stable_sort(kinds, [](auto &a, auto &b) { return a.second > b.second; });
  std::string out = std::to_string(mix.all) + " instructions:";
  for (auto &[kind, count] : kinds) out += " " + kind + " " + std::to_string(count) + ",";
  if (out.back() == ',' || out.back() == ':') out.pop_back();
  return out;
}

// Marks: `|` a loop, `#` the hot one.
std::string codeText(const KernelSource &source) {
  const Disassembly &code = source.code;
  llvm::DenseMap<int64_t, int> labels;
  for (const Instruction &i : code.instructions)
    if (i.target >= 0) labels.try_emplace(i.target, 0);
  int number = 0;
  for (const Instruction &i : code.instructions)
    if (auto it = labels.find(i.offset); it != labels.end()) it->second = number++;
  std::string out;
  uint32_t line = 0;
  for (auto [i, c] : llvm::enumerate(code.instructions)) {
    if (auto it = labels.find(c.offset); it != labels.end()) out += formatv("          L{0}:\n", it->second);
    std::string margin;
    bool hot = code.hot >= 0 && i >= code.loops[code.hot].first && i <= code.loops[code.hot].last;
    int depth = 0;
    for (const CodeLoop &loop : code.loops) depth += i >= loop.first && i <= loop.last;
    std::string operands = c.operands;
    if (c.target >= 0) operands = formatv("L{0}", labels[c.target]);
    std::string text = formatv("{0,5} {1} {2,-4} {3,-16} {4}", c.offset,
                               hot     ? '#'
                               : depth ? '|'
                                       : ' ',
                               std::string(std::min(depth, 4), '|'), c.mnemonic, operands);
    while (text.back() == ' ') text.pop_back();
    if (!c.constant.empty()) text += "   ; " + c.constant;
    if (c.line && c.line != line && c.line <= source.text.size()) {
      text += formatv("   ; {0}", c.line);
      if (source.text[c.line - 1].origins.size() == 1)
        text += ": " + originText(source.text[c.line - 1].origins.front());
    }
    line = c.line;
    out += text + "\n";
  }
  return out;
}

std::string heading(const std::string &what) {
  return "\n" + what + "\n" + std::string(what.size(), '-') + "\n";
}

} // namespace

std::string kernelSourceText(const LoadedArtifact &artifact, const KernelSource &s) {
  std::string out = formatv("kernel {0}, {1}, code for {2}\n", s.name, s.family, s.level);
  if (!s.substituted.empty()) out += "substituted: " + s.substituted + "\n";
  if (!s.tuned.empty()) out += "schedule chosen by measuring: " + s.tuned + "\n";
  if (!s.note.empty()) out += "note: " + s.note + "\n";
  if (!s.sharers.empty())
    out += "one function with " + llvm::join(s.sharers, ", ") +
           ": the numbers that are not the same in all, of blocks and places, are read from a table\n";
  out += heading("the model's lines");
  if (s.model.empty()) out += "none: the compiler's own\n";
  bool changed = false;
  for (const ModelLine &m : s.model) {
    out += placeText(m.file, m.line, m.path) + "\n    " +
           (m.text.empty() ? "(" + m.file + " cannot be read)" : m.text) + "\n";
    changed |= m.changed;
  }
  if (changed) out += "note: a file has changed since it was compiled: its lines may not be these\n";
  out += heading("launches");
  const size_t own = ownSizes(*artifact.root, s);
  for (const LaunchGroup &g : s.launches)
    out += formatv("{0}: {1} times{2}, sizes {3}, {4} work items, {5} FLOP, {6}\n", g.entry, g.times,
                   g.eachBatch ? " a micro-batch" : "", sizesText(*g.launch, own), g.launch->items(),
                   countText(double(g.launch->flops())), ByteText(g.launch->bytes()));
  if (s.launches.empty()) out += "none\n";
  out += heading("the kernel's op");
  for (auto [i, line] : llvm::enumerate(s.text)) {
    out += formatv("{0,4}  {1}", i + 1, line.text);
    if (line.origins.size() == 1 || (i > 0 && !line.origins.empty()))
      for (auto [n, o] : llvm::enumerate(line.origins)) out += (n ? ", " : "   // ") + originText(o);
    out += "\n";
  }
  out += heading("what fixes the bits (reduction)");
  for (const std::string &text : s.reduction) out += text + "\n";
  out += heading("how it is computed (schedule)");
  for (const std::string &text : s.schedule) out += text + "\n";
  out += heading("instructions");
  const Disassembly &code = s.code;
  out += mixText(mixOf(code, 0, code.instructions.size())) + "\n";
  if (code.hot >= 0) {
    const CodeLoop &loop = code.loops[code.hot];
    out += "the hot loop (the innermost with the most multiply-adds): " +
           mixText(mixOf(code, loop.first, loop.last)) + "\n";
  }
  if (!s.llvmIr.empty()) out += heading("LLVM IR") + s.llvmIr;
  out += heading("assembly");
  out += "| within a loop, one for each around it; # the hot loop; behind ; constants, and the line of the "
         "kernel's op\n";
  return out + codeText(s);
}

std::string kernelSourceJson(const LoadedArtifact &artifact, const KernelSource &s) {
  using nlohmann::json;
  json model = json::array(), text = json::array(), launches = json::array(), code = json::array(),
       loops = json::array();
  for (const ModelLine &m : s.model)
    model.push_back({{"file", m.file},
                     {"line", m.line},
                     {"column", m.column},
                     {"module", m.path},
                     {"text", m.text},
                     {"changed", m.changed}});
  for (const KernelTextLine &line : s.text) {
    json origins = json::array();
    for (const OpOrigin &o : line.origins)
      origins.push_back({{"op", o.op}, {"file", o.file}, {"line", o.line}, {"module", o.path}});
    text.push_back({{"text", line.text}, {"origins", origins}});
  }
  for (const LaunchGroup &g : s.launches) {
    json sizes = json::array();
    if (g.launch->sizes()) sizes = std::vector<int64_t>(g.launch->sizes()->begin(), g.launch->sizes()->end());
    launches.push_back({{"entry", g.entry},
                        {"times", g.times},
                        {"each_micro_batch", g.eachBatch},
                        {"sizes", sizes},
                        {"items", g.launch->items()},
                        {"flops", g.launch->flops()},
                        {"bytes", g.launch->bytes()}});
  }
  auto mix = [](const InstructionMix &m) { return json{{"instructions", m.all}, {"kinds", m.kinds}}; };
  for (const Instruction &i : s.code.instructions) {
    json item = {{"offset", i.offset}, {"mnemonic", i.mnemonic}, {"operands", i.operands}};
    if (i.line) item["line"] = i.line;
    if (i.target >= 0) item["target"] = i.target;
    if (!i.constant.empty()) item["constant"] = i.constant;
    code.push_back(item);
  }
  for (const CodeLoop &loop : s.code.loops)
    loops.push_back({{"first", loop.first},
                     {"last", loop.last},
                     {"innermost", loop.innermost},
                     {"fmas", loop.fmas},
                     {"mix", mix(mixOf(s.code, loop.first, loop.last))}});
  json root = {{"kernel", s.name},
               {"family", s.family},
               {"level", s.level},
               {"substituted", s.substituted},
               {"tuned", s.tuned},
               {"note", s.note},
               {"one_function_with", s.sharers},
               {"model", model},
               {"launches", launches},
               {"op", text},
               {"reduction", s.reduction},
               {"schedule", s.schedule},
               {"mix", mix(mixOf(s.code, 0, s.code.instructions.size()))},
               {"llvm_ir", s.llvmIr},
               {"assembly", code},
               {"loops", loops},
               {"hot_loop", s.code.hot}};
  return root.dump(2, ' ', false, json::error_handler_t::replace) + "\n";
}

} // namespace weft
