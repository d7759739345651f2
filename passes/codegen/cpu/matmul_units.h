// The dot units, one class each; matmul_unit.h says which is for what.
#pragma once
#include "passes/codegen/cpu/matmul_unit.h"

namespace weft::cpu {

// A unit whose chain is one step after another.
class StepUnit : public DotUnit {
public:
  StepUnit(Builder &b, mlir::Type sum, MatmulTile tile, mlir::Type packed)
      : DotUnit(b, sum, tile), packed(packed) {}
  Values chain(mlir::ValueRange acc, const LhsAddress &lhs, const PanelAddress &panel, const Ahead &ahead,
               mlir::Value count) override;

protected:
  virtual Values step(mlir::ValueRange acc, mlir::Value lhs, int64_t lhsRowStride, mlir::Value panelRow) = 0;
  mlir::Type packed; // an element of the panels

  void prefetch(mlir::Value line);

private:
  void prefetch(const Ahead &ahead, mlir::Value k, int64_t steps);
};

class FmaUnit : public StepUnit {
public:
  FmaUnit(Builder &b, mlir::Type sum, MatmulTile tile, int64_t transposed)
      : StepUnit(b, sum, tile, sum), transposed(transposed) {}
  Values chainColumns(mlir::ValueRange acc, const LhsAddress &lhs, const ColumnPointers &columns,
                      mlir::Value next, mlir::Value count) override;

private:
  Values step(mlir::ValueRange acc, mlir::Value lhs, int64_t lhsRowStride, mlir::Value panelRow) override;

  const int64_t transposed;
};

// bf16 in pairs: an i32 of a panel holds k (low half) and k + 1.
class PairUnit : public StepUnit {
public:
  PairUnit(Builder &b, mlir::Type sum, MatmulTile tile) : StepUnit(b, sum, tile, b.getI32Type()) {}

protected:
  mlir::Value rhsPairs(mlir::Value panelRow, int64_t v);                    // vector<16xi32>
  mlir::Value lhsPairs(mlir::Value lhs, int64_t row, int64_t lhsRowStride); // likewise, one pair in all lanes
  mlir::Value even(mlir::Value pairs);                                      // vector<16xf32> of k
  mlir::Value odd(mlir::Value pairs);                                       // of k + 1
};

class DotPairUnit : public PairUnit {
public:
  using PairUnit::PairUnit;

private:
  Values step(mlir::ValueRange acc, mlir::Value lhs, int64_t lhsRowStride, mlir::Value panelRow) override;
};

class FmaPairUnit : public PairUnit {
public:
  using PairUnit::PairUnit;

private:
  Values step(mlir::ValueRange acc, mlir::Value lhs, int64_t lhsRowStride, mlir::Value panelRow) override;
};

// 16 pairs at a time: the even k and the odd k from zero, then acc += even + odd.
class FmaGroupUnit : public PairUnit {
public:
  using PairUnit::PairUnit;
  Values chain(mlir::ValueRange acc, const LhsAddress &lhs, const PanelAddress &panel, const Ahead &ahead,
               mlir::Value count) override;

private:
  // `acc`: the even chains, then the odd ones.
  Values step(mlir::ValueRange acc, mlir::Value lhs, int64_t lhsRowStride, mlir::Value panelRow) override;
};

// Tiles of 16 x 16 sums: 1 or 2 by 2 of them. lhs is packed row by row, 64 bytes a group of 32 k: the kStride
// of its address is not used, its rowStride is in bytes.
class AmxUnit : public DotUnit {
public:
  using DotUnit::DotUnit;
  Values zero() override;
  Values loadAcc(const TileAddress &from) override;
  void storeAcc(const TileAddress &to, mlir::ValueRange acc) override;
  Values chain(mlir::ValueRange acc, const LhsAddress &lhs, const PanelAddress &panel, const Ahead &ahead,
               mlir::Value count) override;

private:
  int64_t tileRows() const { return tile.rows / kAmxRows; }
  // Calls f(tile register, address) for each tile of sums.
  void forTiles(const TileAddress &at, llvm::function_ref<void(int64_t, mlir::Value)> f);
};

} // namespace weft::cpu
