// The graph dialect: see graph.td and its families.
#pragma once
#include "dialects/graph/gradient_builder.h"
#include "dialects/graph/host_tensor.h"
#include "mlir/Bytecode/BytecodeOpInterface.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/Dialect.h"
#include "mlir/IR/OpImplementation.h"
#include "mlir/IR/SymbolTable.h"
#include "mlir/Interfaces/InferTypeOpInterface.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

#include "dialects/graph/graph_dialect.h.inc"
#include "dialects/graph/graph_enums.h.inc"
#include "dialects/graph/graph_interfaces.h.inc"
#define GET_OP_CLASSES
#include "dialects/graph/graph_ops.h.inc"

namespace weft::graph {

inline mlir::RankedTensorType tensorType(mlir::Value v) {
  return mlir::cast<mlir::RankedTensorType>(v.getType());
}
inline llvm::ArrayRef<int64_t> shapeOf(mlir::Value v) { return tensorType(v).getShape(); }
inline bool isFloat(mlir::Value v) { return mlir::isa<mlir::FloatType>(tensorType(v).getElementType()); }

// On an op: backward computes it again (`checkpoint` in the DSL).
inline constexpr llvm::StringLiteral kRecompute = "graph.recompute";
// On its copy, where that lies in the function of the original: fusing keeps the two apart.
inline constexpr llvm::StringLiteral kAgain = "graph.again";

// On a product: the precision pass leaves it as it is.
inline constexpr llvm::StringLiteral kFullPrecision = "graph.full_precision";

// A cast between f32 and bf16: one value, rounded or not.
bool isRounding(CastOp op);

// Arithmetic operations of computing an op once: two a product, one an element otherwise.
int64_t flopsOf(mlir::Operation *op);

// Small makers, with inferred types, for rules that build graph code.
mlir::Value splat(mlir::OpBuilder &b, mlir::Location loc, mlir::RankedTensorType type, double value);
mlir::Value broadcastTo(mlir::OpBuilder &b, mlir::Location loc, mlir::Value x, llvm::ArrayRef<int64_t> dims,
                        llvm::ArrayRef<int64_t> shape);
// Undoes a sum over `axes`: broadcasts x (without them) back to `shape`.
mlir::Value broadcastAlong(mlir::OpBuilder &b, mlir::Location loc, mlir::Value x,
                           llvm::ArrayRef<int64_t> axes, llvm::ArrayRef<int64_t> shape);
mlir::Value sum(mlir::OpBuilder &b, mlir::Location loc, mlir::Value x, llvm::ArrayRef<int64_t> axes,
                mlir::Value acc = {});
mlir::Value reshape(mlir::OpBuilder &b, mlir::Location loc, mlir::Value x, llvm::ArrayRef<int64_t> shape);
// x itself where it has that element type.
mlir::Value castTo(mlir::OpBuilder &b, mlir::Location loc, mlir::Value x, mlir::Type element);
// [begin, end) of the first dimension.
mlir::Value rows(mlir::OpBuilder &b, mlir::Location loc, mlir::Value x, int64_t begin, int64_t end);
// The sum of the terms (one or more) in a balanced binary tree, split at the largest power of two below their
// number: the order in which virtual shards are added (docs/numerics.md).
mlir::Value treeSum(mlir::OpBuilder &b, mlir::Location loc, llvm::ArrayRef<mlir::Value> terms);

} // namespace weft::graph
