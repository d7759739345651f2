// Reference interpreter of functions of graph and kernel ops.
#pragma once
#include "dialects/graph/host_tensor.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include <map>
#include <string>

namespace weft::graph {

// Values of graph.variable by symbol name.
using Variables = std::map<std::string, HostTensor>;

struct InterpretOptions {
  // Rounds each op's results to their element type. Off: f64 throughout, the reference that tolerances are
  // measured against.
  bool roundToElement = false;
};

// Runs `function` on `args`, which must fit its argument types (`?` fits every size): graph ops, kernel ops,
// func.call, and graph.repeat and calls into functions of the same module. graph.read and graph.write use
// `variables`. One rank: dist.all_reduce is the identity. Errors are emitted at the op concerned: a missing
// variable, an op that cannot be interpreted (graph.value_and_grad before `differentiate`).
mlir::FailureOr<llvm::SmallVector<HostTensor>> interpret(mlir::func::FuncOp function,
                                                         llvm::ArrayRef<HostTensor> args,
                                                         Variables &variables,
                                                         const InterpretOptions &options = {});

} // namespace weft::graph
