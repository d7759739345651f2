#include "compiler/check/bisect_phase.h"

using namespace mlir;
namespace weft {
namespace {

// `stages` with another module in one place.
SmallVector<ModuleOp> with(Stages stages, size_t at, ModuleOp module) {
  SmallVector<ModuleOp> out(stages);
  out[at] = module;
  return out;
}

// The stage that alone makes a difference; none where it takes several.
std::optional<size_t> stageAtFault(Stages before, Stages after, const PhaseInfo &phase,
                                   const CheckOptions &options) {
  if (before.size() == 1) return 0;
  for (size_t i = 0; i < before.size(); ++i) {
    PhaseChecker checker(options);
    (void)checker.check(before, phase.name);
    if (failed(checker.check(with(before, i, after[i]), phase.name)) && checker.differs()) return i;
  }
  return std::nullopt;
}

} // namespace

std::string bisectPhase(Stages before, Stages after, const PhaseInfo &phase,
                        ArrayRef<PipelineOptions> options, const CheckOptions &check) {
  ScopedDiagnosticHandler quiet(ModuleOp(before.front()).getContext(),
                                [](Diagnostic &) { return success(); });
  std::optional<size_t> at = stageAtFault(before, after, phase, check);
  std::string wrong, fault, text = "none of its passes does it on its own";
  size_t right = 0;
  if (at) {
    ModuleOp start = before[*at];
    OwningOpRef<ModuleOp> good = start.clone(), again = start.clone();
    (void)runPhase(*again, phase.phase, options[*at], [&](StringRef pass, ModuleOp m) {
      if (!wrong.empty()) return;
      auto was = with(before, *at, *good), is = with(before, *at, m);
      if (failed(checkPhase(was, is, pass, check))) {
        wrong = pass.str();
        fault = firstFault(was, is, check);
      } else {
        ++right;
        good = m.clone();
      }
    });
  }
  if (wrong.empty())
    fault = firstFault(before, after, check);
  else
    text = "the first pass that does: `" + wrong + "`" +
           (right == 0 ? "" : ", behind " + std::to_string(right) + " that do not");
  return text + (fault.empty() ? "" : "\n" + fault);
}

} // namespace weft
