// From the emitters' dialects (scf, arith, math, vector, llvm) to the llvm dialect alone, for every target.
#pragma once
#include "mlir/IR/BuiltinOps.h"

namespace weft::cpu {

// Common subexpressions first, then structured loops to branches, then all ops in one conversion. Ops of the
// llvm and nvvm dialects stay.
mlir::LogicalResult lowerToLLVM(mlir::ModuleOp module);

} // namespace weft::cpu
