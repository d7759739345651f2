// Columns: sums over the first dimensions, one ascending chain for each point of the others.
#include "passes/codegen/cpu/loops_plan.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;
namespace weft::cpu {

namespace {

// The sums of every yield for some vectors of columns, in registers: entry y * columns + u is yield y of
// vector u.
struct Chains {
  LoopsBody &body;
  ArrayRef<Value> columns;
  Value mask;
  SmallVector<Value> dims; // of all but the last dimension; reduced ones are set as their loops open
  // Of the last reduced dimension, with the ones before as in `dims`, and sums that go on from memory; null:
  // all points, from the start.
  Value firstRow, endRow;

  // Adds the summands of all points of dimensions [dim, reduce_dims) to `sums`.
  FailureOr<SmallVector<Value>> accumulate(int64_t dim, ValueRange sums) {
    Builder &b = body.frame.b;
    if (dim < int64_t(body.op.getReduceDims())) {
      Value from = firstRow ? firstRow : constantI64(b, 0), to = endRow ? endRow : body.frame.size(dim);
      auto loop = b.create<scf::ForOp>(from, to, constantI64(b, 1), sums);
      OpBuilder::InsertionGuard guard(b);
      b.setInsertionPointToStart(loop.getBody());
      dims[dim] = loop.getInductionVar();
      auto next = accumulate(dim + 1, loop.getRegionIterArgs());
      if (failed(next)) return failure();
      b.create<scf::YieldOp>(*next);
      return SmallVector<Value>(loop.getResults());
    }
    if (failed(body.startRow(dims))) return failure();
    SmallVector<Value> next(sums.size());
    SmallVector<Value> wanted(body.yields());
    for (auto [u, column] : llvm::enumerate(columns)) {
      auto summands = body.emitLanes(wanted, column, mask);
      if (failed(summands)) return failure();
      for (auto [y, summand] : llvm::enumerate(*summands)) {
        size_t place = y * columns.size() + u;
        next[place] = combine(b, kernel::RowReduceKind::sum, sums[place], summand);
      }
    }
    return next;
  }

  LogicalResult emit() {
    Builder &b = body.frame.b;
    const int64_t reduced = body.op.getReduceDims();
    // Outputs do not depend on the reduced dimensions: their addresses are those of reduced indices 0.
    SmallVector<Value> place(dims);
    for (int64_t d = 0; d < reduced; ++d) place[d] = constantI64(b, 0);
    SmallVector<Value> addresses, sums;
    for (size_t y = 0; y < body.yields().size(); ++y)
      for (Value column : columns) {
        int64_t access = body.outputAccess(y);
        Type type = body.yieldType(y);
        SmallVector<Value> point(place);
        point.push_back(column);
        addresses.push_back(
            elementAddress(b, body.frame.buffer(access), body.frame.offset(access, point), type));
        sums.push_back(firstRow || body.hasInit(y)
                           ? loadLanes(b, addresses.back(), type, mask, body.columnStride(access))
                           : zeroOf(b, laneType(type)));
      }
    auto total = accumulate(firstRow ? reduced - 1 : 0, sums);
    if (failed(total)) return failure();
    for (auto [place, value] : llvm::enumerate(*total)) {
      int64_t access = body.outputAccess(place / columns.size());
      storeLanes(b, addresses[place], value, mask, body.columnStride(access));
    }
    return success();
  }
};

// Zeroes columns [first, last) of the sums that do not go on from what memory holds.
LogicalResult zeroSums(LoopsBody &body, SmallVector<Value> dims, Value first, Value last) {
  Builder &b = body.frame.b;
  for (int64_t d = 0; d < int64_t(body.op.getReduceDims()); ++d) dims[d] = constantI64(b, 0);
  for (size_t y = 0; y < body.yields().size(); ++y) {
    if (body.hasInit(y)) continue;
    const int64_t access = body.outputAccess(y);
    const Type type = body.yieldType(y);
    auto done =
        forEachVector(body.frame, first, last, 1, {},
                      [&](ArrayRef<Value> at, Value mask, ValueRange) -> FailureOr<SmallVector<Value>> {
                        SmallVector<Value> point(dims);
                        point.push_back(at[0]);
                        Value address = elementAddress(b, body.frame.buffer(access),
                                                       body.frame.offset(access, point), type);
                        storeLanes(b, address, zeroOf(b, laneType(type)), mask, body.columnStride(access));
                        return SmallVector<Value>();
                      });
    if (failed(done)) return failure();
  }
  return success();
}

// Calls `emit(dims, first row, end row)` for blocks of `blockRows` of the last reduced dimension, in the
// order of the chains.
LogicalResult forRowBlocks(LoopsBody &body, SmallVector<Value> dims, int64_t dim, int64_t blockRows,
                           llvm::function_ref<LogicalResult(ArrayRef<Value>, Value, Value)> emit) {
  Builder &b = body.frame.b;
  const bool blocks = dim + 1 == int64_t(body.op.getReduceDims());
  Value size = body.frame.size(dim);
  auto loop = b.create<scf::ForOp>(constantI64(b, 0), size, constantI64(b, blocks ? blockRows : 1));
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(loop.getBody());
  Value at = loop.getInductionVar();
  if (blocks) return emit(dims, at, minI64(b, addI64(b, at, constantI64(b, blockRows)), size));
  dims[dim] = at;
  return forRowBlocks(body, dims, dim + 1, blockRows, emit);
}

} // namespace

LogicalResult emitColumns(LoopsBody &body) {
  KernelArguments &frame = body.frame;
  int64_t reduced = body.op.getReduceDims(), outer = body.rank() - 1;
  for (size_t y = 0; y < body.yields().size(); ++y)
    if (frame.strideIs(body.outputAccess(y), body.rank() - 1, 0))
      return body.op.emitOpError() << "sums over its first " << reduced << " dimensions into output " << y
                                   << " of column stride 0 when the column is not reduced";
  SmallVector<Value> sizes;
  for (int64_t d = reduced; d < outer; ++d) sizes.push_back(frame.size(d));
  int64_t blockColumns = body.op.getSchedule()->getBlockN(), blockRows = body.op.getSchedule()->getBlockM();
  sizes.push_back(numColumnBlocks(frame, blockColumns));
  // Several vectors of columns at once: one chain each hides the latency of the others' additions and reads
  // whole cache lines.
  int64_t work = body.numOps() * int64_t(body.yields().size());
  int64_t unroll = work <= 6 ? 4 : work <= 16 ? 2 : 1;
  auto item = [&](ArrayRef<Value> kept, Value first, Value last) -> LogicalResult {
    SmallVector<Value> dims(reduced);
    llvm::append_range(dims, kept);
    auto sum = [&](ArrayRef<Value> dims, Value firstRow, Value endRow) -> LogicalResult {
      return LogicalResult(
          forEachVector(frame, first, last, unroll, {},
                        [&](ArrayRef<Value> at, Value mask, ValueRange) -> FailureOr<SmallVector<Value>> {
                          Chains chains{body, at, mask, SmallVector<Value>(dims), firstRow, endRow};
                          if (failed(chains.emit())) return failure();
                          return SmallVector<Value>();
                        }));
    };
    if (blockRows == 0) return sum(dims, Value(), Value());
    // Some rows of all the item's columns, whose sums lie in memory meanwhile: memory is read in pieces as
    // long as a row's part is, not in those that registers hold sums of.
    if (failed(zeroSums(body, dims, first, last))) return failure();
    return forRowBlocks(body, dims, 0, blockRows, sum);
  };
  // Without other dimensions that are kept, a call's items are neighbouring columns: one pass over the rows
  // serves them together.
  if (outer == reduced) {
    Builder &b = frame.b;
    Value block = constantI64(b, blockColumns);
    return item({}, mulI64(b, frame.begin, block), minI64(b, mulI64(b, frame.end, block), frame.size(outer)));
  }
  return forEachItem(frame, sizes, [&](ArrayRef<Value> digits) -> LogicalResult {
    auto [first, last] = columnBlock(frame, blockColumns, digits.back());
    return item(digits.drop_back(), first, last);
  });
}

} // namespace weft::cpu
