// Conversions between f32 and bf16, in what a level has for them.
#pragma once
#include "passes/codegen/cpu/level.h"

#include "mlir/IR/BuiltinOps.h"

namespace weft::cpu {

// Replaces arith.extf and arith.truncf between f32 and bf16, of scalars and of vectors of 16. Rounding is to
// nearest even; f32's denormals become zero, as VCVTNEPS2BF16 does it on the levels that have it.
void expandBf16(mlir::ModuleOp module, const CpuLevel &level);

} // namespace weft::cpu
