#include "runtime/train/compile.h"
#include "frontends/cli/commands.h"
#include "frontends/cli/report.h"

namespace weft {

// Everything, --help included, is weftc's to answer.
int CompileCommand(const Arguments &arguments) {
  Arguments all = {"compile"};
  all.insert(all.end(), arguments.begin(), arguments.end());
  absl::StatusOr<int> exit = RunCompiler(all);
  return exit.ok() ? *exit : Fail(exit.status());
}

} // namespace weft
