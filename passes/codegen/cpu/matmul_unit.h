// The dot unit of a matmul: what multiplies a register tile. Everything around it (cache blocks, packing,
// partial sums, epilogue) is matmul.cpp's and knows a unit by this interface.
//
// A unit has a register tile of `rows` x `columns()` and adds products of a panel of lhs and one of rhs, as
// they are packed or as they lie. It keeps its accumulators in SSA values that loops carry; AMX,
// which has tiles of its own, carries none. The bits are those of the reduction's unit
// (dialects/kernel/kernel.td), whichever instructions give them:
//   fma       f32, f64     FmaUnit on every level
//   vdpbf16   bf16         DotPairUnit where there is VDPBF16PS, else FmaPairUnit
//   amx       bf16         AmxUnit where there is TDPBF16PS, else FmaGroupUnit
#pragma once
#include "passes/codegen/cpu/frame.h"
#include "passes/codegen/cpu/matmul_control.h"
#include <functional>
#include <memory>

namespace weft::cpu {

// The register tile of one level.
struct MatmulTile {
  int64_t rows;        // of lhs
  int64_t vectors;     // of 16 columns
  bool seldom = false; // run: for little code
  int64_t columns() const { return vectors * kLanes; }
  // Packed elements of k in one iteration of a chain's loop: 1, 2 or 4.
  int64_t stepsTogether() const;
};

// A tile in memory: row r, column c at pointer + r * rowStride + c. `columns`, `rows`: those that exist
// (i64), null = all of the tile's. A row that does not is the last one that does, again.
struct TileAddress {
  mlir::Value pointer, rowStride;
  mlir::Value columns, rows;
};

// lhs of one tile: element (row, k) at pointer + row * rowStride + k * kStride elements, packed ones where it
// is.
struct LhsAddress {
  mlir::Value pointer;
  int64_t rowStride;   // packed: 1
  mlir::Value kStride; // elements
  Values rows;         // where each row begins, instead of the two; empty = they are as far apart as that
};

// A panel of rhs: element (k, column) at pointer + k * stride + column, in packed elements.
struct PanelAddress {
  mlir::Value pointer;
  mlir::Value stride; // i64. Packed: the tile's columns, or more of which the tile is a part
};

constexpr int64_t kLineBytes = 64; // of a cache
// What is read later and still lies in memory: a chain asks for it as it goes, since a request for many lines
// at once waits for memory.
struct Ahead {
  mlir::Value pointer; // null = nothing
  mlir::Value stride;  // bytes from what one packed element of k asks for to what the next one does
  int64_t lines = 0;   // for each of them, one behind the other
  // More, with each iteration of the loop over k (of its last ones, a packed element each); null = nothing.
  std::function<void(mlir::Value k)> more = nullptr;
};

// rhs as it lies, where k is contiguous: a pointer to the first k of each of the tile's columns.
using ColumnPointers = Values;

// rhs of step k + i as a vector for each of the tile's; i is a step's number in an unrolled loop over k.
using RhsAt = llvm::function_ref<Values(mlir::Value k, int64_t i)>;

enum class UnitKind { fma, dotPair, fmaPair, fmaGroup, amx };

// What the plan knows of a unit before there is code.
struct UnitFacts {
  UnitKind kind;
  int64_t pack;            // elements of K in one packed element: 1, or 2 where two bf16 lie in 32 bits
  int64_t kMultiple;       // elements of K that panels are filled up to, with zeros
  int64_t columnsTogether; // that chainColumns transposes: half of the registers hold them
  // Of fmaGroup: whether sums wait in memory while a group's chains run. Of 16 registers that makes a tile of
  // two rows, not one, whose four chains are half of what two FMAs at a time take to come back.
  bool sumsInMemory = false;
  // Vectors of 16 lanes that a tile of accumulators and a step's operands take.
  int64_t vectorsFor(MatmulTile tile) const;
};
UnitFacts unitFacts(llvm::StringRef unit, const CpuLevel &level); // by #kernel.reduction's name

class DotUnit {
public:
  DotUnit(Builder &b, mlir::Type sum, MatmulTile tile) : b(b), sum(sum), tile(tile) {}
  virtual ~DotUnit() = default;

  MatmulTile shape() const { return tile; }

  virtual Values zero();
  virtual Values loadAcc(const TileAddress &from);
  virtual void storeAcc(const TileAddress &to, mlir::ValueRange acc);

  // acc + lhs * rhs over `count` packed elements of k, ascending.
  virtual Values chain(mlir::ValueRange acc, const LhsAddress &lhs, const PanelAddress &panel,
                       const Ahead &ahead, mlir::Value count) = 0;
  // The same sums for few rows, which would read a packed panel once; not of AMX.
  // rhs is what the caller puts together for each step.
  virtual Values chainSteps(mlir::ValueRange acc, const LhsAddress &lhs, RhsAt rhsAt, mlir::Value count);
  // rhs lies in columns whose packed elements are as a panel would have them, and is transposed in registers.
  // `next`: elements from a column to the one that is read after it, null = nothing; it is asked for
  // meanwhile, into the second level.
  virtual Values chainColumns(mlir::ValueRange acc, const LhsAddress &lhs, const ColumnPointers &columns,
                              mlir::Value next, mlir::Value count);

protected:
  Builder &b;
  mlir::Type sum; // of the accumulators
  MatmulTile tile;
};

std::unique_ptr<DotUnit> makeUnit(Builder &b, const UnitFacts &facts, mlir::Type sum, MatmulTile tile);

// AMX's tiles: what a kernel does before its first and after its last product. `scratch`: 64 bytes.
constexpr int64_t kAmxRows = 16;
void beginAmx(Builder &b, mlir::Value scratch);
void endAmx(Builder &b);

} // namespace weft::cpu
