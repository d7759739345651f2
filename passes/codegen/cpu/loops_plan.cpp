#include "passes/codegen/cpu/loops_plan.h"

#include "passes/codegen/cpu/region.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;
namespace weft::cpu {

LoopsBody::LoopsBody(kernel::LoopsOp op, KernelArguments &frame)
    : op(op), frame(frame), block(op.getBody().front()) {
  classify();
}

void LoopsBody::classify() {
  int64_t column = rank() - 1;
  for (BlockArgument arg : block.getArguments()) {
    levels[arg] = 0;
    if (!frame.strideIs(arg.getArgNumber(), column, 0)) varying.insert(arg);
  }
  for (Operation &inner : block.without_terminator()) {
    int64_t level = 0;
    bool varies = false;
    for (Value operand : inner.getOperands()) {
      level = std::max(level, levels[operand]);
      varies |= varying.contains(operand);
    }
    if (auto index = dyn_cast<kernel::IndexOp>(inner)) varies = int64_t(index.getDimension()) == column;
    if (isa<kernel::ReduceOp>(inner)) {
      varies = false;
      reducePasses = std::max(reducePasses, ++level);
    }
    for (Value result : inner.getResults()) {
      levels[result] = level;
      if (varies) varying.insert(result);
    }
  }
}

LogicalResult LoopsBody::check() {
  for (Operation &inner : block.without_terminator())
    if (isa<kernel::ReduceOp>(inner) && inner.getResult(0).getType().isInteger(1))
      return inner.emitOpError("of i1 has no CPU code: convert to i32");
  if (op.getReduceDims() > 0)
    for (Value value : yields())
      if (value.getType().isInteger(1))
        return op.emitOpError("sums i1 over reduce_dims when sums need numbers: convert to i32");
  if (reducePasses == 0 && (!op.getSchedule() || op.getSchedule()->getBlockN() <= 0))
    return op.emitOpError("needs a schedule with block_n > 0: the columns of a work item");
  return success();
}

SmallVector<kernel::ReduceOp> LoopsBody::reductions(int64_t pass) {
  SmallVector<kernel::ReduceOp> found;
  for (auto reduce : block.getOps<kernel::ReduceOp>())
    if (levels[reduce.getResult()] == pass + 1) found.push_back(reduce);
  return found;
}

int64_t LoopsBody::numOps() const { return int64_t(std::distance(block.begin(), block.end())); }
ValueRange LoopsBody::yields() { return cast<kernel::YieldOp>(block.getTerminator()).getOperands(); }
bool LoopsBody::hasInit(int64_t yield) {
  return llvm::is_contained(op.getInitResult(), op.getYieldResult()[yield]);
}

Value LoopsBody::columnStride(int64_t access) {
  return frame.strideIs(access, rank() - 1, 1) ? Value() : frame.stride(access, rank() - 1);
}

Value LoopsBody::indexValue(int64_t access) {
  int64_t input = frame.layout.accesses[access].getIndex();
  if (input < 0) return {};
  BlockArgument arg = block.getArgument(input);
  // An indexing input does not vary along the column, whatever its stride there: column 0 stands for all.
  if (varying.contains(arg)) return loadScalar(frame.b, inputBase(input), arg.getType());
  if (!row.contains(arg)) row.map(arg, loadScalar(frame.b, inputBase(input), arg.getType()));
  return row.lookup(arg);
}

Value LoopsBody::inputBase(int64_t input) {
  Value &base = inputBases[input];
  if (base) return base;
  Value index = indexValue(input);
  Value offset = frame.offset(input, dims, index);
  return inputBases[input] =
             elementAddress(frame.b, frame.buffer(input), offset, block.getArgument(input).getType());
}

LogicalResult LoopsBody::startRow(ArrayRef<Value> rowDims) {
  dims.assign(rowDims.begin(), rowDims.end());
  row = IRMapping();
  inputBases.assign(block.getNumArguments(), Value());
  outputBases.assign(yields().size(), Value());
  for (BlockArgument arg : block.getArguments()) {
    int64_t input = arg.getArgNumber();
    Value base = inputBase(input);
    if (!varying.contains(arg) && !arg.use_empty() && !row.contains(arg))
      row.map(arg, loadScalar(frame.b, base, arg.getType()));
  }
  for (auto [i, yielded] : llvm::enumerate(yields())) {
    int64_t access = outputAccess(i);
    Value offset = frame.offset(access, dims, indexValue(access));
    outputBases[i] = elementAddress(frame.b, frame.buffer(access), offset, yielded.getType());
  }
  return emitUniform(0);
}

LogicalResult LoopsBody::finishPass(int64_t pass) { return emitUniform(pass + 1); }

LogicalResult LoopsBody::emitUniform(int64_t level) {
  for (Operation &inner : block.without_terminator()) {
    if (isa<kernel::ReduceOp>(inner) || inner.getNumResults() == 0) continue;
    Value result = inner.getResult(0);
    if (varying.contains(result) || levels[result] != level || row.contains(result)) continue;
    if (auto index = dyn_cast<kernel::IndexOp>(inner)) {
      Value value = dims[index.getDimension()];
      row.map(result, frame.b.create<arith::TruncIOp>(frame.b.getI32Type(), value));
    } else if (failed(emitRegionOp(frame.b, &inner, row))) {
      return failure();
    }
  }
  return success();
}

FailureOr<SmallVector<Value>> LoopsBody::emitLanes(ArrayRef<Value> wanted, Value column, Value mask) {
  Builder &b = frame.b;
  auto values = emitVarying(
      wanted, column,
      [&](Value address, Type type, Value stride) { return loadLanes(b, address, type, mask, stride); },
      [&](Value first) { return b.create<arith::AddIOp>(splat(b, first), iota(b)).getResult(); });
  if (failed(values)) return failure();
  for (Value &value : *values) value = splat(b, value);
  return values;
}

FailureOr<SmallVector<Value>> LoopsBody::emitScalars(ArrayRef<Value> wanted, Value column) {
  return emitVarying(
      wanted, column, [&](Value address, Type type, Value) { return loadScalar(frame.b, address, type); },
      [](Value index) { return index; });
}

FailureOr<SmallVector<Value>> LoopsBody::emitVarying(ArrayRef<Value> wanted, Value column,
                                                     llvm::function_ref<Value(Value, Type, Value)> load,
                                                     llvm::function_ref<Value(Value)> columnIndex) {
  Builder &b = frame.b;
  // What is needed: backwards from `wanted`, as far as values vary.
  DenseSet<Value> needed;
  SmallVector<Value> open(wanted);
  while (!open.empty()) {
    Value value = open.pop_back_val();
    if (!varying.contains(value) || !needed.insert(value).second) continue;
    if (Operation *def = value.getDefiningOp()) open.append(def->operand_begin(), def->operand_end());
  }
  IRMapping map = row;
  for (BlockArgument arg : block.getArguments()) {
    if (!needed.contains(arg)) continue;
    int64_t input = arg.getArgNumber();
    Value stride = columnStride(input);
    Value offset = stride ? mulI64(b, column, stride) : column;
    map.map(arg, load(elementAddress(b, inputBases[input], offset, arg.getType()), arg.getType(), stride));
  }
  for (Operation &inner : block.without_terminator()) {
    if (inner.getNumResults() == 0 || !needed.contains(inner.getResult(0))) continue;
    if (isa<kernel::IndexOp>(inner)) {
      map.map(inner.getResult(0), columnIndex(b.create<arith::TruncIOp>(b.getI32Type(), column)));
    } else if (failed(emitRegionOp(b, &inner, map))) {
      return failure();
    }
  }
  SmallVector<Value> values;
  for (Value value : wanted) values.push_back(map.lookup(value));
  return values;
}

Value LoopsBody::outputAddress(int64_t i, Value column) {
  Value stride = columnStride(outputAccess(i));
  Value offset = stride ? mulI64(frame.b, column, stride) : column;
  return elementAddress(frame.b, outputBases[i], offset, yieldType(i));
}

LogicalResult forEachItem(KernelArguments &frame, ArrayRef<Value> sizes,
                          llvm::function_ref<LogicalResult(ArrayRef<Value>)> body) {
  Builder &b = frame.b;
  Value one = constantI64(b, 1), zero = constantI64(b, 0);
  // The outermost digit needs no remainder: items end before it overflows.
  SmallVector<Value> digits(sizes.size());
  Value rest = frame.begin;
  for (int64_t d = int64_t(sizes.size()) - 1; d > 0; --d) {
    Value size =
        b.create<arith::MaxSIOp>(sizes[d], one); // an empty space has no items, but may be asked for none
    digits[d] = b.create<arith::RemSIOp>(rest, size);
    rest = b.create<arith::DivSIOp>(rest, size);
  }
  if (!digits.empty()) digits[0] = rest;
  auto loop = b.create<scf::ForOp>(frame.begin, frame.end, one, digits);
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(loop.getBody());
  SmallVector<Value> place(loop.getRegionIterArgs());
  if (failed(body(place))) return failure();
  SmallVector<Value> next(place);
  Value carry;
  for (int64_t d = int64_t(sizes.size()) - 1; d >= 0; --d) {
    next[d] = carry ? Value(b.create<arith::AddIOp>(place[d], carry))
                    : Value(b.create<arith::AddIOp>(place[d], one));
    if (d == 0) break;
    Value wraps = b.create<arith::CmpIOp>(arith::CmpIPredicate::eq, next[d], sizes[d]);
    next[d] = b.create<arith::SelectOp>(wraps, zero, next[d]);
    carry = b.create<arith::ExtUIOp>(b.getI64Type(), wraps);
  }
  if (!next.empty())
    b.create<scf::YieldOp>(next); // without carried values the loop has its terminator already
  return success();
}

FailureOr<SmallVector<Value>> forEachVector(KernelArguments &frame, Value first, Value last, int64_t unroll,
                                            ValueRange carried, VectorBody body) {
  Builder &b = frame.b;
  SmallVector<Value> state(carried);
  Value start = first;
  auto fullVectors = [&](int64_t count) -> LogicalResult { // `count` vectors a step, as far as they go
    Value length = b.create<arith::SubIOp>(last, start);
    Value stop = addI64(b, start, b.create<arith::AndIOp>(length, constantI64(b, -count * kLanes)));
    auto loop = b.create<scf::ForOp>(start, stop, constantI64(b, count * kLanes), state);
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(loop.getBody());
    SmallVector<Value> columns;
    for (int64_t u = 0; u < count; ++u)
      columns.push_back(addI64(b, loop.getInductionVar(), constantI64(b, u * kLanes)));
    auto next = body(columns, Value(), loop.getRegionIterArgs());
    if (failed(next)) return failure();
    if (!state.empty()) b.create<scf::YieldOp>(*next);
    state.assign(loop.result_begin(), loop.result_end());
    start = stop;
    return success();
  };
  if (unroll > 1 && failed(fullVectors(llvm::PowerOf2Ceil(unroll)))) return failure();
  if (failed(fullVectors(1))) return failure();
  Value left = b.create<arith::SubIOp>(last, start);
  Value any = b.create<arith::CmpIOp>(arith::CmpIPredicate::sgt, left, constantI64(b, 0));
  auto tail = b.create<scf::IfOp>(TypeRange(ValueRange(state)), any, /*withElseRegion=*/!state.empty());
  {
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(tail.thenBlock());
    auto next = body({start}, tailMask(b, left), state);
    if (failed(next)) return failure();
    if (!state.empty()) {
      b.create<scf::YieldOp>(*next);
      b.setInsertionPointToStart(tail.elseBlock());
      b.create<scf::YieldOp>(state);
    }
  }
  return SmallVector<Value>(tail.getResults());
}

Value numColumnBlocks(KernelArguments &frame, int64_t blockColumns) {
  Value columns = frame.size(frame.layout.numDims - 1);
  Value rounded = frame.b.create<arith::AddIOp>(columns, constantI64(frame.b, blockColumns - 1));
  return frame.b.create<arith::DivSIOp>(rounded, constantI64(frame.b, blockColumns));
}

std::pair<Value, Value> columnBlock(KernelArguments &frame, int64_t blockColumns, Value block) {
  Value first = mulI64(frame.b, block, constantI64(frame.b, blockColumns));
  Value last = minI64(frame.b, addI64(frame.b, first, constantI64(frame.b, blockColumns)),
                      frame.size(frame.layout.numDims - 1));
  return {first, last};
}

} // namespace weft::cpu
