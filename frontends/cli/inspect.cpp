#include "frontends/cli/commands.h"
#include "frontends/cli/inspect_report.h"
#include "frontends/cli/report.h"

#include <cstdio>
#include <filesystem>

namespace weft {

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
       {"--json", "", "all of it as one JSON object"}},
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
