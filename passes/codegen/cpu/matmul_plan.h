// What is fixed about a matmul before code is emitted: the unit and its register tile on a level, and where
// things lie in scratch.
#pragma once
#include "passes/codegen/cpu/level.h"
#include "passes/codegen/cpu/matmul_unit.h"

namespace weft::cpu {

struct MatmulPlan {
  mlir::Type element; // of the operands
  mlir::Type sum;     // of the accumulators
  mlir::Type packed;  // of the panels
  UnitFacts unit;
  MatmulTile tile;
  int64_t blockM, blockN, blockK; // the schedule's: work items must not depend on the level
  int64_t steps;                  // packed elements of k in a whole block
  bool direct;                    // result 0 is the accumulator itself: partial sums wait in its buffer
  bool inPlace;                   // rhs is read where it lies, with k contiguous, not packed
  int64_t streamedTiles; // tiles of few rows, which take each panel of a packed rhs together while the next
                         // one comes from memory; 0 = tiles one after another
  bool epilogueInRegisters; // it is short, and sums are in SSA values
  int64_t lhsWidth;    // elements a k step takes in a packed lhs tile: the tile's rows, rounded up where rows
                       // are interleaved
  int64_t lhsRowBytes; // AMX: a packed row of lhs
  int64_t lhsTileBytes; // from one packed tile of lhs to the next, and of rhs. A row of k is packed into all
  int64_t rhsTileBytes; // tiles at once, so that they must not share their places in the first level
  int64_t partialColumns; // of partial sums in scratch: whole tiles
  int64_t partialRows;    // of one m block, whole tiles
  int64_t chunkBlocks;    // m blocks whose partial sums scratch holds
  int64_t lhsOffset, rhsOffset, partialOffset, configOffset, scratchBytes;
};

MatmulPlan planMatmul(kernel::MatmulOp op, const CpuLevel &level);

// Says what this emitter cannot compile.
mlir::LogicalResult checkMatmul(kernel::MatmulOp op);

} // namespace weft::cpu
