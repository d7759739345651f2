// The code of one kernel.matmul: the nest (matmul.cpp), its tiles and what follows them (matmul_tiles.cpp,
// matmul_epilogue.cpp), how operands are packed (matmul_operands.cpp) and asked for before
// (matmul_ahead.cpp).
#pragma once
#include "passes/codegen/cpu/matmul_pack.h"
#include "passes/codegen/cpu/matmul_plan.h"

namespace weft::cpu {

constexpr int64_t kLhsAccess = 0, kRhsAccess = 1;

class MatmulEmitter {
public:
  MatmulEmitter(kernel::MatmulOp op, KernelFrame &frame)
      : op(op), frame(frame), b(frame.b), plan(planMatmul(op, frame.level)), output(frame.layout.numInputs) {}

  mlir::LogicalResult emit();

private:
  struct Block {                        // one K block of one run of items
    mlir::Value batch, column, columns; // first column, columns in it
    mlir::Value rowBegin, rowEnd;       // of the run; its m blocks are counted from the first
    mlir::Value kBegin, kEnd;           // what is summed over
    mlir::Value k, kCount;
    mlir::Value steps;       // packed elements of k, filled up with zeros
    mlir::Value first, last; // i1: of the K blocks
    mlir::Value oneBlock;    // i1: it is the only one
    mlir::Value chunk;       // m block at which the partial sums in scratch begin
    mlir::Value chunkEnd;    // the one behind the last whose sums it holds
  };
  // Rows that go through a unit together.
  struct Rows {
    mlir::Value row, count; // first, those that exist
    mlir::Value partial;    // the row of partial sums

    // `count` where it may be less than the unit's rows, else null.
    mlir::Value some(DotUnit &unit) const;
    // The unit's row r, of those that exist: the last one for what is behind it.
    mlir::Value within(Builder &b, DotUnit &unit, int64_t r) const;
  };

  // Rows of k of an operand that are packed next: the m block's tiles ask for them in turns, a line of a row
  // with each iteration of their loops over k.
  struct Coming {
    int64_t access = 0, lines = 0; // lhs or rhs; of a row
    mlir::Value source;            // the first row; null: nothing comes
    mlir::Value first, rows;       // its k; how many, 0 or less: none
    mlir::Value skipped, turns;    // tiles before the first that asks, and those that do
    mlir::Value done;              // turns in m blocks before
  };
  std::pair<mlir::Value, mlir::Value> nextK(const Block &block); // and where k ends then
  Coming comingRows(int64_t access, mlir::Value source, mlir::Value k, mlir::Value end, int64_t elements);
  Coming lhsComing(const Block &block, mlir::Value mBlock);
  Coming rhsComing(const Block &block, mlir::Value mBlock);
  // Of both, lhs first, which is packed sooner.
  std::array<Coming, 2> comingTo(const Block &block, mlir::Value mBlock);
  // How far the rows are apart that a tile asks for, and so how many tiles' turns a line takes.
  int64_t rowsApart() { return plan.tile.stepsTogether() * plan.unit.pack; }
  // What the m block's tile (of rows and columns) asks for while it is computed.
  Ahead tileAhead(const Block &block, const std::array<Coming, 2> &coming, mlir::Value tile);
  void askFor(mlir::Value line) { b.create<mlir::LLVM::Prefetch>(line, /*rw=*/0, /*hint=*/2, /*cache=*/1); }
  void askForSums(DotUnit &unit, const Block &block, const Rows &rows, mlir::Value column);

  // Into [n tile][k][tile_n] and [m tile][k][rows], from the first row of K block and tile on.
  void packRhs(const Block &block);
  void packRhsPairs(const Block &block, mlir::Value source);
  void packLhs(const Block &block, mlir::Value row, mlir::Value tiles);
  mlir::Value nextLhs(int64_t rows); // bytes to the next tile's rows
  mlir::Value rowAhead(int64_t access, int64_t dim, const Block &block, mlir::Value k);
  // One tile of `rows` rows in pairs, at `to`; `width` of them are written a step. `count` of them exist,
  // null = all; the last one stands for the others.
  void packLhsPairs(const Block &block, mlir::Value row, int64_t rows, int64_t width, mlir::Value to,
                    mlir::Value count = {});
  // lhs of rows that are left over, for a unit of `height` rows.
  LhsAddress tailLhs(const Block &block, const Rows &rows, int64_t height);
  // `count` rows one after another, for AMX.
  void packLhsRows(const Block &block, mlir::Value row, mlir::Value count, mlir::Value to);

  // The panel of columns from `column` of the block on: packed by packRhs, or as rhs lies.
  PanelAddress panelAt(const Block &block, mlir::Value column);
  Ahead nextPanel(const Block &block, mlir::Value column);

  ColumnPointers columnsAt(const Block &block, mlir::Value column);

  // The run of items of one block of columns: [low, high) are its m blocks.
  void emitRun(mlir::Value run, mlir::Value low, mlir::Value high);
  // Rows [rowBegin, rowEnd) times the columns, over all K blocks.
  void emitColumns(Block block);
  mlir::Value groupBound(mlir::Value group); // i64: where a group begins, within the dimension that is cut
  void emitRows(const Block &block, mlir::Value mBlock);
  void emitAmxRows(const Block &block, mlir::Value row, mlir::Value rows, mlir::Value partialRow);
  // The rows times all columns of the block; `lhs` holds their first k.
  void emitTiles(DotUnit &unit, const Block &block, const Rows &rows, LhsAddress lhs,
                 llvm::function_ref<Ahead(mlir::Value column)> aheadOf = nullptr);
  // The same for `tiles` tiles of rows from `row` on, a column at a time.
  void emitStreamedTiles(const Block &block, mlir::Value row, mlir::Value partialRow, mlir::Value tiles);
  void emitTile(DotUnit &unit, const Block &block, const Rows &rows, mlir::Value column,
                const LhsAddress &lhs, const Ahead &ahead);
  void emitLongEpilogue(const Block &block, const Rows &rows);
  Values initial(DotUnit &unit, const Block &block, const Rows &rows, mlir::Value column,
                 const TileAddress &partial);
  TileAddress partialAt(const Block &block, const Rows &rows, mlir::Value column);
  class EpilogueRow;
  void emitEpilogue(const Block &block, const Rows &rows);
  // From a tile's sums; `columns` of it exist, null = all.
  void emitEpilogue(DotUnit &unit, const Block &block, const Rows &rows, mlir::Value column,
                    mlir::Value columns, mlir::ValueRange acc);

  mlir::Value access(int64_t access, mlir::Value batch, mlir::Value row, mlir::Value column);
  // Whether rows along `dim` lie where an array of numbers says.
  bool isLookedUp(int64_t access, int64_t dim) {
    return isIndexed(access) &&
           dim == (access == kLhsAccess && op.getGrouped() != kernel::GroupedBy::m ? 2 : 1);
  }
  bool isIndexed(int64_t access) const { return frame.layout.accesses[access].getIndex() >= 0; }
  // Elements from `access` at `first` along its dimension `dim` to the one `i` further on. Of an indexed
  // access, whose address does not know `first`, from its beginning.
  mlir::Value along(int64_t access, int64_t dim, mlir::Value first, mlir::Value i);
  mlir::Value at(mlir::Value pointer, mlir::Value index, mlir::Type type) {
    return elementAddress(b, pointer, index, type);
  }
  mlir::Value bytesOf(mlir::Value elements) { return mulI64(b, elements, memoryBytes(plan.element)); }
  void prefetch(mlir::Value line) { b.create<mlir::LLVM::Prefetch>(line, /*rw=*/0, /*hint=*/3, /*cache=*/1); }
  mlir::Value scratchAt(int64_t bytes) {
    return elementAddress(b, frame.scratch, constantI64(b, bytes), b.getI8Type());
  }
  mlir::Value rhsTile(mlir::Value tile) {
    return at(scratchAt(plan.rhsOffset), mulI64(b, tile, plan.rhsTileBytes), b.getI8Type());
  }
  mlir::Value lhsTile(mlir::Value tile) {
    return at(scratchAt(plan.lhsOffset), mulI64(b, tile, plan.lhsTileBytes), b.getI8Type());
  }

  kernel::MatmulOp op;
  KernelFrame &frame;
  Builder &b;
  MatmulPlan plan;
  int64_t output; // the access of result 0
  mlir::LogicalResult status = mlir::success();
};

} // namespace weft::cpu
