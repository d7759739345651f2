// --check-phases: the program, interpreted in f64 after each phase on the same random data, must give the
// same numbers.
#pragma once
#include "dialects/graph/interpret.h"
#include "mlir/IR/BuiltinOps.h"
#include <map>
#include <string>

namespace weft {

struct CheckOptions {
  double tolerance =
      1e-6; // of the largest magnitude in the tensor; f32 constants folded by a phase cost about 1e-7
  uint64_t seed = 1;
};

// Compares a module with itself as phases change it. Every function with the attribute `weft.entry` is run,
// on inputs and variables drawn by Philox from the seed and their names: integers below the argument's
// `weft.limit`, floats within [-1, 1] (scalars within [0.5, 1.5]), the states of optimisers positive. A
// dynamic first dimension gets two micro-batches, or one for each part of the program's repeats. Entries that
// still hold graph.value_and_grad are not run: `differentiate` itself is checked by finite differences, in
// the tests.
class PhaseChecker {
public:
  explicit PhaseChecker(CheckOptions options = {}) : options(options) {}

  // Runs `module` and compares with the last call's numbers. Emits an error at the entry for each output and
  // variable that differs: the phase, the place, both numbers. Fails then, and when an entry cannot be
  // interpreted.
  mlir::LogicalResult check(mlir::ModuleOp module, llvm::StringRef phase);

private:
  struct Outcome {
    llvm::SmallVector<graph::HostTensor> results;
    graph::Variables variables;
  };
  CheckOptions options;
  int64_t numMicroBatches = 0; // decided by the first module
  std::map<std::string, Outcome> last;
};

// Both at once: the entries of `before` against those of `after`.
mlir::LogicalResult checkPhase(mlir::ModuleOp before, mlir::ModuleOp after, llvm::StringRef phase,
                               CheckOptions options = {});

} // namespace weft
