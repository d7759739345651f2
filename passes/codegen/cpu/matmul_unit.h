// The dot unit of a matmul: what multiplies a register tile. Everything around it (cache blocks, packing,
// partial sums, epilogue) is matmul.cpp's and does not know the unit.
//
// A unit has a register tile of `rows` x `columns()`, takes `kStep()` elements of K a step, and keeps its
// accumulators in SSA values that loops carry; a unit with tiles of its own (AMX) carries none. `fma` is one
// fused-multiply-add chain an output, ascending along K.
#pragma once
#include "passes/codegen/cpu/frame.h"
#include "passes/codegen/cpu/matmul_control.h"

namespace weft::cpu {

// The register tile of one level.
struct MatmulTile {
  int64_t rows;    // of lhs
  int64_t vectors; // of 16 columns
  int64_t columns() const { return vectors * kLanes; }
};

// A tile in memory: row r, column c at pointer + r * rowStride + c. `columns`: those that exist (i64), null =
// all of the tile's.
struct TileAddress {
  mlir::Value pointer, rowStride;
  mlir::Value columns;
};

// lhs of one tile: element (row, k) at pointer + row * rowStride + k * kStride elements. Constants where
// null.
struct LhsAddress {
  mlir::Value pointer;
  int64_t rowStride;   // packed: 1
  mlir::Value kStride; // elements
};

class FmaUnit {
public:
  FmaUnit(Builder &b, mlir::Type element, MatmulTile tile) : b(b), element(element), tile(tile) {}

  int64_t kStep() const { return 1; }
  MatmulTile shape() const { return tile; }

  Values zero();
  Values loadAcc(const TileAddress &from);
  void storeAcc(const TileAddress &to, mlir::ValueRange acc);

  // acc + lhs * rhs over k in [0, count), ascending; rhs is a packed panel [k][columns].
  Values chain(mlir::ValueRange acc, const LhsAddress &lhs, mlir::Value panel, mlir::Value count,
               int64_t unroll);

private:
  Values step(mlir::ValueRange acc, mlir::Value lhs, int64_t lhsRowStride, mlir::Value panelRow);

  Builder &b;
  mlir::Type element;
  MatmulTile tile;
};

} // namespace weft::cpu
