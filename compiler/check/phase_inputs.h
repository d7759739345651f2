// What --check-phases runs entries on: numbers made up, or a user's. A stage of a pipeline gets its layers of
// the same numbers.
#pragma once
#include "dialects/graph/interpret.h"
#include "mlir/IR/BuiltinOps.h"
#include <map>
#include <string>

namespace weft {

// The modules of a program's pipeline stages, in order; one without a pipeline.
using Stages = llvm::ArrayRef<mlir::ModuleOp>;

// What is not given is drawn by Philox from a seed and the names: integers below the argument's `weft.limit`
// (positions of a sequence ascend), floats within [-1, 1] (scalars within [0.5, 1.5], limits of a step
// without bound), parameters within
// [-0.5, 0.5], the states of optimisers positive.
struct PhaseInputs {
  graph::Variables variables;                                              // by name, with all layers
  std::map<std::string, std::map<std::string, graph::HostTensor>> entries; // arguments, by weft.name
  // Of an entry's dynamic first dimension. 0: two, or one for each part of the program's repeats.
  int64_t numMicroBatches = 0;
  std::string from; // in words, for the report; "": random data
};

// Micro-batches that every dynamic repeat of the module can cut into its parts.
int64_t chooseMicroBatches(mlir::ModuleOp module, const PhaseInputs &inputs);

// An entry's arguments. Fails, with an error at the entry, where one that is given does not fit.
mlir::FailureOr<llvm::SmallVector<graph::HostTensor>>
argumentsOf(mlir::func::FuncOp entry, const PhaseInputs &inputs, uint64_t seed, int64_t numMicroBatches);

// Every variable, by stage. Fails likewise.
mlir::FailureOr<llvm::SmallVector<graph::Variables>> variablesOf(Stages stages, const PhaseInputs &inputs,
                                                                 uint64_t seed);

// The variables of all stages as one of all layers would have them. Fails, with an error, where two stages
// have different numbers of what both hold; `tolerance` is of the largest magnitude.
mlir::FailureOr<graph::Variables> joinVariables(Stages stages, llvm::SmallVector<graph::Variables> of,
                                                double tolerance);

} // namespace weft
