// Entries of a program, interpreted in f64 for --check-phases.
#pragma once
#include "compiler/check/phase_inputs.h"

namespace weft {

struct CheckOptions {
  double tolerance =
      1e-6; // of the largest magnitude in the tensor; f32 constants folded by a phase cost about 1e-7
  uint64_t seed = 1; // of what is not given
  PhaseInputs inputs = {};
};

// Runs an entry of one stage as --check-phases does, on variables as @derive leaves them; `caches` has those
// of the largest prefill that has been run, and gets this one's.
mlir::FailureOr<llvm::SmallVector<graph::HostTensor>>
runEntry(mlir::func::FuncOp entry, const CheckOptions &options, int64_t numMicroBatches,
         graph::Variables &variables, graph::Variables &caches, graph::InterpretObserver *observer = nullptr,
         graph::InterpretRank *rank = nullptr, bool rounded = false);
// Of all stages together: `variables`, `caches` and the results are by stage, and so are `observers`, where
// there are any. `rounded`: sums over stages, and all else that is no kernel's, as the machine rounds them,
// instead of in f64. Fails, with an
// error, where a stage lacks the entry.
mlir::FailureOr<llvm::SmallVector<llvm::SmallVector<graph::HostTensor>>>
runEntry(Stages stages, llvm::StringRef entry, const CheckOptions &options, int64_t numMicroBatches,
         llvm::MutableArrayRef<graph::Variables> variables, llvm::MutableArrayRef<graph::Variables> caches,
         llvm::ArrayRef<graph::InterpretObserver *> observers = {}, bool rounded = false);

// Whether interpreting the function, or an entry of any stage, meets graph.value_and_grad.
bool needsGradient(mlir::func::FuncOp f);
bool needsGradient(Stages stages, llvm::StringRef entry);

} // namespace weft
