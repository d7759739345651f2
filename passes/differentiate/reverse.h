// Reverse mode over a list of forward ops.
#pragma once
#include "dialects/graph/graph.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/IRMapping.h"
#include "llvm/ADT/DenseSet.h"
#include "llvm/ADT/StringSet.h"

namespace weft {

// A value that forward keeps for backward when it could be computed again. `key` names the op that makes it,
// the same each time the same program is differentiated: "layer:12".
struct Residual {
  std::string key;
  int64_t bytes, flops; // of all iterations
  bool product;         // of a dot unit's operations
  std::string what;     // "matmul"
  mlir::Location where;
};

// What backward computes again instead of keeping it, and what is kept all the same.
struct ResidualChoice {
  llvm::StringSet<> recompute; // keys
  std::vector<Residual> kept;
};

// Whether the model asks for an op to be computed again in backward; a rounding goes with what it rounds.
bool isCheckpointed(mlir::Operation *op);
// A copy of the op behind what is built so far, made to stay apart from the original.
mlir::Operation *computeAgain(mlir::OpBuilder &b, mlir::Operation *op, mlir::IRMapping &map);

class Reverse : public graph::GradientBuilder {
public:
  Reverse(mlir::OpBuilder &b, mlir::SymbolTable &symbols, ResidualChoice &choice)
      : GradientBuilder(b), choice(choice), symbols(symbols) {}

  // Marks what depends on `sources` as wanting a gradient; call before run.
  void activate(llvm::ArrayRef<mlir::Value> sources, llvm::ArrayRef<mlir::Operation *> forward);
  bool wants(mlir::Value forward) override { return active.contains(forward); }

  // Builds the adjoint code of `forward`, last op first. A repeat is replaced by one that also saves its
  // residuals: `forward` is updated.
  mlir::LogicalResult run(llvm::SmallVectorImpl<mlir::Operation *> &forward);

protected:
  // A forward value was replaced by an equal one.
  virtual void replaced(mlir::Value from, mlir::Value to) {}
  ResidualChoice &choice;

private:
  mlir::LogicalResult runRepeat(graph::RepeatOp &op);
  void runCustom(graph::CustomGradientOp op);
  mlir::SymbolTable &symbols;
  llvm::DenseSet<mlir::Value> active;
};

// Makes each repeat cover whole stacks, [0, n), by slicing its stacked operands: the adjoint of a stack has
// the shape of the stack. The slices join `forward`.
void sliceStackedOperands(llvm::SmallVectorImpl<mlir::Operation *> &forward);

// Which of a body's arguments and results depend on active operands, to the fixed point of the carry.
void activateBody(mlir::func::FuncOp body, size_t numCarry, llvm::SmallVectorImpl<bool> &arguments,
                  llvm::SmallVectorImpl<bool> &results, mlir::SymbolTable &symbols);

} // namespace weft
