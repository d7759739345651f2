#include "compiler/kernels/dump_kernel.h"
#include "compiler/kernels/kernel_launch.h"
#include "passes/codegen/cpu/compile.h"
#include "passes/codegen/cpu/emit.h"
#include "runtime/data/file_io.h"
#include "llvm/Support/FormatVariadic.h"
#include <filesystem>

using namespace mlir;
using llvm::formatv;
namespace weft {
extern const std::string_view bench_launch_data_h, bench_bench_cpp, bench_Makefile,
    bench_README_md; // compiler/bench
namespace {
namespace fs = std::filesystem;

std::string list(ArrayRef<int64_t> values) {
  std::string out;
  for (int64_t v : values) out += (out.empty() ? "" : ", ") + std::to_string(v);
  return "{" + out + "}";
}

std::string literal(StringRef text) {
  std::string out;
  llvm::raw_string_ostream stream(out);
  llvm::printEscapedString(text, stream);
  return "\"" + out + "\"";
}

std::string launchText(const launch_data::Launch &l) {
  static const char *types[] = {"f32", "f64", "i32", "i64", "boolean", "bf16"};
  static const char *fills[] = {"floats", "positive", "integers", "ascending", "zeros", "ends"};
  std::string out = formatv("    {{{0},\n     {1},\n     {2}, {3}, {4}, {5}, {6}, {7},\n     {8},\n     {{",
                            literal(l.what), list(l.sizes), l.items, l.piece, l.scratch_bytes,
                            int64_t(l.flops), int64_t(l.bytes), int64_t(l.times), list(l.blocks));
  for (const launch_data::Buffer &b : l.buffers)
    out += formatv("\n      {{{0}, {1}, {2}, {3}, {4}, {5}, {6}, {7}, {8}},", types[b.type], b.input,
                   b.output, b.bytes, b.block, b.offset, fills[b.fill], b.limit, b.period);
  return out + "}},\n";
}

// KERNEL, LEVEL and the like in the texts of compiler/bench.
std::string filledIn(std::string_view text, ArrayRef<std::pair<StringRef, std::string>> words) {
  std::string out(text);
  for (auto &[word, value] : words)
    for (size_t at = 0; (at = out.find(word.str(), at)) != std::string::npos; at += value.size())
      out.replace(at, word.size(), value);
  return out;
}

} // namespace

std::variant<DumpedKernel, std::string> dumpKernel(MLIRContext &context, const LoadedArtifact &artifact,
                                                   int number, const std::string &wanted,
                                                   const std::string &folder) {
  auto source = kernelSource(context, artifact, number, wanted);
  if (auto *problem = std::get_if<std::string>(&source)) return *problem;
  const KernelSource &s = std::get<KernelSource>(source);
  if (!s.substituted.empty() && s.llvmIr.empty())
    return "kernel " + s.name + " is code of a user's own (" + s.substituted +
           "): there is no text of it to write";
  std::error_code error;
  if (fs::exists(folder, error) && (!fs::is_directory(folder, error) || !fs::is_empty(folder, error)))
    return folder + ": is there already and not an empty folder\nhint: name a new one";
  fs::create_directories(folder, error);
  if (error) return "cannot make " + folder + ": " + error.message();

  auto unpacked = unpackKernels(context, artifact);
  if (auto *problem = std::get_if<std::string>(&unpacked)) return *problem;
  program::KernelOp kernel = findKernel(*std::get<OwningOpRef<ModuleOp>>(unpacked), s.name);
  OwningOpRef<ModuleOp> alone = ModuleOp::create(UnknownLoc::get(&context));
  alone->push_back(kernel->clone());
  cpu::CompileOptions options;
  std::string ir, assembly;
  options.llvmIr = &ir;
  options.assembly = &assembly;
  if (failed(cpu::compileKernels(*alone, *cpu::findCpuLevel(s.level), options)))
    return "kernel " + s.name + " does not compile again";

  std::string mlir, launches, sizes;
  for (const KernelTextLine &line : s.text) mlir += line.text + "\n";
  launches = "// The launches of " + s.name + " in " + fs::path(artifact.path).filename().string() +
             ". Fields: launch_data.h.\n#include \"launch_data.h\"\n\nnamespace launch_data {\nextern const "
             "std::vector<Launch> launches;\n"
             "const std::vector<Launch> launches = {\n";
  int64_t scratch = artifact->kernels()->Get(number)->scratch_bytes();
  for (const LaunchGroup &g : s.launches) {
    fb::LaunchT launch;
    g.launch->UnPackTo(&launch);
    launch_data::Launch plan = planLaunch(launch, cpu::kernelOpOf(kernel), scratch);
    plan.times = double(g.times);
    const auto *lines = artifact->lines();
    const fb::Line *line = g.launch->line() >= 0 ? lines->Get(g.launch->line()) : nullptr;
    plan.what = formatv("{0}, {1} times{2}{3}", g.entry, g.times, g.eachBatch ? " a micro-batch" : "",
                        line ? formatv(", {0}:{1} ({2})", fs::path(line->file()->str()).filename().string(),
                                       line->line(), line->module_path() ? line->module_path()->str() : "")
                                   .str()
                             : std::string());
    launches += launchText(plan);
    for (int64_t size : plan.sizes) sizes += std::to_string(size) + " ";
    sizes += "\n";
  }
  launches += "};\n} // namespace launch_data\n";

  std::pair<StringRef, std::string> words[] = {{"KERNEL", s.name}, {"LEVEL", s.level}};
  std::pair<const char *, std::string> files[] = {{"kernel.mlir", mlir},
                                                  {"kernel.ll", ir},
                                                  {"kernel.s", assembly},
                                                  {"launches.cpp", launches},
                                                  {"sizes.txt", sizes},
                                                  {"launch_data.h", std::string(bench_launch_data_h)},
                                                  {"bench.cpp", filledIn(bench_bench_cpp, words)},
                                                  {"Makefile", filledIn(bench_Makefile, words)},
                                                  {"README.md", filledIn(bench_README_md, words)}};
  for (auto &[name, content] : files)
    if (absl::Status status = WriteFileAtomically(folder + "/" + name, content); !status.ok())
      return std::string(status.message());
  DumpedKernel out;
  out.report = formatv("wrote {0} for {1} into {2}: {3} launches\nmake -C {2} run builds it with g++ and "
                       "times it; {2}/README.md says how to put an edited kernel back\n",
                       s.name, s.level, folder, s.launches.size());
  return out;
}

} // namespace weft
