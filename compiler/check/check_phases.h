// --check-phases: the program, interpreted in f64 after each phase on the same data, must give the same
// numbers.
#pragma once
#include "compiler/check/run_entry.h"
#include <map>
#include <set>
#include <string>

namespace weft {

// Compares a program with itself as phases change it. Every function with the attribute `weft.entry` is run,
// on what phase_inputs.h says; of a pipeline's stages together, so that a program of one stage may be
// compared with one of several. Decoding goes on with the caches that the largest prefill leaves. Entries
// that still hold graph.value_and_grad are not run: check_gradients.h has their gradients.
class PhaseChecker {
public:
  explicit PhaseChecker(CheckOptions options = {}) : options(std::move(options)) {}

  // Runs the program and compares with the last call's numbers. Emits an error at the entry for each output
  // and variable that differs: the phase, the place, both numbers. Fails then, and when an entry cannot be
  // interpreted.
  mlir::LogicalResult check(Stages stages, llvm::StringRef phase);
  // Whether the last failure was a difference.
  bool differs() const { return different; }

private:
  struct Outcome {
    // By name or number, without those that another stage gives as well.
    llvm::SmallVector<std::pair<std::string, graph::HostTensor>> results;
    graph::Variables variables; // that the entry has changed, with all layers
  };
  mlir::FailureOr<Outcome> run(Stages stages, mlir::func::FuncOp entry, llvm::StringRef phase,
                               llvm::ArrayRef<graph::Variables> initial,
                               llvm::MutableArrayRef<graph::Variables> caches);
  CheckOptions options;
  int64_t numMicroBatches = 0; // decided by the first module
  std::map<std::string, Outcome> last;
  std::set<std::string> lastVariables; // there were
  bool different = false;
};

// Both at once: the entries of `before` against those of `after`.
mlir::LogicalResult checkPhase(Stages before, Stages after, llvm::StringRef phase, CheckOptions options = {});

// The first op of `after` whose result is not what it was in `before`, in the first entry that differs: lines
// as value_trace.h has them. "" where none is found, or nothing differs.
std::string firstFault(Stages before, Stages after, const CheckOptions &options = {});

// How far two numbers are apart: 0 for two NaNs, infinite between a number and what is none.
double distance(double a, double b);
// "[2, 0, 5]": the place of element `linear`.
std::string indexText(llvm::ArrayRef<int64_t> shape, int64_t linear);

} // namespace weft
