// The operands of a matmul into the panels its unit reads; those of bf16: matmul_operands_bf16.cpp.
#include "passes/codegen/cpu/matmul_emitter.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
namespace weft::cpu {

// Rows of k that packing asks for before it reads them: a part of a row is too short for the processor to see
// the next one coming.
constexpr int64_t kRowsAhead = 8;

// Elements from where `access` begins to the row of k so far behind `k`; of rows that are looked up the last
// one at most.
Value MatmulEmitter::rowAhead(int64_t access, int64_t dim, const Block &block, Value k) {
  Value ahead = addI64(b, k, kRowsAhead);
  if (isIndexed(access)) ahead = minI64(b, ahead, subI64(b, block.kCount, constantI64(b, 1)));
  return along(access, dim, block.k, ahead);
}

// From a tile of so many rows of lhs to the next one; nothing of rows that are looked up.
Value MatmulEmitter::nextLhs(int64_t rows) {
  return isIndexed(kLhsAccess) ? Value() : bytesOf(mulI64(b, frame.stride(kLhsAccess, 1), rows));
}

void MatmulEmitter::packRhs(const Block &block) {
  int64_t width = plan.tile.columns();
  Type element = plan.element;
  Value source = access(kRhsAccess, block.batch, block.k, block.column);
  if (plan.unit.pack == 2) return packRhsPairs(block, source);
  Value tiles = ceilDivI64(b, block.columns, width);
  Value nStride = frame.stride(kRhsAccess, 2);
  if (frame.strideIs(kRhsAccess, 2, 1)) {
    // Rows of columns: copies. k outermost, so that each row is read once, front to back.
    Value whole = divI64(b, block.columns, constantI64(b, width));
    Value left = subI64(b, block.columns, mulI64(b, whole, width));
    auto copy = [&](Value k, Value tile, Value columns) {
      Value from = at(source, addI64(b, along(kRhsAccess, 1, block.k, k), mulI64(b, tile, width)), element);
      Value to = at(rhsTile(tile), mulI64(b, k, width), element);
      Value ahead = at(source, addI64(b, rowAhead(kRhsAccess, 1, block, k), mulI64(b, tile, width)), element);
      for (int64_t v = 0; v < plan.tile.vectors; ++v) {
        prefetch(at(ahead, constantI64(b, v * kLanes), element));
        Value mask = columns ? tailMask(b, lanesLeft(b, columns, v)) : Value(),
              offset = constantI64(b, v * kLanes);
        storeLanes(b, at(to, offset, element), loadLanes(b, at(from, offset, element), element, mask));
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
    Value to = at(rhsTile(tile), mulI64(b, within, kLanes), element);
    Values rows;
    for (int64_t i = 0; i < kLanes; ++i) {
      Value column = minI64(b, addI64(b, mulI64(b, vector, kLanes), i), lastColumn);
      rows.push_back(at(source, mulI64(b, column, nStride), element));
    }
    if (frame.strideIs(kRhsAccess, 1, 1))
      packInterleaved(b, frame.level, element, rows, block.kCount, to, width, Packing::byCall,
                      bytesOf(mulI64(b, nStride, kLanes)));
    else
      packScalars(b, element, rows, frame.stride(kRhsAccess, 1), constantI64(b, 0), block.kCount, to, width);
  });
}

// As it lies where it can be: it is read once a panel, and there are few such rows.
LhsAddress MatmulEmitter::tailLhs(const Block &block, const Rows &rows, int64_t height) {
  Value packed = scratchAt(plan.lhsOffset);
  LhsAddress lhs{packed, 1, constantI64(b, height), {}};
  if (plan.unit.pack == 2) {
    packLhsPairs(block, rows.row, height, height, packed, rows.count);
    return lhs;
  }
  Value source = access(kLhsAccess, block.batch, rows.row, block.k),
        last = subI64(b, rows.count, constantI64(b, 1));
  Values offsets;
  for (int64_t r = 0; r < height; ++r)
    offsets.push_back(along(kLhsAccess, 1, rows.row, minI64(b, constantI64(b, r), last)));
  if (isIndexed(kLhsAccess) && op.getGrouped() == kernel::GroupedBy::k) {
    forLoop(b, 0, block.kCount, 1, [&](Value k) {
      Value from = at(source, along(kLhsAccess, 2, block.k, k), plan.element),
            to = at(packed, mulI64(b, k, height), plan.element);
      for (auto [r, offset] : llvm::enumerate(offsets))
        storeScalar(b, at(to, constantI64(b, int64_t(r)), plan.element),
                    loadScalar(b, at(from, offset, plan.element), plan.element));
    });
    return lhs;
  }
  lhs.kStride = frame.stride(kLhsAccess, 2);
  for (Value offset : offsets) lhs.rows.push_back(at(source, offset, plan.element));
  return lhs;
}

void MatmulEmitter::packLhs(const Block &block, Value row, Value tiles) {
  int64_t rows = plan.tile.rows, width = plan.lhsWidth;
  Type element = plan.element;
  if (plan.unit.pack == 2) {
    forLoop(b, 0, tiles, 1, [&](Value tile) {
      packLhsPairs(block, addI64(b, row, mulI64(b, tile, rows)), rows, width, lhsTile(tile));
    });
    return;
  }
  Value source = access(kLhsAccess, block.batch, row, block.k);
  if (frame.strideIs(kLhsAccess, 1, 1)) {
    // k outermost: a row of the block is read front to back.
    const unsigned bytes = memoryBytes(element);
    forLoop(b, 0, block.kCount, 1, [&](Value k) {
      Value from = at(source, along(kLhsAccess, 2, block.k, k), element), within = mulI64(b, k, width);
      Value ahead = at(source, rowAhead(kLhsAccess, 2, block, k), element);
      auto copy = [&](Value tile, int64_t elements) {
        prefetch(at(ahead, mulI64(b, tile, rows), element));
        Value part = b.create<LLVM::LoadOp>(VectorType::get({elements}, element),
                                            at(from, mulI64(b, tile, rows), element), bytes);
        b.create<LLVM::StoreOp>(part, at(lhsTile(tile), within, element), bytes);
      };
      // One move for a tile of 6 or 12 rows, which is two otherwise: what it takes too much is the next
      // tile's, and what it writes too much is written again with the next k. The last tile has none behind
      // it.
      Value last = subI64(b, tiles, constantI64(b, 1));
      forLoop(b, 0, last, 1, [&](Value tile) { copy(tile, int64_t(llvm::PowerOf2Ceil(rows))); });
      ifThen(b, lessThan(b, constantI64(b, 0), tiles), [&] { copy(last, rows); });
    });
    return;
  }
  forLoop(b, 0, tiles, 1, [&](Value tile) {
    Value first = mulI64(b, tile, rows), to = lhsTile(tile);
    Values pointers;
    for (int64_t i = 0; i < width; ++i)
      pointers.push_back(
          at(source, along(kLhsAccess, 1, row, addI64(b, first, std::min(i, rows - 1))), element));
    if (frame.strideIs(kLhsAccess, 2, 1))
      packInterleaved(b, frame.level, element, pointers, block.kCount, to, width, Packing::byCall,
                      nextLhs(rows));
    else
      packScalars(b, element, pointers, frame.stride(kLhsAccess, 2), constantI64(b, 0), block.kCount, to,
                  width);
  });
}

} // namespace weft::cpu
