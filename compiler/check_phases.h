// --check-phases: the program, interpreted in f64 after each phase on the same data, must give the same
// numbers.
#pragma once
#include "compiler/phase_inputs.h"
#include <map>
#include <set>
#include <string>

namespace weft {

struct CheckOptions {
  double tolerance =
      1e-6; // of the largest magnitude in the tensor; f32 constants folded by a phase cost about 1e-7
  uint64_t seed = 1; // of what is not given
  PhaseInputs inputs = {};
};

// Compares a module with itself as phases change it. Every function with the attribute `weft.entry` is run,
// on what phase_inputs.h says. Decoding goes on with the caches that the largest prefill leaves. Entries that
// still hold graph.value_and_grad are not run: check_gradients.h has their gradients.
class PhaseChecker {
public:
  explicit PhaseChecker(CheckOptions options = {}) : options(std::move(options)) {}

  // Runs `module` and compares with the last call's numbers. Emits an error at the entry for each output and
  // variable that differs: the phase, the place, both numbers. Fails then, and when an entry cannot be
  // interpreted.
  mlir::LogicalResult check(mlir::ModuleOp module, llvm::StringRef phase);
  // Whether the last failure was a difference.
  bool differs() const { return different; }

private:
  struct Outcome {
    llvm::SmallVector<graph::HostTensor> results;
    graph::Variables variables; // that the entry has changed
  };
  CheckOptions options;
  int64_t numMicroBatches = 0; // decided by the first module
  std::map<std::string, Outcome> last;
  std::set<std::string> lastVariables; // there were
  bool different = false;
};

// Both at once: the entries of `before` against those of `after`.
mlir::LogicalResult checkPhase(mlir::ModuleOp before, mlir::ModuleOp after, llvm::StringRef phase,
                               CheckOptions options = {});

// The first op of `after` whose result is not what it was in `before`, in the first entry that differs: lines
// as value_trace.h has them. "" where none is found, or nothing differs.
std::string firstFault(mlir::ModuleOp before, mlir::ModuleOp after, const CheckOptions &options = {});

// Runs an entry as --check-phases does, on variables as @derive leaves them; `caches` has those of the
// largest prefill that has been run, and gets this one's.
mlir::FailureOr<llvm::SmallVector<graph::HostTensor>>
runEntry(mlir::func::FuncOp entry, const CheckOptions &options, int64_t numMicroBatches,
         graph::Variables &variables, graph::Variables &caches, graph::InterpretObserver *observer = nullptr);

// Whether interpreting the function meets graph.value_and_grad.
bool needsGradient(mlir::func::FuncOp f);

// How far two numbers are apart: 0 for two NaNs, infinite between a number and what is none.
double distance(double a, double b);
// "[2, 0, 5]": the place of element `linear`.
std::string indexText(llvm::ArrayRef<int64_t> shape, int64_t linear);

} // namespace weft
