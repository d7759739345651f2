// What --check-phases runs entries on: numbers made up, or a user's.
#pragma once
#include "dialects/graph/interpret.h"
#include "mlir/IR/BuiltinOps.h"
#include <map>
#include <string>

namespace weft {

// What is not given is drawn by Philox from a seed and the names: integers below the argument's `weft.limit`
// (positions of a sequence ascend), floats within [-1, 1] (scalars within [0.5, 1.5], limits of a step
// without bound), parameters within
// [-0.5, 0.5], the states of optimisers positive.
struct PhaseInputs {
  graph::Variables variables;                                              // by name
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

// Every variable of the module. Fails likewise.
mlir::FailureOr<graph::Variables> variablesOf(mlir::ModuleOp module, const PhaseInputs &inputs,
                                              uint64_t seed);

} // namespace weft
