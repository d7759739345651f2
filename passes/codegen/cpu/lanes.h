// Vectors of 16 lanes: loads, stores, masks and combinations, the words in which every CPU kernel is written.
#pragma once
#include "dialects/kernel/kernel.h"

#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"

namespace weft::cpu {

// Virtual lanes of a vector, whatever the level and the element type.
constexpr int64_t kLanes = 16;

using Builder = mlir::ImplicitLocOpBuilder;

mlir::VectorType laneType(mlir::Type element); // vector<16 x element>
mlir::Type memoryType(
    mlir::Type element); // how an element lies in memory: i1 as i8 (0 or 1), bf16 as i16, others as they are
int64_t memoryBytes(mlir::Type element);            // bytes of one element in memory
mlir::Value constantI64(Builder &b, int64_t value); // i64
mlir::Value constantI32(Builder &b, int32_t value); // i32
mlir::Value zeroOf(Builder &b, mlir::Type type);    // of a scalar or vector type
// `value` (number of the element type) as a constant of a float type, scalar or vector.
mlir::Value constantFloat(Builder &b, mlir::Type type, double value);
mlir::Value constantInt(Builder &b, mlir::Type type, int64_t value);

// A scalar repeated in 16 lanes; a vector comes back as it is.
mlir::Value splat(Builder &b, mlir::Value value);

// vector<16xi32> 0, 1, …, 15.
mlir::Value iota(Builder &b);

// vector<16xi1>: lanes below `count` (i64, 0 to 16).
mlir::Value tailMask(Builder &b, mlir::Value count);

// The address of element `index` (i64, in elements) of a buffer of `element`.
mlir::Value elementAddress(Builder &b, mlir::Value pointer, mlir::Value index, mlir::Type element);

mlir::Value loadScalar(Builder &b, mlir::Value pointer, mlir::Type element);
void storeScalar(Builder &b, mlir::Value pointer, mlir::Value value);

// 16 elements from `pointer`, `stride` (i64 elements; null = contiguous) apart. With a mask, lanes off are
// not read and give zero.
mlir::Value loadLanes(Builder &b, mlir::Value pointer, mlir::Type element, mlir::Value mask = {},
                      mlir::Value stride = {});
// Lanes off of the mask are not written.
void storeLanes(Builder &b, mlir::Value pointer, mlir::Value vector, mlir::Value mask = {},
                mlir::Value stride = {});

// Reductions over columns (kernel.reduce), floats and integers. max: a NaN anywhere gives NaN; +0 and -0 are
// equal, so that the sign of a zero maximum follows the order of combination.
mlir::Value reductionIdentity(Builder &b, kernel::RowReduceKind kind,
                              mlir::Type type); // sum: 0; max: -inf or the least integer
// `x` is what a chain has so far: the latency from it to the result is the shortest.
mlir::Value combine(Builder &b, kernel::RowReduceKind kind, mlir::Value x, mlir::Value y);
// 16 lanes to one scalar by halves: lane j with j + 8, then j + 4, and so on.
mlir::Value combineHalves(Builder &b, kernel::RowReduceKind kind, mlir::Value lanes);

// `min(x, y)`, `max(x, y)`, `x + y`, `x * y` of i64; multiplications by constants 0 and 1 disappear.
mlir::Value addI64(Builder &b, mlir::Value x, mlir::Value y);
mlir::Value mulI64(Builder &b, mlir::Value x, mlir::Value y);
mlir::Value minI64(Builder &b, mlir::Value x, mlir::Value y);

} // namespace weft::cpu
