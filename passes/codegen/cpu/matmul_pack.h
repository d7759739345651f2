// Copies of operand blocks into the order in which a micro-kernel reads them.
#pragma once
#include "passes/codegen/cpu/level.h"
#include "passes/codegen/cpu/matmul_control.h"

namespace weft::cpu {

// 16 x 16 elements in registers take 64 shuffles, and LLVM takes longer over them than over the rest of most
// kernels: they are in a function that kernels call with an array of the rows' addresses. Not where each call
// moves so little that calling is a part of the time.
enum class Packing { byCall, here };

// Interleaves rows: element k of rows[i] goes to destination + k * step + i, for k in [0, count).
// rows: addresses of contiguous elements, a power of two of at most 16 of them; step = their number, or at
// least 16 when there are 16. Works on 16 x rows at a time in registers, in log2(rows) rounds of zips or, on
// AVX2, in squares of eight. Example, two rows a and b: a0 b0 a1 b1 … `ahead`: what is read next lies so many
// bytes (i64) behind each row, and is asked for meanwhile; null: nothing is.
void packInterleaved(Builder &b, const CpuLevel &level, mlir::Type element, llvm::ArrayRef<mlir::Value> rows,
                     mlir::Value count, mlir::Value destination, int64_t step, Packing how = Packing::byCall,
                     mlir::Value ahead = {});

// The same for rows whose elements lie `stride` (i64) apart, one at a time; any number of rows and any step.
void packScalars(Builder &b, mlir::Type element, llvm::ArrayRef<mlir::Value> rows, mlir::Value stride,
                 mlir::Value from, mlir::Value count, mlir::Value destination, int64_t step);

// Vectors of 16, a power of two of them, element by element side by side: all rows' first elements, then all
// second ones. 16 of them are transposed.
Values interleave(Builder &b, Values rows);

// A square of 16 x 16 elements transposed, or of 8 x 8: in 24 shuffles of AVX2, where zips of 16 lanes take
// more than twice as many an element.
Values transpose(Builder &b, llvm::ArrayRef<mlir::Value> rows);
// The edge of the squares of 4-byte elements that a level's registers hold.
int64_t transposedLanes(const CpuLevel &level);

// bf16 in pairs: an i32 for each i16 of `low` and, in its upper half, of `high`; null: zero.
mlir::Value joinPairs(Builder &b, mlir::Value low, mlir::Value high);

// Steps [from, to) of zeros: `width` elements of i32 each.
void zeroSteps(Builder &b, mlir::Value destination, mlir::Value from, mlir::Value to, int64_t width,
               int64_t step);

// `rows` (pointers to bf16, elements of k `stride` apart) side by side, a step a pair of k: `count` elements
// of k, then zeros up to `steps`.
void packRowsInPairs(Builder &b, const CpuLevel &level, llvm::ArrayRef<mlir::Value> rows, mlir::Value stride,
                     bool contiguous, mlir::Value count, mlir::Value steps, mlir::Value destination,
                     int64_t step, Packing how = Packing::byCall, mlir::Value ahead = {});

} // namespace weft::cpu
