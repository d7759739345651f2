// What follows the last K block: the op's region on the sums, from registers or over whole rows of a block.
#include "passes/codegen/cpu/matmul_emitter.h"
#include "passes/codegen/cpu/region.h"

using namespace mlir;
namespace weft::cpu {

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

void MatmulEmitter::emitLongEpilogue(const Block &block, const Rows &rows) {
  if (!plan.direct && !plan.epilogueInRegisters) ifThen(b, block.last, [&] { emitEpilogue(block, rows); });
}

} // namespace weft::cpu
