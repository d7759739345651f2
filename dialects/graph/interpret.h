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
  // Runs a kernel op or graph.value_and_grad instead of the interpreter, into zeros of its result types;
  // false leaves it to that. A failure ends the interpretation, which fails without an error of its own.
  virtual mlir::FailureOr<bool> runInstead(mlir::Operation *op, llvm::ArrayRef<const HostTensor *> operands,
                                           llvm::MutableArrayRef<HostTensor> results) {
    return false;
  }
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

// A rank among others that are interpreted at the same time.
class InterpretRank {
public:
  virtual ~InterpretRank() = default;
  // Runs an op of dist where ranks meet: what it gives. A failure ends the interpretation, which fails
  // without an error of its own.
  virtual mlir::FailureOr<llvm::SmallVector<HostTensor>>
  meet(mlir::Operation *op, llvm::ArrayRef<const HostTensor *> operands) = 0;
};

struct InterpretOptions {
  // Rounds each op's results to their element type. Off: f64 throughout, the reference that tolerances are
  // measured against.
  bool roundToElement = false;
  InterpretObserver *observer = nullptr;
  InterpretRank *rank = nullptr; // null: a rank alone
};

// Runs `function` on `args`, which must fit its argument types (`?` fits every size): graph ops, kernel ops,
// func.call, and graph.repeat and calls into functions of the same module. graph.read and graph.write use
// `variables`. For a rank alone dist.all_reduce is the identity, as it is over the data axis. Errors are
// emitted at the op concerned: a missing variable, an op that cannot be interpreted (graph.value_and_grad
// before `differentiate`, which only an observer can run).
mlir::FailureOr<llvm::SmallVector<HostTensor>> interpret(mlir::func::FuncOp function,
                                                         llvm::ArrayRef<HostTensor> args,
                                                         Variables &variables,
                                                         const InterpretOptions &options = {});

} // namespace weft::graph
