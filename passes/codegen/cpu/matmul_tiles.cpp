// A block's tiles: where a tile's sums begin, the micro-kernel of the dot unit, where its sums go.
#include "mlir/IR/Matchers.h"
#include "passes/codegen/cpu/matmul_emitter.h"

using namespace mlir;
namespace weft::cpu {

Value MatmulEmitter::Rows::some(DotUnit &unit) const {
  IntegerAttr known;
  const bool all = matchPattern(count, m_Constant(&known)) && known.getInt() == unit.shape().rows;
  return all ? Value() : count;
}

Value MatmulEmitter::Rows::within(Builder &b, DotUnit &unit, int64_t r) const {
  Value row = constantI64(b, r);
  return some(unit) ? minI64(b, row, subI64(b, count, constantI64(b, 1))) : row;
}

Values MatmulEmitter::initial(DotUnit &unit, const Block &block, const Rows &rows, Value column,
                              const TileAddress &partial) {
  Values zero = unit.zero();
  SmallVector<Type> types(zero.size(), laneType(plan.sum));
  Value left = subI64(b, block.columns, column);
  auto loadPartial = [&] {
    if (!plan.direct) return unit.loadAcc(partial);
    askForSums(unit, block, rows, column);
    return ifElse(
        b, types, atLeast(b, left, constantI64(b, plan.tile.columns())),
        [&] { return unit.loadAcc(partial); },
        [&] {
          return unit.loadAcc({partial.pointer, partial.rowStride, left, partial.rows});
        });
  };
  auto start = [&]() -> Values {
    if (!op.getInit()) return zero;
    // Only without `direct`: the running value lies in result 0's buffer, whatever its strides.
    if (frame.strideIs(output, 2, 1)) askForSums(unit, block, rows, column);
    auto loadRow = [&](Value r) {
      Values row;
      for (int64_t v = 0; v < plan.tile.vectors; ++v) {
        Value mask = tailMask(b, lanesLeft(b, left, v)),
              n = addI64(b, addI64(b, block.column, column), v * kLanes);
        Value stride = frame.strideIs(output, 2, 1) ? Value() : frame.stride(output, 2);
        row.push_back(
            loadLanes(b, access(output, block.batch, addI64(b, rows.row, r), n), plan.sum, mask, stride));
      }
      return row;
    };
    Values acc;
    if (plan.unit.kind != UnitKind::amx) {
      for (int64_t r = 0; r < unit.shape().rows; ++r) acc.append(loadRow(rows.within(b, unit, r)));
      return acc;
    }
    // To tiles by way of scratch.
    forLoop(b, 0, rows.count, 1, [&](Value r) {
      Value to = at(partial.pointer, mulI64(b, r, partial.rowStride), plan.sum);
      for (auto [v, vector] : llvm::enumerate(loadRow(r)))
        storeLanes(b, at(to, constantI64(b, v * kLanes), plan.sum), vector);
    });
    return unit.loadAcc(partial);
  };
  if (plan.direct && op.getInit()) return loadPartial();
  return ifElse(b, types, block.first, start, loadPartial);
}

PanelAddress MatmulEmitter::panelAt(const Block &block, Value column) {
  int64_t width = plan.tile.columns(), panel = kernel::kPanelColumns;
  if (!op.getPackedRhs()) return {rhsTile(divI64(b, column, width)), constantI64(b, width)};
  // In pairs: a panel has k / 2 rows of 32, of which a narrower tile takes a part.
  Value n = addI64(b, block.column, column), row = divI64(b, block.k, 2);
  Value pairs = mulI64(b, ceilDivI64(b, frame.size(3), kernel::kPanelDepth), kernel::kPanelDepth / 2);
  row = addI64(b, row, mulI64(b, divI64(b, n, panel), pairs));
  Value pair = addI64(b, mulI64(b, row, panel), remI64(b, n, constantI64(b, panel)));
  Value none = constantI64(b, 0);
  return {at(access(kRhsAccess, block.batch, none, none), pair, plan.packed), constantI64(b, panel)};
}

// Columns past the end repeat the last one: nobody reads what comes of them.
ColumnPointers MatmulEmitter::columnsAt(const Block &block, Value column) {
  Value source = access(kRhsAccess, block.batch, block.k, block.column), stride = frame.stride(kRhsAccess, 2);
  Value last = subI64(b, block.columns, constantI64(b, 1));
  ColumnPointers pointers;
  for (int64_t i = 0; i < plan.tile.columns(); ++i)
    pointers.push_back(at(source, mulI64(b, minI64(b, addI64(b, column, i), last), stride), plan.element));
  return pointers;
}

// All of the panel that is read after the one at `column`.
Ahead MatmulEmitter::nextPanel(const Block &block, Value column) {
  const int64_t bytes = memoryBytes(plan.packed);
  PanelAddress next = panelAt(block, addI64(b, column, plan.tile.columns()));
  return {next.pointer, mulI64(b, next.stride, bytes), plan.tile.columns() * bytes / kLineBytes};
}

// A short epilogue takes the sums from registers; a longer one follows behind the last tile, over whole rows
// of the block, which lie together in memory where tiles' do not.
void MatmulEmitter::emitTiles(DotUnit &unit, const Block &block, const Rows &rows, LhsAddress lhs,
                              llvm::function_ref<Ahead(Value column)> aheadOf) {
  forLoop(b, 0, block.columns, plan.tile.columns(), [&](Value column) {
    // A product of one row does nothing but wait for its panels.
    const bool waits = op.getSchedule()->getTileM() == 1 && op.getPackedRhs();
    emitTile(unit, block, rows, column, lhs,
             aheadOf ? aheadOf(column)
             : waits ? nextPanel(block, column)
                     : Ahead());
  });
  emitLongEpilogue(block, rows);
}

// Few rows: each panel comes from memory once. The tiles of rows share it while it is in the second level,
// and ask for the next one: of a packed panel a part each.
void MatmulEmitter::emitStreamedTiles(const Block &block, Value row, Value partialRow, Value tiles) {
  auto unit = makeUnit(b, plan.unit, plan.sum, plan.tile);
  auto rowsOf = [&](Value tile) {
    Value within = mulI64(b, tile, plan.tile.rows);
    return Rows{addI64(b, row, within), constantI64(b, plan.tile.rows), addI64(b, partialRow, within)};
  };
  forLoop(b, 0, block.columns, plan.tile.columns(), [&](Value column) {
    Ahead next = plan.inPlace ? Ahead() : nextPanel(block, column);
    if (plan.streamedTiles > 1) next.stride = constantI64(b, kLineBytes), next.lines = 1;
    forLoop(b, 0, tiles, 1, [&](Value tile) {
      Ahead part = next;
      if (plan.streamedTiles > 1 && next.pointer)
        part.pointer = at(next.pointer, mulI64(b, tile, mulI64(b, block.steps, kLineBytes)), b.getI8Type());
      emitTile(*unit, block, rowsOf(tile), column, {lhsTile(tile), 1, constantI64(b, plan.lhsWidth)}, part);
    });
  });
  forLoop(b, 0, tiles, 1, [&](Value tile) { emitLongEpilogue(block, rowsOf(tile)); });
}

void MatmulEmitter::emitTile(DotUnit &unit, const Block &block, const Rows &rows, Value column,
                             const LhsAddress &lhs, const Ahead &ahead) {
  int64_t width = plan.tile.columns();
  TileAddress partial =
      plan.direct ? TileAddress{access(output, block.batch, rows.row, addI64(b, block.column, column)),
                                frame.stride(output, 1),
                                {},
                                rows.some(unit)}
                  : partialAt(block, rows, column);
  if (!plan.direct) partial.rows = rows.some(unit);
  Values acc = initial(unit, block, rows, column, partial);
  acc = plan.inPlace ? unit.chainColumns(acc, lhs, columnsAt(block, column),
                                         mulI64(b, frame.stride(kRhsAccess, 2), width), block.steps)
                     : unit.chain(acc, lhs, panelAt(block, column), ahead, block.steps);
  Value left = subI64(b, block.columns, column), whole = atLeast(b, left, constantI64(b, width));
  auto otherwise = [&](Value condition, auto &&then, auto &&other) {
    auto none = [&](auto &&make) { return [&] { return make(), Values(); }; };
    ifElse(b, TypeRange(), condition, none(then), none(other));
  };
  if (plan.direct) {
    otherwise(
        whole, [&] { unit.storeAcc(partial, acc); },
        [&] {
          unit.storeAcc({partial.pointer, partial.rowStride, left, partial.rows}, acc);
        });
  } else if (plan.epilogueInRegisters) {
    otherwise(
        block.last,
        [&] {
          otherwise(
              whole, [&] { emitEpilogue(unit, block, rows, column, {}, acc); },
              [&] { emitEpilogue(unit, block, rows, column, left, acc); });
        },
        [&] { unit.storeAcc(partial, acc); });
  } else {
    unit.storeAcc(partial, acc);
  }
}

// [n tile][row][tile_n]. With one K block the partial sums live until the epilogue of their rows, always in
// the same place, or that of a block of rows where tiles are streamed.
TileAddress MatmulEmitter::partialAt(const Block &block, const Rows &rows, Value column) {
  int64_t width = plan.tile.columns();
  auto oneOr = [&](int64_t one, Value more) -> Value {
    return b.create<arith::SelectOp>(block.oneBlock, constantI64(b, one), more);
  };
  bool together = plan.streamedTiles > 0;
  Value tileRows = oneOr(together ? plan.partialRows : plan.tile.rows,
                         constantI64(b, plan.chunkBlocks * plan.partialRows));
  Value row = together ? rows.partial : oneOr(0, rows.partial);
  Value place = addI64(b, mulI64(b, column, tileRows), mulI64(b, row, width));
  return {at(scratchAt(plan.partialOffset), place, plan.sum), constantI64(b, width), {}, {}};
}

} // namespace weft::cpu
