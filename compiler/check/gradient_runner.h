// Runs graph.value_and_grad while a module is interpreted: what a pass makes of it, interpreted.
#pragma once
#include "dialects/graph/graph.h"
#include "dialects/graph/interpret.h"
#include "mlir/IR/BuiltinOps.h"
#include <functional>
#include <map>

namespace weft {

class GradientRunner {
public:
  using Differentiate = std::function<mlir::LogicalResult(mlir::ModuleOp)>;
  // `differentiate` works in place, on copies of the module, which must not change.
  GradientRunner(mlir::ModuleOp module, Differentiate differentiate)
      : module(module), differentiate(std::move(differentiate)) {}

  // The function's results on `args`, then the gradient of the first with respect to each of `wrt`. Fails,
  // with an error, where the pass or the interpreter does.
  mlir::FailureOr<llvm::SmallVector<graph::HostTensor>> run(mlir::func::FuncOp function,
                                                            llvm::ArrayRef<int64_t> wrt,
                                                            llvm::ArrayRef<graph::HostTensor> args,
                                                            graph::InterpretObserver *observer);
  // For an observer's runInstead: what the op gives, added onto what it is given.
  mlir::LogicalResult run(graph::ValueAndGradOp op, llvm::ArrayRef<const graph::HostTensor *> operands,
                          llvm::MutableArrayRef<graph::HostTensor> results,
                          graph::InterpretObserver *observer);

private:
  struct Differentiated {
    mlir::OwningOpRef<mlir::ModuleOp> module;
    mlir::func::FuncOp gradient; // of it
  };
  mlir::FailureOr<mlir::func::FuncOp> differentiated(mlir::func::FuncOp function,
                                                     llvm::ArrayRef<int64_t> wrt);

  mlir::ModuleOp module;
  Differentiate differentiate;
  std::map<std::pair<std::string, std::vector<int64_t>>, Differentiated> known;
};

} // namespace weft
