// Scatter-add: sums into rows that an input names. Threads split the columns, so that each element's chain is
// in the order of the domain.
#include "passes/codegen/cpu/loops_plan.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;
namespace weft::cpu {

// Zeroes columns [first, last) of every row that yield `y` may address.
static LogicalResult zeroColumns(LoopsBody &body, int64_t y, Value first, Value last) {
  KernelArguments &frame = body.frame;
  Builder &b = frame.b;
  int64_t access = body.outputAccess(y);
  Type type = body.yieldType(y);
  bool indexed = frame.layout.accesses[access].getIndex() >= 0;
  Value rows = indexed ? frame.indexLimit(access) : constantI64(b, 1);
  Value stride = indexed ? frame.indexStride(access) : constantI64(b, 0);
  auto loop = b.create<scf::ForOp>(constantI64(b, 0), rows, constantI64(b, 1));
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(loop.getBody());
  Value row = elementAddress(b, frame.buffer(access), mulI64(b, loop.getInductionVar(), stride), type);
  Value columnStride = body.columnStride(access);
  return LogicalResult(forEachVector(
      frame, first, last, 1, {},
      [&](ArrayRef<Value> at, Value mask, ValueRange) -> FailureOr<SmallVector<Value>> {
        Value offset = columnStride ? mulI64(b, at[0], columnStride) : at[0];
        storeLanes(b, elementAddress(b, row, offset, type), zeroOf(b, laneType(type)), mask, columnStride);
        return SmallVector<Value>();
      }));
}

// Loops over dimensions [dim, rank - 1), all reduced; inside, adds the summands of the row to memory.
static LogicalResult addRows(LoopsBody &body, SmallVector<Value> &dims, Value first, Value last) {
  KernelArguments &frame = body.frame;
  Builder &b = frame.b;
  if (int64_t(dims.size()) < body.rank() - 1) {
    auto loop = b.create<scf::ForOp>(constantI64(b, 0), frame.size(dims.size()), constantI64(b, 1));
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(loop.getBody());
    dims.push_back(loop.getInductionVar());
    return addRows(body, dims, first, last);
  }
  if (failed(body.startRow(dims))) return failure();
  SmallVector<Value> wanted(body.yields());
  return LogicalResult(forEachVector(
      frame, first, last, 1, {},
      [&](ArrayRef<Value> at, Value mask, ValueRange) -> FailureOr<SmallVector<Value>> {
        auto summands = body.emitLanes(wanted, at[0], mask);
        if (failed(summands)) return failure();
        for (auto [y, summand] : llvm::enumerate(*summands)) {
          Value address = body.outputAddress(y, at[0]), stride = body.columnStride(body.outputAccess(y));
          Value old = loadLanes(b, address, body.yieldType(y), mask, stride);
          storeLanes(b, address, combine(b, kernel::RowReduceKind::sum, old, summand), mask, stride);
        }
        return SmallVector<Value>();
      }));
}

LogicalResult emitScatter(LoopsBody &body) {
  KernelArguments &frame = body.frame;
  if (int64_t(body.op.getReduceDims()) != body.rank() - 1)
    return body.op.emitOpError() << "scatters with " << body.op.getReduceDims()
                                 << " reduced dimensions when all " << body.rank() - 1
                                 << " but the last must be";
  // A call's items are neighbouring column blocks: one pass over the points serves them together.
  int64_t blockColumns = body.op.getSchedule()->getBlockN();
  Value first = mulI64(frame.b, frame.begin, constantI64(frame.b, blockColumns));
  Value last = minI64(frame.b, mulI64(frame.b, frame.end, constantI64(frame.b, blockColumns)),
                      frame.size(body.rank() - 1));
  for (size_t y = 0; y < body.yields().size(); ++y)
    if (!body.hasInit(y) && failed(zeroColumns(body, y, first, last))) return failure();
  SmallVector<Value> dims;
  return addRows(body, dims, first, last);
}

} // namespace weft::cpu
