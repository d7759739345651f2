// The dot units, one class each; matmul_unit.h says which is for what.
#pragma once
#include "passes/codegen/cpu/matmul_unit.h"

namespace weft::cpu {

// A unit whose chain is one step after another.
class StepUnit : public DotUnit {
public:
  StepUnit(Builder &b, mlir::Type sum, MatmulTile tile, int64_t columnsTogether, mlir::Type packed)
      : DotUnit(b, sum, tile), packed(packed), columnsTogether(columnsTogether) {}
  Values chain(mlir::ValueRange acc, const LhsAddress &lhs, const PanelAddress &panel, const Ahead &ahead,
               mlir::Value count) override;
  Values chainSteps(mlir::ValueRange acc, const LhsAddress &lhs, RhsAt rhsAt, mlir::Value count) override;
  Values chainColumns(mlir::ValueRange acc, const LhsAddress &lhs, const ColumnPointers &columns,
                      mlir::Value next, mlir::Value count) override;

protected:
  // `acc`: for each chain that a sum is made of, each row and each of rhs, a vector of as many lanes as rhs
  // has. `lhs`: where each row has the step's element.
  virtual Values step(mlir::ValueRange acc, const Values &lhs, const Values &rhs) = 0;
  // What lies at `lhs` in all lanes of a vector like `rhs`.
  mlir::Value lhsLanes(mlir::Value lhs, mlir::Value rhs);
  mlir::Type packed; // an element of the panels

private:
  // Where each row of lhs has step k + i.
  Values lhsAt(const LhsAddress &lhs, mlir::Value k, int64_t i);

  const int64_t columnsTogether; // UnitFacts'
};

class FmaUnit : public StepUnit {
public:
  FmaUnit(Builder &b, mlir::Type sum, MatmulTile tile, int64_t columnsTogether)
      : StepUnit(b, sum, tile, columnsTogether, sum) {}

private:
  Values step(mlir::ValueRange acc, const Values &lhs, const Values &rhs) override;
};

// bf16 in pairs: an i32 of a panel holds k (low half) and k + 1.
class PairUnit : public StepUnit {
public:
  PairUnit(Builder &b, mlir::Type sum, MatmulTile tile, int64_t columnsTogether)
      : StepUnit(b, sum, tile, columnsTogether, b.getI32Type()) {}

protected:
  mlir::Value even(mlir::Value pairs); // f32 of k
  mlir::Value odd(mlir::Value pairs);  // of k + 1
};

class DotPairUnit : public PairUnit {
public:
  using PairUnit::PairUnit;

private:
  Values step(mlir::ValueRange acc, const Values &lhs, const Values &rhs) override;
};

class FmaPairUnit : public PairUnit {
public:
  using PairUnit::PairUnit;

private:
  Values step(mlir::ValueRange acc, const Values &lhs, const Values &rhs) override;
};

// 16 pairs at a time, whole groups of them: the even k and the odd k from zero, then acc += even + odd.
class FmaGroupUnit : public PairUnit {
public:
  using PairUnit::PairUnit;
  Values chainSteps(mlir::ValueRange acc, const LhsAddress &lhs, RhsAt rhsAt, mlir::Value count) override;
  Values chainColumns(mlir::ValueRange acc, const LhsAddress &lhs, const ColumnPointers &columns,
                      mlir::Value next, mlir::Value count) override;

private:
  // `acc`: the even chains, then the odd ones.
  Values step(mlir::ValueRange acc, const Values &lhs, const Values &rhs) override;
  Values sumGroups(
      mlir::ValueRange acc, const LhsAddress &lhs, mlir::Value count,
      llvm::function_ref<Values(mlir::Value group, mlir::ValueRange zeros, const LhsAddress &lhs)> chains);
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
