// The nest around a dot unit:
//   for each run of items of one (batch, n block)        a call's items, m innermost
//     (grouped: for each group that has rows, or K, there)
//     for each K block                                   partial sums wait in the output, or in scratch when
//     an epilogue follows
//       pack rhs      [n tile][k][tile_n] (not where it is packed, or read in place)
//       for each m block: pack lhs [m tile][k][rows] (likewise); for each m tile, n tile: the micro-kernel,
//       then the epilogue after the last K block
// Rows left over by the m tiles run through a micro-kernel of a few rows (AMX: of 16), of which not all need
// exist: the same chain, so the same bits. Those that do not are the last one again.
#include "passes/codegen/cpu/matmul.h"
#include "mlir/IR/Matchers.h"
#include "passes/codegen/cpu/matmul_emitter.h"
#include "passes/codegen/cpu/matmul_heuristics.h"
#include "passes/codegen/cpu/region.h"
#include "llvm/ADT/bit.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
namespace weft::cpu {

Value MatmulEmitter::access(int64_t access, Value batch, Value row, Value column) {
  Value operand =
      access >= output ? op.getResult(access - output) : op->getOperand(access == kLhsAccess ? 0 : 1);
  if (access > kRhsAccess && access < output) operand = op.getExtras()[access - 2];
  Type type = cast<RankedTensorType>(operand.getType()).getElementType();
  return elementAddress(b, frame.buffer(access), frame.offset(access, {batch, row, column}), type);
}

Value MatmulEmitter::along(int64_t access, int64_t dim, Value first, Value i) {
  bool cut = dim == (access == kLhsAccess && op.getGrouped() != kernel::GroupedBy::m ? 2 : 1);
  if (!isIndexed(access) || !cut) return mulI64(b, i, frame.stride(access, dim));
  int64_t rows = op.rowsNumber();
  Value at = elementAddress(b, frame.buffer(rows), frame.offset(rows, {addI64(b, first, i)}), b.getI32Type());
  return frame.offset(access, {}, loadScalar(b, at, b.getI32Type()));
}

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
  if (!op.getPackedRhs()) {
    Value tile = divI64(b, column, width), stride = constantI64(b, width);
    Value packed = rhsTile(tile);
    if (!plan.rhsInPlace) return {packed, stride};
    Value whole = atLeast(b, subI64(b, block.columns, column), stride);
    auto choose = [&](Value x, Value y) -> Value { return b.create<arith::SelectOp>(whole, x, y); };
    Value rows = access(kRhsAccess, block.batch, block.k, addI64(b, block.column, column));
    return {choose(rows, packed), choose(frame.stride(kRhsAccess, 1), stride)};
  }
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
void MatmulEmitter::emitTiles(DotUnit &unit, const Block &block, const Rows &rows, LhsAddress lhs) {
  forLoop(b, 0, block.columns, plan.tile.columns(), [&](Value column) {
    // A product of one row does nothing but wait for its panels.
    const bool waits = op.getSchedule()->getTileM() == 1 && op.getPackedRhs();
    Ahead next = waits ? nextPanel(block, column) : Ahead();
    emitTile(unit, block, rows, column, lhs, next);
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

void MatmulEmitter::emitLongEpilogue(const Block &block, const Rows &rows) {
  if (!plan.direct && !plan.epilogueInRegisters) ifThen(b, block.last, [&] { emitEpilogue(block, rows); });
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

// The region on vectors of 16 columns of one row.
class MatmulEmitter::EpilogueRow {
public:
  EpilogueRow(MatmulEmitter &e, const Block &block, Value row) : e(e), block(block), row(row) {
    for (size_t i = 0; i < e.op.getExtras().size() + e.op->getNumResults(); ++i) {
      int64_t which = i < e.op.getExtras().size() ? 2 + i : e.output + i - e.op.getExtras().size();
      Value start = e.access(which, block.batch, row, block.column);
      if (e.isIndexed(which)) { // looked up once a row
        int64_t from = e.frame.layout.accesses[which].getIndex();
        Type type = elementOf(from), element = elementOf(which);
        Value place = loadScalar(e.b, e.access(from, block.batch, row, block.column), type);
        start = e.at(start, e.frame.offset(which, {}, place), element);
      }
      starts.push_back(start);
    }
  }

  // Asks for what the next row reads at `column`: a row's part of a block is too short for the processor to
  // see it coming (1 % of a product with SwiGLU behind it).
  void prefetchNext(Value column) {
    Builder &b = e.b;
    for (size_t i = 0; i < e.op.getExtras().size(); ++i) {
      int64_t which = 2 + i;
      if (e.isIndexed(which) || !e.frame.strideIs(which, 2, 1)) continue;
      Value next = addI64(b, e.frame.stride(which, 1), column);
      b.create<LLVM::Prefetch>(e.at(starts[i], next, elementOf(which)), /*rw=*/0, /*hint=*/3, /*cache=*/1);
    }
  }

  // `column` of the block and its sums. A mask says which lanes exist.
  LogicalResult emit(Value column, Value sum, Value mask) {
    Builder &b = e.b;
    mlir::Block &body = e.op.getBody().front();
    IRMapping map;
    map.map(body.getArgument(0), sum);
    auto place = [&](int64_t i, int64_t which, Type type) {
      return e.at(starts[i], mulI64(b, column, e.frame.stride(which, 2)), type);
    };
    auto strideOf = [&](int64_t which) {
      return e.frame.strideIs(which, 2, 1) ? Value() : e.frame.stride(which, 2);
    };
    for (auto [i, extra] : llvm::enumerate(e.op.getExtras())) {
      int64_t which = 2 + i;
      Type type = cast<RankedTensorType>(extra.getType()).getElementType();
      bool oneValue = e.frame.strideIs(which, 2, 0);
      map.map(body.getArgument(1 + i),
              oneValue ? loadScalar(b, starts[i], type)
                       : loadLanes(b, place(i, which, type), type, mask, strideOf(which)));
    }
    auto index = [&](int64_t dim) -> Value { // kernel.index along (b, m, n)
      Value first = dim == 0 ? block.batch : dim == 1 ? row : addI64(b, block.column, column);
      first = b.create<arith::TruncIOp>(b.getI32Type(), first);
      return dim < 2 ? first : b.create<arith::AddIOp>(splat(b, first), iota(b));
    };
    if (failed(emitRegion(b, body, map, index))) return failure();
    for (auto [i, value] : llvm::enumerate(body.getTerminator()->getOperands())) {
      int64_t which = e.output + i;
      Type type = cast<RankedTensorType>(e.op->getResult(i).getType()).getElementType();
      storeLanes(b, place(e.op.getExtras().size() + i, which, type), lanesOf(b, map, value), mask,
                 strideOf(which));
    }
    return success();
  }

private:
  Type elementOf(int64_t access) {
    return cast<RankedTensorType>(kernel::accessedValue(e.op, access).getType()).getElementType();
  }

  MatmulEmitter &e;
  const Block &block;
  Value row;
  Values starts; // of extras, then results: this row, the block's first column
};

void MatmulEmitter::emitEpilogue(DotUnit &unit, const Block &block, const Rows &rows, Value column,
                                 Value columns, ValueRange acc) {
  auto emitRow = [&](int64_t r) {
    EpilogueRow row(*this, block, addI64(b, rows.row, r));
    for (int64_t v = 0; v < plan.tile.vectors; ++v) {
      Value mask = columns ? tailMask(b, lanesLeft(b, columns, v)) : Value();
      if (failed(row.emit(addI64(b, column, v * kLanes), acc[r * plan.tile.vectors + v], mask)))
        status = failure();
    }
  };
  // Once for each row: what it reads may be what it writes.
  for (int64_t r = 0; r < unit.shape().rows; ++r)
    if (r > 0 && rows.some(unit))
      ifThen(b, lessThan(b, constantI64(b, r), rows.count), [&] { emitRow(r); });
    else
      emitRow(r);
}

void MatmulEmitter::emitEpilogue(const Block &block, const Rows &rows) {
  int64_t width = plan.tile.columns();
  Value tail = remI64(b, block.columns, constantI64(b, width)), whole = subI64(b, block.columns, tail);
  forLoop(b, 0, rows.count, 1, [&](Value r) {
    EpilogueRow row(*this, block, addI64(b, rows.row, r));
    auto vector = [&](Value column, Value v, Value mask) {
      TileAddress tile = partialAt(block, rows, column);
      if (!mask) row.prefetchNext(addI64(b, column, v));
      Value sum = at(tile.pointer, addI64(b, mulI64(b, r, width), v), plan.sum);
      if (failed(row.emit(addI64(b, column, v), loadLanes(b, sum, plan.sum), mask))) status = failure();
    };
    forLoop(b, 0, whole, width, [&](Value column) {
      for (int64_t v = 0; v < width; v += kLanes) vector(column, constantI64(b, v), {});
    });
    forLoop(b, 0, tail, kLanes, [&](Value v) {
      vector(whole, v, tailMask(b, minI64(b, subI64(b, tail, v), constantI64(b, kLanes))));
    });
  });
}

void MatmulEmitter::emitRows(const Block &block, Value mBlock) {
  Value row = addI64(b, block.rowBegin, mulI64(b, mBlock, plan.blockM));
  Value rows = minI64(b, subI64(b, block.rowEnd, row), constantI64(b, plan.blockM));
  Value partialRow = mulI64(b, subI64(b, mBlock, block.chunk), plan.partialRows);
  if (plan.streamedTiles > 0)
    partialRow = b.create<arith::SelectOp>(block.oneBlock, constantI64(b, 0), partialRow);
  if (plan.unit.kind == UnitKind::amx) return emitAmxRows(block, row, rows, partialRow);
  Value tiles = divI64(b, rows, plan.tile.rows), tiled = mulI64(b, tiles, plan.tile.rows);
  if (plan.tile.rows > 1) {
    packLhs(block, row, tiles);
    if (plan.streamedTiles > 0) emitStreamedTiles(block, row, partialRow, tiles);
    forLoop(b, 0, plan.streamedTiles > 0 ? constantI64(b, 0) : tiles, 1, [&](Value tile) {
      auto unit = makeUnit(b, plan.unit, plan.sum, plan.tile);
      Value within = mulI64(b, tile, plan.tile.rows), first = addI64(b, row, within);
      LhsAddress lhs{lhsTile(tile), 1, constantI64(b, plan.lhsWidth)};
      if (plan.lhsInPlace)
        lhs = {access(kLhsAccess, block.batch, first, block.k), 1, frame.stride(kLhsAccess, 2)};
      emitTiles(*unit, block, {first, constantI64(b, plan.tile.rows), addI64(b, partialRow, within)}, lhs);
    });
  } else {
    tiled = constantI64(b, 0);
  }
  // Pairs are packed in rows of a power of two.
  const int64_t height = llvm::bit_floor(uint64_t(std::min(plan.tile.rows, kTailRows)));
  forLoop(b, tiled, rows, height, [&](Value within) {
    auto unit = makeUnit(b, plan.unit, plan.sum, {height, plan.tile.vectors, plan.tile.rows > 1});
    Value count = constantI64(b, 1);
    if (height > 1) count = minI64(b, subI64(b, rows, within), constantI64(b, height));
    Rows tail{addI64(b, row, within), count, addI64(b, partialRow, within)};
    emitTiles(*unit, block, tail, tailLhs(block, tail, height));
  });
}

// Tiles of 32 rows, then of 16, of which not all need exist.
void MatmulEmitter::emitAmxRows(const Block &block, Value row, Value rows, Value partialRow) {
  Value whole = mulI64(b, divI64(b, rows, plan.tile.rows), plan.tile.rows);
  auto some = [&](Value from, Value to, int64_t height) {
    forLoop(b, from, to, height, [&](Value within) {
      auto unit = makeUnit(b, plan.unit, plan.sum, {height, plan.tile.vectors});
      Rows part{addI64(b, row, within), minI64(b, subI64(b, rows, within), constantI64(b, height)),
                addI64(b, partialRow, within)};
      Value packed = scratchAt(plan.lhsOffset);
      packLhsRows(block, part.row, part.count, packed);
      emitTiles(*unit, block, part, {packed, plan.lhsRowBytes, {}});
    });
  };
  some(constantI64(b, 0), whole, plan.tile.rows);
  some(whole, rows, kAmxRows);
}

void MatmulEmitter::emitColumns(Block block) {
  Value mBlocks = ceilDivI64(b, subI64(b, block.rowEnd, block.rowBegin), plan.blockM);
  Value depth = subI64(b, block.kEnd, block.kBegin);
  block.oneBlock = atLeast(b, constantI64(b, plan.blockK), depth);
  // A chunk is as many m blocks as scratch holds partial sums for; all of them where nothing waits in
  // scratch.
  Value chunk = mBlocks;
  if (!plan.direct)
    chunk = b.create<arith::SelectOp>(block.oneBlock, chunk, constantI64(b, plan.chunkBlocks));
  Value chunks = divI64(b, subI64(b, addI64(b, mBlocks, chunk), constantI64(b, 1)), chunk);
  forLoop(b, 0, chunks, 1, [&](Value index) {
    block.chunk = mulI64(b, index, chunk);
    Value chunkEnd = minI64(b, addI64(b, block.chunk, chunk), mBlocks);
    // At least once: a sum of nothing is zero, too.
    Value kEnd = maxI64(b, block.kEnd, addI64(b, block.kBegin, 1));
    forLoop(b, block.kBegin, kEnd, plan.blockK, [&](Value k) {
      block.k = k;
      block.kCount = minI64(b, subI64(b, block.kEnd, k), constantI64(b, plan.blockK));
      Value filled = addI64(b, block.kCount, plan.unit.kMultiple - 1);
      filled = subI64(b, filled, remI64(b, filled, constantI64(b, plan.unit.kMultiple)));
      block.steps = plan.unit.kMultiple == 1 ? block.kCount : divI64(b, filled, plan.unit.pack);
      block.first = b.create<arith::CmpIOp>(arith::CmpIPredicate::eq, k, block.kBegin);
      block.last = atLeast(b, addI64(b, k, plan.blockK), block.kEnd);
      if (!op.getPackedRhs() && !plan.inPlace) packRhs(block);
      forLoop(b, block.chunk, chunkEnd, 1, [&](Value mBlock) { emitRows(block, mBlock); });
    });
  });
}

Value MatmulEmitter::groupBound(Value group) {
  int64_t which = 2 + op.getExtras().size();
  Value at = elementAddress(b, frame.buffer(which), frame.offset(which, {group}), b.getI32Type());
  Value bound = b.create<arith::ExtSIOp>(b.getI64Type(), loadScalar(b, at, b.getI32Type()));
  Value most = frame.size(op.getGrouped() == kernel::GroupedBy::m ? 1 : 3);
  return maxI64(b, minI64(b, bound, most), constantI64(b, 0));
}

void MatmulEmitter::emitRun(Value run, Value low, Value high) {
  Value nBlocks = ceilDivI64(b, frame.size(2), plan.blockN);
  Block block;
  block.batch = divI64(b, run, nBlocks);
  block.column = mulI64(b, remI64(b, run, nBlocks), plan.blockN);
  block.columns = minI64(b, subI64(b, frame.size(2), block.column), constantI64(b, plan.blockN));
  block.rowBegin = mulI64(b, low, plan.blockM);
  block.rowEnd = minI64(b, mulI64(b, high, plan.blockM), frame.size(1));
  block.kBegin = constantI64(b, 0);
  block.kEnd = frame.size(3);
  if (!op.getGroups()) return emitColumns(block);
  forLoop(b, 0, frame.size(0), 1, [&](Value group) {
    Block part = block;
    part.batch = group;
    Value begin = groupBound(group), end = groupBound(addI64(b, group, 1));
    if (op.getGrouped() == kernel::GroupedBy::m) {
      part.rowBegin = maxI64(b, begin, block.rowBegin);
      part.rowEnd = minI64(b, end, block.rowEnd);
      ifThen(b, lessThan(b, part.rowBegin, part.rowEnd), [&] { emitColumns(part); });
      return;
    }
    part.kBegin = begin;
    part.kEnd = maxI64(b, begin, end);
    if (op.getInit() && plan.direct) // nothing to add: the sum is there
      ifThen(b, lessThan(b, begin, end), [&] { emitColumns(part); });
    else
      emitColumns(part);
  });
}

LogicalResult MatmulEmitter::emit() {
  if (plan.unit.kind == UnitKind::amx) beginAmx(b, scratchAt(plan.configOffset));
  Value mBlocks = ceilDivI64(b, frame.size(1), plan.blockM);
  Value firstRun = divI64(b, frame.begin, mBlocks);
  Value lastRun = divI64(b, subI64(b, addI64(b, frame.end, mBlocks), constantI64(b, 1)), mBlocks);
  forLoop(b, firstRun, lastRun, 1, [&](Value run) {
    Value base = mulI64(b, run, mBlocks);
    Value low = maxI64(b, subI64(b, frame.begin, base), constantI64(b, 0)),
          high = minI64(b, subI64(b, frame.end, base), mBlocks);
    emitRun(run, low, high);
  });
  if (plan.unit.kind == UnitKind::amx) endAmx(b);
  return status;
}

LogicalResult emitMatmul(kernel::MatmulOp op, KernelFrame &frame) {
  if (failed(checkMatmul(op))) return failure();
  return MatmulEmitter(op, frame).emit();
}

int64_t matmulScratchBytes(kernel::MatmulOp op) {
  int64_t most = 0;
  for (const CpuLevel *level : cpuLevels()) most = std::max(most, planMatmul(op, *level).scratchBytes);
  return most;
}

} // namespace weft::cpu
