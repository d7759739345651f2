// Scalar code (arith, math) of elementwise graph ops: what a kernel's region holds.
#pragma once
#include "dialects/graph/graph.h"

namespace weft {

// The op's value from its operands' values; `type` is the result's element type.
mlir::Value scalarCode(mlir::OpBuilder &b, mlir::Operation *op, llvm::ArrayRef<mlir::Value> operands,
                       mlir::Type type);
mlir::Value castScalar(mlir::OpBuilder &b, mlir::Location loc, mlir::Value x, mlir::Type to);

} // namespace weft
