// Weft's own exp, log, … of f32, emitted as arithmetic: the same bits on every level, and no call to libm.
//
// `x` is f32 or a vector of f32; scalars run the same steps as a lane. NaN gives NaN. Largest errors in ulp
// against libm in double, over every f32 where they are largest (tests/compiler/program/error_bounds_test.cpp
// has the arguments; loops_math_test.cpp sweeps a part):
//   exp 1.09, log 0.83, tanh 1.34, pow 0.51, sin and cos 1.49 up to |x| = 1e5; rsqrt 1.5 (sqrt and division,
//   each correctly rounded).
#pragma once
#include "passes/codegen/cpu/lanes.h"

namespace weft::cpu {

// -inf → 0, overflow → +inf, gradual underflow. `scalef`, of vector<16xf32> where there is AVX-512: its
// VSCALEFPS in place of nine instructions, with the same bits.
mlir::Value emitExp(Builder &b, mlir::Value x, bool scalef = false);
mlir::Value emitLog(Builder &b, mlir::Value x);  // ±0 → -inf, negative → NaN, subnormals as any number
mlir::Value emitTanh(Builder &b, mlir::Value x); // tanh(-0) = -0
mlir::Value emitPow(Builder &b, mlir::Value x, mlir::Value y); // special cases as C's pow; in f64 inside

// |x| up to 1e5; beyond that accuracy goes, but the result stays within [-1, 1]. ±inf → NaN.
mlir::Value emitSin(Builder &b, mlir::Value x);
mlir::Value emitCos(Builder &b, mlir::Value x);

// Expands a math.* op whose operands are `operands` (already scalar or vector): the value, or a null Value
// where it needs no expansion (sqrt, absf, fma, floor, … are instructions). Of f64, only those and rsqrt;
// others fail with a diagnostic.
mlir::FailureOr<mlir::Value> expandMath(Builder &b, mlir::Operation *op, mlir::ValueRange operands);

} // namespace weft::cpu
