#include "compiler/bisect_phase.h"

using namespace mlir;
namespace weft {

std::string bisectPhase(ModuleOp before, ModuleOp after, const PhaseInfo &phase,
                        const PipelineOptions &pipeline, const CheckOptions &options) {
  ScopedDiagnosticHandler quiet(before.getContext(), [](Diagnostic &) { return success(); });
  OwningOpRef<ModuleOp> good = before.clone(), again = before.clone();
  std::string wrong, fault;
  std::vector<std::string> names;
  (void)runPhase(*again, phase.phase, pipeline, [&](StringRef pass, ModuleOp m) {
    if (!wrong.empty()) return;
    if (failed(checkPhase(*good, m, pass, options))) {
      wrong = pass.str();
      fault = firstFault(*good, m, options);
    } else {
      names.push_back(pass.str());
      good = m.clone();
    }
  });
  std::string text;
  if (wrong.empty()) {
    text = std::string("none of its passes does it on its own");
    fault = firstFault(before, after, options);
  } else
    text = "the first pass that does: `" + wrong + "`" +
           (names.empty() ? "" : ", behind " + std::to_string(names.size()) + " that do not");
  return text + (fault.empty() ? "" : "\n" + fault);
}

} // namespace weft
