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

  // Adds the summands of all points of dimensions [dim, reduce_dims) to `sums`.
  FailureOr<SmallVector<Value>> accumulate(int64_t dim, ValueRange sums) {
    Builder &b = body.frame.b;
    if (dim < int64_t(body.op.getReduceDims())) {
      auto loop = b.create<scf::ForOp>(constantI64(b, 0), body.frame.size(dim), constantI64(b, 1), sums);
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
    // Outputs do not depend on the reduced dimensions: their addresses are those of reduced indices 0.
    for (int64_t d = 0; d < int64_t(body.op.getReduceDims()); ++d) dims[d] = constantI64(b, 0);
    SmallVector<Value> addresses, sums;
    for (size_t y = 0; y < body.yields().size(); ++y)
      for (Value column : columns) {
        int64_t access = body.outputAccess(y);
        Type type = body.yieldType(y);
        SmallVector<Value> point(dims);
        point.push_back(column);
        addresses.push_back(
            elementAddress(b, body.frame.buffer(access), body.frame.offset(access, point), type));
        sums.push_back(body.hasInit(y) ? loadLanes(b, addresses.back(), type, mask, body.columnStride(access))
                                       : zeroOf(b, laneType(type)));
      }
    auto total = accumulate(0, sums);
    if (failed(total)) return failure();
    for (auto [place, value] : llvm::enumerate(*total)) {
      int64_t access = body.outputAccess(place / columns.size());
      storeLanes(b, addresses[place], value, mask, body.columnStride(access));
    }
    return success();
  }
};

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
  int64_t blockColumns = body.op.getSchedule()->getBlockN();
  sizes.push_back(numColumnBlocks(frame, blockColumns));
  // Several vectors of columns at once: one chain each hides the latency of the others' additions and reads
  // whole cache lines.
  int64_t work = body.numOps() * int64_t(body.yields().size());
  int64_t unroll = work <= 6 ? 4 : work <= 16 ? 2 : 1;
  return forEachItem(frame, sizes, [&](ArrayRef<Value> digits) -> LogicalResult {
    SmallVector<Value> dims(reduced);
    llvm::append_range(dims, digits.drop_back());
    auto [first, last] = columnBlock(frame, blockColumns, digits.back());
    auto done =
        forEachVector(frame, first, last, unroll, {},
                      [&](ArrayRef<Value> at, Value mask, ValueRange) -> FailureOr<SmallVector<Value>> {
                        if (failed(Chains{body, at, mask, dims}.emit())) return failure();
                        return SmallVector<Value>();
                      });
    return LogicalResult(done);
  });
}

} // namespace weft::cpu
