// Weft's own exp, log, … of f32, emitted as arithmetic: the same bits on every level, and no call to libm.
//
// Largest error, against libm in double, found by the sweep of tests/compiler/codegen/vector_math_test.cpp: see the table in vector_math.cpp.
// `x` is f32 or a vector of f32; scalars run the same steps as a lane. NaN gives NaN everywhere.
#pragma once
#include "passes/codegen/cpu/lanes.h"

namespace weft::cpu {

mlir::Value emitExp(Builder &b, mlir::Value x);     // -inf → 0, overflow → +inf, gradual underflow
mlir::Value emitLog(Builder &b, mlir::Value x);     // 0 → -inf, negative → NaN, subnormals exact
mlir::Value emitSin(Builder &b, mlir::Value x);     // |x| up to 1e5; larger finite values lose accuracy, inf → NaN
mlir::Value emitCos(Builder &b, mlir::Value x);
mlir::Value emitTanh(Builder &b, mlir::Value x);
mlir::Value emitSigmoid(Builder &b, mlir::Value x); // 1 / (1 + exp(-x))
mlir::Value emitPow(Builder &b, mlir::Value x, mlir::Value y);

// Expands a math.* op whose operands are `operands` (already scalar or vector): the value, or a null Value where it needs no expansion
// (sqrt, absf, fma, floor, … are instructions). f64: only those; others fail with a diagnostic.
mlir::FailureOr<mlir::Value> expandMath(Builder &b, mlir::Operation *op, mlir::ValueRange operands);

} // namespace weft::cpu
