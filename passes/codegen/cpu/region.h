// A kernel's scalar region as vector code: the one place where region ops become instructions, for loops and
// for matmul's epilogues.
#pragma once
#include "passes/codegen/cpu/lanes.h"

#include "mlir/IR/IRMapping.h"
#include "llvm/ADT/STLFunctionalExtras.h"

namespace weft::cpu {

// Emits one op of a region (elementwise arith.* and math.*). Operands are looked up in `map`: each a scalar
// (the same in all lanes) or a vector<16xT>. All scalar: the op is emitted on scalars; else on vectors,
// scalars splatted. Both give the same bits. Results go to `map`. math.* ops become instructions
// (vector_math.h). Fails with a diagnostic at an op that has no lowering.
mlir::LogicalResult emitRegionOp(Builder &b, mlir::Operation *op, mlir::IRMapping &map);

// Emits all ops of `body` before its terminator. `map` holds the block arguments; `index(d)` gives the value
// of `kernel.index d` (i32 scalar or vector<16xi32>). kernel.reduce is an error here: kernel.loops handles it
// itself.
mlir::LogicalResult emitRegion(Builder &b, mlir::Block &body, mlir::IRMapping &map,
                               llvm::function_ref<mlir::Value(int64_t)> index);

// A value of the region in 16 lanes.
mlir::Value lanesOf(Builder &b, const mlir::IRMapping &map, mlir::Value value);

} // namespace weft::cpu
