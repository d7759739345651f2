#include "frontends/cli/commands.h"
#include "frontends/cli/inspect_facts.h"
#include "frontends/cli/inspect_report.h"
#include "frontends/cli/report.h"
#include "runtime/train/compile.h"

#include "absl/strings/str_cat.h"

#include <cstdio>
#include <filesystem>

namespace weft {
namespace {

int BadUsage(const std::string &what) {
  PrintError(absl::StrCat(what, "\nhint: weft inspect --help"));
  return 2;
}

// weftc knows how to read code.
int InspectKernel(const Args &args, const LoadedArtifact &artifact) {
  const bool source = args.Has("--source"), dump = args.Has("--dump-kernel");
  if (!source && !dump) return BadUsage("-o and --cpu-level are of --source and --dump-kernel");
  if (source && dump) return BadUsage("--source and --dump-kernel are two things: ask for one");
  if (dump != args.Has("-o"))
    return BadUsage(dump ? "--dump-kernel needs a folder: -o DIR" : "-o is of --dump-kernel");
  if (dump && args.Has("--json")) return BadUsage("--dump-kernel writes a folder, no JSON");
  for (const char *other : {"--kernels", "--memory", "--params", "--remarks"})
    if (args.Has(other)) return BadUsage(absl::StrCat(other, " is of the whole artifact, not of one kernel"));
  absl::StatusOr<int> kernel = FindKernel(*artifact.root, args.Text(source ? "--source" : "--dump-kernel"));
  if (!kernel.ok())
    return Fail(absl::Status(kernel.status().code(),
                             absl::StrCat(artifact.path, ": ", std::string(kernel.status().message()))));
  std::vector<std::string> arguments = {"inspect-kernel", artifact.path,
                                        artifact.root->kernels()->Get(*kernel)->name()->str()};
  if (args.Has("--cpu-level")) arguments.insert(arguments.end(), {"--cpu-level", args.Text("--cpu-level")});
  if (dump) arguments.insert(arguments.end(), {"--dump", args.Text("-o")});
  if (args.Has("--json")) arguments.push_back("--json");
  absl::StatusOr<int> exit = RunCompiler(arguments);
  return exit.ok() ? *exit : Fail(exit.status());
}

} // namespace

int InspectCommand(const Arguments &arguments) {
  static const CommandSpec spec = {
      "inspect",
      "F.weft|RUN",
      "What an artifact holds. Without an option: a summary.",
      {{"--kernels", "",
        "every kernel: family, launches of a step, FLOPs, bytes, schedule, reduction, source lines"},
       {"--memory", "", "variables, arenas of the entries, and who holds the arena at its peak"},
       {"--params", "", "every variable: shape, type, initialiser, bytes, name in checkpoints"},
       {"--remarks", "", "what the compiler decided, and why"},
       {"--source", "KERNEL",
        "one kernel from the model's lines through its op and LLVM IR to its assembly; the beginning of a "
        "name will do"},
       {"--dump-kernel", "KERNEL",
        "writes that kernel as a benchmark of its own into the folder that -o names"},
       {"-o", "DIR", "of --dump-kernel: a new folder, or an empty one"},
       {"--cpu-level", "LEVEL", "of --source and --dump-kernel: avx2, avx512, avx512bf16 or amx",
        "the best of the machine and the artifact"},
       {"--json", "", "all of it as one JSON object; with --source, all of that kernel"}},
      "",
      1,
      1};
  Args args(spec, arguments);
  if (args.exit >= 0) return args.exit;
  std::string path = args.positional[0];
  std::error_code error;
  if (std::filesystem::is_directory(path, error)) path += "/model.weft";
  absl::StatusOr<std::shared_ptr<const LoadedArtifact>> artifact = LoadArtifact(path);
  if (!artifact.ok()) return Fail(artifact.status());
  for (const char *option : {"--source", "--dump-kernel", "-o", "--cpu-level"})
    if (args.Has(option)) return InspectKernel(args, **artifact);
  std::string out;
  if (args.Has("--json")) {
    out = InspectJson(**artifact);
  } else {
    if (args.Has("--params")) out += ParamsText(**artifact);
    if (args.Has("--memory")) out += MemoryText(**artifact);
    if (args.Has("--kernels")) out += KernelsText(**artifact);
    if (args.Has("--remarks")) out += RemarksText(**artifact);
    if (out.empty()) out = SummaryText(**artifact);
  }
  std::fwrite(out.data(), 1, out.size(), stdout);
  return 0;
}

} // namespace weft
