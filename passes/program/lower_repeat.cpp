// graph.repeat → a loop over places.
#include "passes/program/entry_lowering.h"

using namespace mlir;
namespace weft::lowering {

LogicalResult EntryLowering::lowerRepeat(Scope &s, graph::RepeatOp op) {
  auto body = symbols.lookup<func::FuncOp>(op.getBody());
  int64_t here = s.position.lookup(op);
  Location loc = op.getLoc();
  Scope in;
  in.block = &body.getBody().front();
  auto returned = in.block->getTerminator()->getOperands();
  size_t numCarry = op.getCarry().size(), numStacked = op.getStacked().size();
  // Memory of the operand that a result updates: taken over if it dies here and may be overwritten, else
  // copied.
  auto takeOver = [&](Value operand, Value result, bool taken) {
    Ref old = s.refs.lookup(operand);
    if (!taken && old.own != Own::foreign && lastUse(s, wholeOf(operand)) <= here &&
        countShowing(op.getOperands(), operand) == 1) {
      occupy(s, old, result);
      return old;
    }
    Ref fresh = place(s, result, op);
    copy(old, fresh, bytesOf(operand.getType()), loc);
    return fresh;
  };
  SmallVector<Ref> slots;
  for (size_t i = 0; i < numCarry; ++i) {
    Ref slot = takeOver(op.getCarry()[i], op.getResult(i), false);
    s.refs[op.getResult(i)] = slot;
    slot.own = Own::slot;
    slots.push_back(slot);
  }
  SmallVector<Ref> stacks; // of slice results
  llvm::DenseMap<int64_t, Ref> tiedMemory;
  for (auto [j, tied] : llvm::enumerate(op.getTied())) {
    Value result = op.getResult(numCarry + j);
    // Of several results tied to one operand the first has its memory, which is where the body reads it.
    Ref memory =
        tied >= 0 ? takeOver(op.getStacked()[tied], result, tiedMemory.contains(tied)) : place(s, result, op);
    s.refs[result] = memory;
    if (tied >= 0) tiedMemory.try_emplace(tied, memory);
    stacks.push_back(memory);
  }

  auto loop = b.create<program::LoopOp>(loc, op.getBegin(), op.getEnd(), op.getReverse(),
                                        op.getDynamic() ? countArgument : -1, op.getPart(), op.getParts());
  if (op.getDynamic() && countArgument < 0)
    return op.emitOpError(
        "has a trip count known only at run time, but the entry has no input named micro_batches");
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToEnd(&loop.getBody().emplaceBlock());
  ++depth;
  auto slice = [&](Ref memory, Type type, bool stackedAnew) {
    memory.strides.resize(depth, 0);
    int64_t bytes = bytesOf(type);
    memory.strides[depth - 1] = bytes;
    if (stackedAnew) memory.offset -= int64_t(op.getBegin()) * bytes;
    return memory;
  };
  for (auto [i, arg] : llvm::enumerate(in.block->getArguments())) {
    if (i < numCarry) {
      in.refs[arg] = slots[i];
    } else if (i < numCarry + numStacked) {
      bool tied = tiedMemory.contains(i - numCarry);
      Ref r = slice(tied ? tiedMemory[i - numCarry] : s.refs.lookup(op.getStacked()[i - numCarry]),
                    arg.getType(), false);
      r.own = tied ? Own::slot : Own::foreign;
      in.refs[arg] = r;
    } else {
      Ref r = s.refs.lookup(op.getInvariant()[i - numCarry - numStacked]);
      r.own = Own::foreign;
      in.refs[arg] = r;
    }
  }
  // Destinations of what the body returns.
  SmallVector<Ref> ends;
  for (auto [i, v] : llvm::enumerate(returned)) {
    Ref end;
    if (i < numCarry) {
      end = slots[i];
      in.occupants.push_back({end, in.block->getArgument(i)});
    } else {
      int64_t tied = op.getTied()[i - numCarry];
      end = slice(stacks[i - numCarry], v.getType(), tied < 0);
      end.own = Own::slot;
      if (tied >= 0) in.occupants.push_back({end, in.block->getArgument(numCarry + tied)});
    }
    ends.push_back(end);
    Value whole = wholeOf(v);
    if (whole.getDefiningOp() && !in.destination.count(whole)) in.destination[whole] = end;
  }
  // What the iteration was given and stacks anew is copied before anything may overwrite it.
  llvm::SmallDenseSet<size_t> early;
  for (size_t i = numCarry; i < returned.size(); ++i)
    if (isa<BlockArgument>(returned[i]) && op.getTied()[i - numCarry] < 0) {
      copy(in.refs.lookup(returned[i]), ends[i], bytesOf(returned[i].getType()), loc);
      early.insert(i);
    }
  for (size_t i : early)
    if (llvm::all_of(llvm::seq<size_t>(0, returned.size()),
                     [&](size_t j) { return returned[j] != returned[i] || early.contains(j); }))
      in.copiedEarly.insert(returned[i]);
  if (failed(lowerBlock(in))) return failure();
  // The other values into their slots and slices, all at once: what lives where another one is going to be
  // moves out of the way first.
  SmallVector<Ref> from;
  for (Value v : returned) from.push_back(in.refs.lookup(v));
  const SmallVector<Ref> lived = from;
  for (auto [i, v] : llvm::enumerate(returned)) {
    if (early.contains(i)) continue;
    bool overwritten = llvm::any_of(llvm::seq<size_t>(0, returned.size()), [&](size_t j) {
      return j != i && !early.contains(j) && lived[i].sameMemory(ends[j]) && !lived[j].sameMemory(ends[j]);
    });
    if (!overwritten || lived[i].sameMemory(ends[i])) continue;
    from[i] = arenaBuffer(v, loc, "copy");
    copy(lived[i], from[i], bytesOf(v.getType()), loc);
  }
  for (auto [i, v] : llvm::enumerate(returned))
    if (!early.contains(i)) copy(from[i], ends[i], bytesOf(v.getType()), loc);
  --depth;
  return success();
}

} // namespace weft::lowering
