// What an op's reverse-mode rule sees: adjoints, needed forward values, and where to build.
#pragma once
#include "mlir/IR/Builders.h"
#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/Value.h"

namespace weft::graph {

// The type of a value's adjoint: its own, but f32 for bf16.
mlir::RankedTensorType adjointType(mlir::Value forward);

class GradientBuilder {
public:
  GradientBuilder(mlir::OpBuilder &b) : b(b) {}
  virtual ~GradientBuilder() = default;

  // A value of the forward computation, usable in the code being built: saved, or computed again.
  virtual mlir::Value needed(mlir::Value forward) = 0;
  // Whether a gradient with respect to this forward value is wanted at all.
  virtual bool wants(mlir::Value forward) = 0;

  // The adjoint collected so far, of the value's adjointType; null for zero.
  mlir::Value adjoint(mlir::Value forward) { return adjoints.lookup(origin(forward)); }
  // Adds a contribution.
  void add(mlir::Value forward, mlir::Value contribution);
  // Replaces the adjoint: by an op that took the old one as the start of its chain.
  void set(mlir::Value forward, mlir::Value adjoint) { adjoints[origin(forward)] = adjoint; }

  // The value whose adjoint stands for this one's: what a cast between f32 and bf16 came from. Gradients of a
  // parameter and of its rounded copy are one chain then, in f32.
  static mlir::Value origin(mlir::Value forward);

  mlir::OpBuilder &b;
  mlir::Location loc() const { return location; }
  void setLoc(mlir::Location l) { location = l; }

protected:
  llvm::DenseMap<mlir::Value, mlir::Value> adjoints;
  mlir::Location location = b.getUnknownLoc();
};

} // namespace weft::graph
