// Structured control flow in a line each, for the hand-shaped kernels (matmul, attention).
#pragma once
#include "passes/codegen/cpu/lanes.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

namespace weft::cpu {

using Values = llvm::SmallVector<mlir::Value>;

// for (i64 i = low; i < high; i += step): `body(i, carried)` returns the carried values of the next round.
template <typename Body>
Values forLoop(Builder &b, mlir::Value low, mlir::Value high, int64_t step, mlir::ValueRange carried,
               Body &&body) {
  auto loop = b.create<mlir::scf::ForOp>(low, high, constantI64(b, step), carried);
  mlir::OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(loop.getBody());
  Values next = body(loop.getInductionVar(), mlir::ValueRange(loop.getRegionIterArgs()));
  if (carried.empty()) {
    if (!loop.getBody()->mightHaveTerminator()) b.create<mlir::scf::YieldOp>();
  } else {
    b.create<mlir::scf::YieldOp>(next);
  }
  return Values(loop.getResults());
}

// The same with nothing carried.
template <typename Body>
void forLoop(Builder &b, mlir::Value low, mlir::Value high, int64_t step, Body &&body) {
  forLoop(b, low, high, step, mlir::ValueRange(), [&](mlir::Value i, mlir::ValueRange) {
    body(i);
    return Values();
  });
}

template <typename Body> void forLoop(Builder &b, int64_t low, mlir::Value high, int64_t step, Body &&body) {
  forLoop(b, constantI64(b, low), high, step, body);
}

// if (condition) then(): nothing comes out.
template <typename Then> void ifThen(Builder &b, mlir::Value condition, Then &&then) {
  auto op = b.create<mlir::scf::IfOp>(condition, /*withElseRegion=*/false);
  mlir::OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(op.thenBlock());
  then();
}

// condition ? then() : otherwise(), each a list of values of `types`.
template <typename Then, typename Else>
Values ifElse(Builder &b, mlir::TypeRange types, mlir::Value condition, Then &&then, Else &&otherwise) {
  auto op = b.create<mlir::scf::IfOp>(types, condition, /*withElseRegion=*/true);
  mlir::OpBuilder::InsertionGuard guard(b);
  auto fill = [&](mlir::Block *block, auto &&make) {
    b.setInsertionPointToStart(block);
    Values values = make();
    if (types.empty()) return; // the builder has put the terminator
    b.create<mlir::scf::YieldOp>(values);
  };
  fill(op.thenBlock(), then);
  fill(op.elseBlock(), otherwise);
  return Values(op.getResults());
}

inline mlir::Value lessThan(Builder &b, mlir::Value x, mlir::Value y) {
  return b.create<mlir::arith::CmpIOp>(mlir::arith::CmpIPredicate::slt, x, y);
}
inline mlir::Value atLeast(Builder &b, mlir::Value x, mlir::Value y) {
  return b.create<mlir::arith::CmpIOp>(mlir::arith::CmpIPredicate::sge, x, y);
}
inline mlir::Value subI64(Builder &b, mlir::Value x, mlir::Value y) {
  return b.create<mlir::arith::SubIOp>(x, y);
}
inline mlir::Value maxI64(Builder &b, mlir::Value x, mlir::Value y) {
  return b.create<mlir::arith::MaxSIOp>(x, y);
}
inline mlir::Value addI64(Builder &b, mlir::Value x, int64_t y) { return addI64(b, x, constantI64(b, y)); }
inline mlir::Value mulI64(Builder &b, mlir::Value x, int64_t y) { return mulI64(b, x, constantI64(b, y)); }
// x / y and x % y for x >= 0, y > 0; powers of two become shifts in LLVM.
inline mlir::Value divI64(Builder &b, mlir::Value x, mlir::Value y) {
  return b.create<mlir::arith::DivUIOp>(x, y);
}
inline mlir::Value divI64(Builder &b, mlir::Value x, int64_t y) { return divI64(b, x, constantI64(b, y)); }
inline mlir::Value remI64(Builder &b, mlir::Value x, mlir::Value y) {
  return b.create<mlir::arith::RemUIOp>(x, y);
}
inline mlir::Value ceilDivI64(Builder &b, mlir::Value x, int64_t y) {
  return divI64(b, addI64(b, x, y - 1), y);
}

// How many of vector `v`'s 16 columns exist when `columns` (i64, may exceed) exist in all: 0 to 16.
inline mlir::Value lanesLeft(Builder &b, mlir::Value columns, int64_t v) {
  mlir::Value left = subI64(b, columns, constantI64(b, v * kLanes));
  return maxI64(b, minI64(b, left, constantI64(b, kLanes)), constantI64(b, 0));
}

} // namespace weft::cpu
