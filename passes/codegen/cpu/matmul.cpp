// The nest around a dot unit:
//   for each run of items of one (batch, n block)        a thread's items, m innermost
//     for each K block                                   partial sums wait in the output, or in scratch when
//     an epilogue follows
//       pack rhs      [n tile][k][tile_n]
//       for each m block: pack lhs [m tile][k][rows]; for each m tile, n tile: the micro-kernel, then the
//       epilogue after the last K block
// Rows left over by the m tiles run through a micro-kernel of one row that reads lhs where it lies: the same
// chain, so the same bits.
#include "passes/codegen/cpu/matmul.h"
#include "passes/codegen/cpu/matmul_pack.h"
#include "passes/codegen/cpu/matmul_plan.h"
#include "passes/codegen/cpu/matmul_unit.h"
#include "passes/codegen/cpu/region.h"

using namespace mlir;
namespace weft::cpu {
namespace {

constexpr int64_t kUnroll = 4; // k steps a loop iteration
constexpr int64_t kLhs = 0, kRhs = 1;

class MatmulEmitter {
public:
  MatmulEmitter(kernel::MatmulOp op, KernelFrame &frame)
      : op(op), frame(frame), b(frame.b), plan(planMatmul(op, frame.level)), element(plan.element),
        output(2 + op.getExtras().size()) {}

  LogicalResult emit();

private:
  struct Block {                  // one K block of one run of items
    Value batch, column, columns; // first column, columns in it
    Value k, kCount;
    Value first, last; // i1: of the K blocks
    Value oneBlock;    // i1: it is the only one
    Value chunk;       // m block at which the partial sums in scratch begin
  };

  void packRhs(const Block &block);
  void packLhs(const Block &block, Value row, Value tiles);
  void emitRows(const Block &block, Value mBlock);
  // Rows [row, row + unit's rows) times all columns of the block; `lhs` holds their first k.
  void emitTiles(FmaUnit &unit, const Block &block, Value row, LhsAddress lhs, Value partialRow);
  Values initial(FmaUnit &unit, const Block &block, Value row, Value column, const TileAddress &partial);
  void emitEpilogue(const Block &block, int64_t rows, Value row, Value column, Value columnsLeft,
                    const TileAddress &partial);
  Value access(int64_t access, Value batch, Value row, Value column);
  Value at(Value pointer, Value index) { return elementAddress(b, pointer, index, element); }
  Value scratchAt(int64_t bytes) {
    return elementAddress(b, frame.scratch, constantI64(b, bytes), b.getI8Type());
  }
  Value andI1(Value x, Value y) { return b.create<arith::AndIOp>(x, y); }
  Value notI1(Value x) { return b.create<arith::XOrIOp>(x, b.create<arith::ConstantIntOp>(1, 1)); }

  kernel::MatmulOp op;
  KernelFrame &frame;
  Builder &b;
  MatmulPlan plan;
  Type element;
  int64_t output; // the access of result 0
  LogicalResult status = success();
};

Value MatmulEmitter::access(int64_t access, Value batch, Value row, Value column) {
  Value operand = access >= output ? op.getResult(access - output) : op->getOperand(access == kLhs ? 0 : 1);
  if (access > kRhs && access < output) operand = op.getExtras()[access - 2];
  Type type = cast<RankedTensorType>(operand.getType()).getElementType();
  return elementAddress(b, frame.buffer(access), frame.offset(access, {batch, row, column}), type);
}

void MatmulEmitter::packRhs(const Block &block) {
  int64_t width = plan.tile.columns();
  Value panels = scratchAt(plan.rhsOffset), source = access(kRhs, block.batch, block.k, block.column);
  Value tiles = ceilDivI64(b, block.columns, width);
  Value kStride = frame.stride(kRhs, 1), nStride = frame.stride(kRhs, 2);
  auto panelOf = [&](Value tile) { return at(panels, mulI64(b, tile, plan.blockK * width)); };
  if (frame.strideIs(kRhs, 2, 1)) {
    // Rows of columns: copies. k outermost, so that each row is read once, front to back.
    Value whole = divI64(b, block.columns, constantI64(b, width));
    Value left = subI64(b, block.columns, mulI64(b, whole, width));
    auto copy = [&](Value k, Value tile, Value columns) {
      Value from = at(source, addI64(b, mulI64(b, k, kStride), mulI64(b, tile, width)));
      Value to = at(panelOf(tile), mulI64(b, k, width));
      for (int64_t v = 0; v < plan.tile.vectors; ++v) {
        Value mask = columns ? tailMask(b, lanesLeft(b, columns, v)) : Value(),
              offset = constantI64(b, v * kLanes);
        storeLanes(b, at(to, offset), loadLanes(b, at(from, offset), element, mask));
      }
    };
    forLoop(b, 0, block.kCount, 1,
            [&](Value k) { forLoop(b, 0, whole, 1, [&](Value tile) { copy(k, tile, {}); }); });
    ifThen(b, lessThan(b, constantI64(b, 0), left),
           [&] { forLoop(b, 0, block.kCount, 1, [&](Value k) { copy(k, whole, left); }); });
    return;
  }
  // 16 columns at a time; columns past the end repeat the last one: nobody reads what comes of them.
  Value lastColumn = subI64(b, block.columns, constantI64(b, 1));
  forLoop(b, 0, mulI64(b, tiles, plan.tile.vectors), 1, [&](Value vector) {
    Value tile = divI64(b, vector, plan.tile.vectors);
    Value within = remI64(b, vector, constantI64(b, plan.tile.vectors));
    Value to = at(panelOf(tile), mulI64(b, within, kLanes));
    Values rows;
    for (int64_t i = 0; i < kLanes; ++i) {
      Value column = minI64(b, addI64(b, mulI64(b, vector, kLanes), i), lastColumn);
      rows.push_back(at(source, mulI64(b, column, nStride)));
    }
    if (frame.strideIs(kRhs, 1, 1))
      packInterleaved(b, element, rows, block.kCount, to, width);
    else
      packScalars(b, element, rows, kStride, constantI64(b, 0), block.kCount, to, width);
  });
}

void MatmulEmitter::packLhs(const Block &block, Value row, Value tiles) {
  Value source = access(kLhs, block.batch, row, block.k), packed = scratchAt(plan.lhsOffset);
  Value mStride = frame.stride(kLhs, 1), kStride = frame.stride(kLhs, 2);
  int64_t rows = plan.tile.rows, width = plan.lhsWidth;
  if (frame.strideIs(kLhs, 1, 1)) {
    // k outermost: a row of the block is read front to back.
    VectorType type = VectorType::get({rows}, element);
    unsigned bytes = memoryBytes(element);
    forLoop(b, 0, block.kCount, 1, [&](Value k) {
      Value from = at(source, mulI64(b, k, kStride)), to = at(packed, mulI64(b, k, width));
      forLoop(b, 0, tiles, 1, [&](Value tile) {
        Value part = b.create<LLVM::LoadOp>(type, at(from, mulI64(b, tile, rows)), bytes);
        b.create<LLVM::StoreOp>(part, at(to, mulI64(b, tile, plan.blockK * width)), bytes);
      });
    });
    return;
  }
  forLoop(b, 0, tiles, 1, [&](Value tile) {
    Value first = mulI64(b, tile, rows), to = at(packed, mulI64(b, tile, plan.blockK * width));
    Values pointers;
    for (int64_t i = 0; i < width; ++i)
      pointers.push_back(at(source, mulI64(b, addI64(b, first, std::min(i, rows - 1)), mStride)));
    if (frame.strideIs(kLhs, 2, 1))
      packInterleaved(b, element, pointers, block.kCount, to, width);
    else
      packScalars(b, element, pointers, kStride, constantI64(b, 0), block.kCount, to, width);
  });
}

Values MatmulEmitter::initial(FmaUnit &unit, const Block &block, Value row, Value column,
                              const TileAddress &partial) {
  Values zero = unit.zero();
  SmallVector<Type> types(zero.size(), laneType(element));
  Value left = subI64(b, block.columns, column);
  auto loadPartial = [&] {
    if (!plan.direct) return unit.loadAcc(partial);
    return ifElse(
        b, types, atLeast(b, left, constantI64(b, plan.tile.columns())),
        [&] { return unit.loadAcc(partial); },
        [&] {
          return unit.loadAcc({partial.pointer, partial.rowStride, left});
        });
  };
  auto start = [&]() -> Values {
    if (!op.getInit()) return zero;
    // Only without `direct`: the running value lies in result 0's buffer, whatever its strides.
    Values acc;
    for (int64_t r = 0; r < unit.shape().rows; ++r)
      for (int64_t v = 0; v < plan.tile.vectors; ++v) {
        Value mask = tailMask(b, lanesLeft(b, left, v)),
              n = addI64(b, addI64(b, block.column, column), v * kLanes);
        Value stride = frame.strideIs(output, 2, 1) ? Value() : frame.stride(output, 2);
        acc.push_back(loadLanes(b, access(output, block.batch, addI64(b, row, r), n), element, mask, stride));
      }
    return acc;
  };
  if (plan.direct && op.getInit()) return loadPartial();
  return ifElse(b, types, block.first, start, loadPartial);
}

void MatmulEmitter::emitTiles(FmaUnit &unit, const Block &block, Value row, LhsAddress lhs,
                              Value partialRow) {
  int64_t width = plan.tile.columns(), rows = unit.shape().rows;
  forLoop(b, 0, block.columns, width, [&](Value column) {
    Value tile = divI64(b, column, width);
    Value panel = at(scratchAt(plan.rhsOffset), mulI64(b, tile, plan.blockK * width));
    TileAddress partial;
    if (plan.direct) {
      partial = {
          access(output, block.batch, row, addI64(b, block.column, column)), frame.stride(output, 1), {}};
    } else {
      // With one K block the partial sums live for one tile only, always in the same place.
      Value place = addI64(b, mulI64(b, partialRow, plan.partialColumns), column);
      place = b.create<arith::SelectOp>(block.oneBlock, constantI64(b, 0), place);
      partial = {at(scratchAt(plan.partialOffset), place), constantI64(b, plan.partialColumns), {}};
    }
    Values acc = unit.chain(initial(unit, block, row, column, partial), lhs, panel, block.kCount, kUnroll);
    if (!plan.direct) {
      unit.storeAcc(partial, acc);
      ifThen(b, block.last, [&] {
        emitEpilogue(block, rows, row, addI64(b, block.column, column), subI64(b, block.columns, column),
                     partial);
      });
      return;
    }
    Value left = subI64(b, block.columns, column);
    ifElse(
        b, TypeRange(), atLeast(b, left, constantI64(b, width)),
        [&] {
          unit.storeAcc(partial, acc);
          return Values();
        },
        [&] {
          unit.storeAcc({partial.pointer, partial.rowStride, left}, acc);
          return Values();
        });
  });
}

void MatmulEmitter::emitEpilogue(const Block &block, int64_t rows, Value row, Value column, Value columnsLeft,
                                 const TileAddress &partial) {
  mlir::Block &body = op.getBody().front();
  auto vectorAt = [&](Value r, Value c, Value mask) {
    Value m = addI64(b, row, r), n = addI64(b, column, c);
    IRMapping map;
    map.map(body.getArgument(0),
            loadLanes(b, at(partial.pointer, addI64(b, mulI64(b, r, partial.rowStride), c)), element));
    for (auto [i, extra] : llvm::enumerate(op.getExtras())) {
      int64_t which = 2 + i;
      Type type = cast<RankedTensorType>(extra.getType()).getElementType();
      Value from = access(which, block.batch, m, n), value;
      if (frame.strideIs(which, 2, 0))
        value = loadScalar(b, from, type);
      else
        value =
            loadLanes(b, from, type, mask, frame.strideIs(which, 2, 1) ? Value() : frame.stride(which, 2));
      map.map(body.getArgument(1 + i), value);
    }
    auto index = [&](int64_t dim) -> Value { // kernel.index along (b, m, n)
      Value first = b.create<arith::TruncIOp>(b.getI32Type(), dim == 0 ? block.batch : dim == 1 ? m : n);
      return dim < 2 ? first : b.create<arith::AddIOp>(splat(b, first), iota(b));
    };
    if (failed(emitRegion(b, body, map, index))) status = failure();
    if (failed(status)) return;
    for (auto [i, value] : llvm::enumerate(body.getTerminator()->getOperands())) {
      int64_t which = output + i;
      storeLanes(b, access(which, block.batch, m, n), lanesOf(b, map, value), mask,
                 frame.strideIs(which, 2, 1) ? Value() : frame.stride(which, 2));
    }
  };
  Value whole = minI64(b, columnsLeft, constantI64(b, plan.tile.columns()));
  Value tail = remI64(b, whole, constantI64(b, kLanes));
  whole = subI64(b, whole, tail);
  forLoop(b, 0, constantI64(b, rows), 1, [&](Value r) {
    forLoop(b, 0, whole, kLanes, [&](Value c) { vectorAt(r, c, {}); });
    ifThen(b, lessThan(b, constantI64(b, 0), tail), [&] { vectorAt(r, whole, tailMask(b, tail)); });
  });
}

void MatmulEmitter::emitRows(const Block &block, Value mBlock) {
  Value row = mulI64(b, mBlock, plan.blockM);
  Value rows = minI64(b, subI64(b, frame.size(1), row), constantI64(b, plan.blockM));
  Value tiles = divI64(b, rows, plan.tile.rows), tiled = mulI64(b, tiles, plan.tile.rows);
  Value partialRow = mulI64(b, subI64(b, mBlock, block.chunk), plan.blockM);
  if (plan.tile.rows > 1) {
    packLhs(block, row, tiles);
    forLoop(b, 0, tiles, 1, [&](Value tile) {
      FmaUnit unit(b, element, plan.tile);
      Value within = mulI64(b, tile, plan.tile.rows);
      Value packed = at(scratchAt(plan.lhsOffset), mulI64(b, tile, plan.blockK * plan.lhsWidth));
      emitTiles(unit, block, addI64(b, row, within), {packed, 1, constantI64(b, plan.lhsWidth)},
                addI64(b, partialRow, within));
    });
  } else {
    tiled = constantI64(b, 0);
  }
  forLoop(b, tiled, rows, 1, [&](Value within) {
    FmaUnit unit(b, element, {1, plan.tile.vectors});
    Value m = addI64(b, row, within);
    emitTiles(unit, block, m, {access(kLhs, block.batch, m, block.k), 0, frame.stride(kLhs, 2)},
              addI64(b, partialRow, within));
  });
}

LogicalResult MatmulEmitter::emit() {
  Value mBlocks = ceilDivI64(b, frame.size(1), plan.blockM),
        nBlocks = ceilDivI64(b, frame.size(2), plan.blockN);
  Value depth = frame.size(3);
  Value oneBlock = atLeast(b, constantI64(b, plan.blockK), depth);
  Value firstRun = divI64(b, frame.begin, mBlocks);
  Value lastRun = divI64(b, subI64(b, addI64(b, frame.end, mBlocks), constantI64(b, 1)), mBlocks);
  forLoop(b, firstRun, lastRun, 1, [&](Value run) {
    Block block;
    block.batch = divI64(b, run, nBlocks);
    block.column = mulI64(b, remI64(b, run, nBlocks), plan.blockN);
    block.columns = minI64(b, subI64(b, frame.size(2), block.column), constantI64(b, plan.blockN));
    block.oneBlock = oneBlock;
    Value base = mulI64(b, run, mBlocks);
    Value low = maxI64(b, subI64(b, frame.begin, base), constantI64(b, 0)),
          high = minI64(b, subI64(b, frame.end, base), mBlocks);
    // A chunk is as many m blocks as scratch holds partial sums for; all of them where nothing waits in
    // scratch.
    Value chunk = subI64(b, high, low);
    if (!plan.direct) chunk = b.create<arith::SelectOp>(oneBlock, chunk, constantI64(b, plan.chunkBlocks));
    Value chunks = divI64(b, subI64(b, addI64(b, subI64(b, high, low), chunk), constantI64(b, 1)), chunk);
    forLoop(b, 0, chunks, 1, [&](Value index) {
      block.chunk = addI64(b, low, mulI64(b, index, chunk));
      Value chunkEnd = minI64(b, addI64(b, block.chunk, chunk), high);
      forLoop(b, 0, maxI64(b, depth, constantI64(b, 1)), plan.blockK, [&](Value k) {
        block.k = k;
        block.kCount = minI64(b, subI64(b, depth, k), constantI64(b, plan.blockK));
        block.first = b.create<arith::CmpIOp>(arith::CmpIPredicate::eq, k, constantI64(b, 0));
        block.last = atLeast(b, addI64(b, k, plan.blockK), depth);
        packRhs(block);
        forLoop(b, block.chunk, chunkEnd, 1, [&](Value mBlock) { emitRows(block, mBlock); });
      });
    });
  });
  return status;
}

} // namespace

LogicalResult emitMatmul(kernel::MatmulOp op, KernelFrame &frame) {
  if (failed(checkMatmul(op))) return failure();
  return MatmulEmitter(op, frame).emit();
}

int64_t matmulScratchBytes(kernel::MatmulOp op) {
  return std::max(planMatmul(op, avx2Level()).scratchBytes, planMatmul(op, avx512Level()).scratchBytes);
}

} // namespace weft::cpu
