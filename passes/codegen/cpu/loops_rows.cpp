// Rows: elementwise code and reductions over the columns.
#include "passes/codegen/cpu/loops_plan.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;
namespace weft::cpu {

// One pass over the row: the reductions of `pass`, side by side, each one chain a lane. Maxima have several
// chains a lane: their order makes no difference, and one would be bound by its latency.
static LogicalResult emitReducePass(LoopsBody &body, int64_t pass, Value columns) {
  KernelArguments &frame = body.frame;
  Builder &b = frame.b;
  SmallVector<kernel::ReduceOp> reductions = body.reductions(pass);
  bool maxima = llvm::all_of(reductions,
                             [](kernel::ReduceOp op) { return op.getKind() == kernel::RowReduceKind::max; });
  size_t chains = maxima && body.numOps() <= 32 ? 4 : 1;
  SmallVector<Value> wanted, start;
  for (auto reduce : reductions) {
    wanted.push_back(reduce.getValue());
    start.append(chains, reductionIdentity(b, reduce.getKind(), laneType(reduce.getValue().getType())));
  }
  auto step = [&](ArrayRef<Value> at, Value mask, ValueRange carried) -> FailureOr<SmallVector<Value>> {
    SmallVector<Value> next(carried);
    for (auto [u, column] : llvm::enumerate(at)) {
      auto values = body.emitLanes(wanted, column, mask);
      if (failed(values)) return failure();
      for (auto [r, value] : llvm::enumerate(*values)) {
        Value &sum = next[r * chains + u];
        Value combined = combine(b, reductions[r].getKind(), sum, value);
        sum = mask ? b.create<arith::SelectOp>(mask, combined, sum).getResult() : combined;
      }
    }
    return next;
  };
  auto sums = forEachVector(frame, constantI64(b, 0), columns, int64_t(chains), start, step);
  if (failed(sums)) return failure();
  for (auto [r, reduce] : llvm::enumerate(reductions)) {
    Value lanes = (*sums)[r * chains];
    for (size_t u = 1; u < chains; ++u) lanes = combine(b, reduce.getKind(), lanes, (*sums)[r * chains + u]);
    body.setReduction(reduce, combineHalves(b, reduce.getKind(), lanes));
  }
  return body.finishPass(pass);
}

// The last pass: what is yielded for each column. All inputs of a step are loaded before anything is stored,
// so that a result may lie over an input of the same access.
static LogicalResult emitStorePass(LoopsBody &body, Value first, Value last) {
  KernelArguments &frame = body.frame;
  Builder &b = frame.b;
  int64_t column = body.rank() - 1;
  SmallVector<int64_t> ofRow, ofColumns;
  for (size_t i = 0; i < body.yields().size(); ++i) {
    bool repeats = frame.strideIs(body.outputAccess(i), column, 0);
    (repeats && !body.varies(body.yields()[i]) ? ofRow : ofColumns).push_back(i);
  }
  if (!ofColumns.empty()) {
    SmallVector<Value> wanted;
    for (int64_t i : ofColumns) wanted.push_back(body.yields()[i]);
    auto done =
        forEachVector(frame, first, last, 1, {},
                      [&](ArrayRef<Value> at, Value mask, ValueRange) -> FailureOr<SmallVector<Value>> {
                        auto values = body.emitLanes(wanted, at[0], mask);
                        if (failed(values)) return failure();
                        for (auto [i, value] : llvm::zip(ofColumns, *values)) {
                          int64_t access = body.outputAccess(i);
                          Value address = body.outputAddress(i, at[0]);
                          // Column stride 0, and not seen to be uniform: the op says it is, so that any lane
                          // will do.
                          if (frame.strideIs(access, column, 0))
                            storeScalar(b, address, b.create<vector::ExtractOp>(value, ArrayRef<int64_t>{0}));
                          else
                            storeLanes(b, address, value, mask, body.columnStride(access));
                        }
                        return SmallVector<Value>();
                      });
    if (failed(done)) return failure();
  }
  if (ofRow.empty()) return success();
  // Once a row: by the item that has its first column.
  auto isFirst = b.create<arith::CmpIOp>(arith::CmpIPredicate::eq, first, constantI64(b, 0));
  auto once = b.create<scf::IfOp>(isFirst, /*withElseRegion=*/false);
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(once.thenBlock());
  for (int64_t i : ofRow)
    storeScalar(b, body.outputAddress(i, constantI64(b, 0)), body.rowValue(body.yields()[i]));
  return success();
}

LogicalResult emitRows(LoopsBody &body) {
  KernelArguments &frame = body.frame;
  Builder &b = frame.b;
  bool reduces = body.numReducePasses() > 0;
  SmallVector<Value> sizes;
  for (int64_t d = 0; d + 1 < body.rank(); ++d) sizes.push_back(frame.size(d));
  int64_t blockColumns = reduces ? 0 : body.op.getSchedule()->getBlockN();
  if (!reduces) sizes.push_back(numColumnBlocks(frame, blockColumns));
  Value columns = frame.size(body.rank() - 1);
  return forEachItem(frame, sizes, [&](ArrayRef<Value> digits) -> LogicalResult {
    if (failed(body.startRow(digits.take_front(body.rank() - 1)))) return failure();
    if (!reduces) {
      auto [first, last] = columnBlock(frame, blockColumns, digits.back());
      return emitStorePass(body, first, last);
    }
    for (int64_t pass = 0; pass < body.numReducePasses(); ++pass)
      if (failed(emitReducePass(body, pass, columns))) return failure();
    return emitStorePass(body, constantI64(b, 0), columns);
  });
}

} // namespace weft::cpu
