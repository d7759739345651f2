// Reference interpreter of functions of graph and kernel ops.
#pragma once
#include "dialects/graph/host_tensor.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include <map>
#include <string>

namespace weft::graph {

// Values of graph.variable by symbol name.
using Variables = std::map<std::string, HostTensor>;

// Looks on while a function is interpreted. Tensors are told apart by their addresses, which are used again
// once nobody reads a tensor any more.
class InterpretObserver {
public:
  virtual ~InterpretObserver() = default;
  // Runs a kernel op instead of the interpreter, into zeros of its result types; false leaves it to that.
  virtual mlir::FailureOr<bool> runKernel(mlir::Operation *op, llvm::ArrayRef<const HostTensor *> operands,
                                          llvm::MutableArrayRef<HostTensor> results) {
    return false;
  }
  // Before an op; true ends the interpretation, which fails without an error.
  virtual bool stopsAt(mlir::Operation *op, llvm::ArrayRef<const HostTensor *> operands) { return false; }
  // Behind each graph or kernel op that was evaluated: may give it other results.
  virtual void change(mlir::Operation *op, llvm::ArrayRef<const HostTensor *> operands,
                      llvm::MutableArrayRef<HostTensor> results) {}
  // After each op, writes and returns included; not of calls and repeats, whose bodies' ops come by instead.
  virtual void after(mlir::Operation *op, llvm::ArrayRef<const HostTensor *> operands,
                     llvm::ArrayRef<const HostTensor *> results) {}
  // A repeat has made `to` of `from` or of a part of it; has put `part` into the stack `to`.
  virtual void made(const HostTensor *from, const HostTensor *to) {}
  virtual void added(const HostTensor *part, const HostTensor *to) {}
};

struct InterpretOptions {
  // Rounds each op's results to their element type. Off: f64 throughout, the reference that tolerances are
  // measured against.
  bool roundToElement = false;
  InterpretObserver *observer = nullptr;
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
