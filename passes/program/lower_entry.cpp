// Kernels, reads and writes, collectives, and the entry around them: see entry_lowering.h.
#include "passes/program/entry_lowering.h"

using namespace mlir;
namespace weft::lowering {

LogicalResult EntryLowering::lowerKernel(Scope &s, Operation *op) {
  // Results with an init start from its memory, in place or copied.
  SmallVector<Value> initOf(op->getNumResults());
  if (auto loops = dyn_cast<kernel::LoopsOp>(op))
    for (auto [init, r] : llvm::zip(loops.getInits(), loops.getInitResult())) initOf[r] = init;
  if (auto matmul = dyn_cast<kernel::MatmulOp>(op)) initOf[0] = matmul.getInit();
  int64_t here = s.position.lookup(op);
  for (auto [i, result] : llvm::enumerate(op->getResults())) {
    Value init = initOf[i];
    if (!init) {
      s.refs[result] = place(s, result, op);
      continue;
    }
    Ref old = s.refs.lookup(init);
    if (old.own != Own::foreign && lastUse(s, wholeOf(init)) <= here &&
        countShowing(op->getOperands(), init) == 1) {
      s.refs[result] = old;
      occupy(s, old, result);
      continue;
    }
    Ref fresh = place(s, result, op);
    copy(old, fresh, bytesOf(result.getType()), op->getLoc());
    s.refs[result] = fresh;
  }
  auto call = outliner.outline(op);
  SmallVector<Value> buffers;
  kernel::SizeLayout layout(op);
  for (auto [i, a] : llvm::enumerate(layout.accesses)) {
    Value v = kernel::accessedValue(op, i);
    AccessExtent extent = extentOf(a, kernel::accessSpace(op, i));
    int64_t size = elementBytes(v.getType());
    buffers.push_back(viewOf(s.refs.lookup(v), extent.offset * size, extent.elements * size, op->getLoc()));
  }
  b.create<program::LaunchOp>(op->getLoc(), FlatSymbolRefAttr::get(call.kernel), buffers,
                              b.getDenseI64ArrayAttr(call.sizes), b.getI64IntegerAttr(call.items),
                              b.getI64IntegerAttr(call.piece), b.getI64IntegerAttr(call.work.flops),
                              b.getI64IntegerAttr(call.work.bytes), b.getI64IntegerAttr(call.work.vectorOps));
  return success();
}

LogicalResult EntryLowering::lowerBlock(Scope &s) {
  for (auto [i, op] : llvm::enumerate(*s.block)) s.position[&op] = i;
  for (Operation &op : s.block->without_terminator()) {
    if (kernel::isKernel(&op)) {
      if (!op.getAttr("schedule"))
        return op.emitOpError("has no schedule: schedule-kernels comes before this pass");
      if (failed(lowerKernel(s, &op))) return failure();
    } else if (auto reshape = dyn_cast<graph::ReshapeOp>(op)) {
      s.refs[reshape.getResult()] = s.refs.lookup(reshape.getX());
    } else if (isa<kernel::EmptyOp>(op)) {
      s.refs[op.getResult(0)] = place(s, op.getResult(0), &op);
    } else if (auto repeat = dyn_cast<graph::RepeatOp>(op)) {
      if (failed(lowerRepeat(s, repeat))) return failure();
    } else if (auto read = dyn_cast<graph::ReadOp>(op)) {
      bool written = llvm::any_of(s.block->getOps<graph::WriteOp>(),
                                  [&](graph::WriteOp w) { return w.getVariable() == read.getVariable(); });
      s.refs[read.getResult()] = {
          persistent, variableOffsets[read.getVariable()], {}, written ? Own::slot : Own::foreign};
    } else if (isa<graph::WriteOp>(op)) {
      // At the end: writeVariables.
    } else if (auto reduce = dyn_cast<dist::AllReduceOp>(op)) {
      Value in = reduce.getValue();
      Ref old = s.refs.lookup(in), memory = old;
      if (old.own == Own::foreign || lastUse(s, wholeOf(in)) > s.position[&op]) {
        memory = place(s, reduce.getResult(), &op);
        copy(old, memory, bytesOf(in.getType()), op.getLoc());
      }
      occupy(s, memory, reduce.getResult());
      s.refs[reduce.getResult()] = memory;
      auto type = graph::tensorType(in);
      int64_t dtype = type.getElementType().isF32()         ? 0
                      : type.getElementType().isF64()       ? 1
                      : type.getElementType().isInteger(32) ? 2
                                                            : 3;
      b.create<program::AllReduceOp>(op.getLoc(), viewOf(memory, 0, bytesOf(type), op.getLoc()),
                                     type.getNumElements(), dtype, int64_t(reduce.getAxis()));
    } else if (auto send = dyn_cast<dist::SendOp>(op)) {
      Ref r = s.refs.lookup(send.getValue());
      b.create<program::SendOp>(op.getLoc(), viewOf(r, 0, bytesOf(send.getValue().getType()), op.getLoc()),
                                int64_t(send.getAxis()), send.getPeer(), send.getTag());
    } else if (auto receive = dyn_cast<dist::ReceiveOp>(op)) {
      Ref r = s.refs[receive.getResult()] = place(s, receive.getResult(), &op);
      b.create<program::ReceiveOp>(op.getLoc(), viewOf(r, 0, bytesOf(receive.getType()), op.getLoc()),
                                   int64_t(receive.getAxis()), receive.getPeer(), receive.getTag());
    } else {
      return op.emitOpError(
          "reached the lowering to the host program: no phase before it made a kernel of it");
    }
  }
  return success();
}

// One read, at most, and one write at the end for each variable: a read after a write is what was written,
// and all reads before it are one.
static void sinkWrites(Block &block) {
  llvm::DenseMap<StringRef, Value> value;
  llvm::MapVector<StringRef, graph::WriteOp> last;
  for (Operation &op : llvm::make_early_inc_range(block)) {
    if (auto read = dyn_cast<graph::ReadOp>(op)) {
      Value &known = value[read.getVariable()];
      if (known) {
        read.replaceAllUsesWith(known);
        read.erase();
      } else {
        known = read.getResult();
      }
    } else if (auto write = dyn_cast<graph::WriteOp>(op)) {
      value[write.getVariable()] = write.getValue();
      graph::WriteOp &before = last[write.getVariable()];
      if (before) before.erase();
      before = write;
    }
  }
  for (auto &[name, write] : last) write->moveBefore(block.getTerminator());
}

// Values into their variables. What is in memory of another variable, which may be overwritten here, moves
// out first.
void EntryLowering::writeVariables(Scope &s) {
  SmallVector<graph::WriteOp> writes(s.block->getOps<graph::WriteOp>());
  SmallVector<Ref> from;
  for (auto write : writes) {
    Ref r = s.refs.lookup(write.getValue());
    Ref to{persistent, variableOffsets[write.getVariable()], {}, Own::foreign};
    int64_t bytes = bytesOf(write.getValue().getType());
    if (r.buffer == persistent && !r.sameMemory(to)) {
      Ref aside = arenaBuffer(write.getValue(), write.getLoc(), "copy");
      copy(r, aside, bytes, write.getLoc());
      r = aside;
    }
    from.push_back(r);
  }
  for (auto [write, r] : llvm::zip(writes, from))
    copy(r, {persistent, variableOffsets[write.getVariable()], {}, Own::foreign},
         bytesOf(write.getValue().getType()), write.getLoc());
}

Ref EntryLowering::argumentRef(int64_t index, Type type) {
  auto t = cast<RankedTensorType>(type);
  int64_t bytes = elementBytes(type);
  for (int64_t d : t.getShape())
    if (d != ShapedType::kDynamic) bytes *= d;
  Value buffer = b.create<program::BufferOp>(b.getUnknownLoc(), program::BufferType::get(b.getContext()),
                                             program::Space::argument, bytes, 0, index);
  return {buffer, 0, {}, Own::foreign};
}

LogicalResult EntryLowering::run(OpBuilder &moduleBuilder) {
  SmallVector<Attribute> arguments;
  auto describe = [&](StringAttr name, bool output, Type type, Attribute limit) {
    auto t = cast<RankedTensorType>(type);
    SmallVector<int64_t> shape(t.getShape());
    bool dynamic = !shape.empty() && shape[0] == ShapedType::kDynamic;
    if (dynamic) shape.erase(shape.begin());
    SmallVector<NamedAttribute> fields{
        b.getNamedAttr("name", name), b.getNamedAttr("output", b.getBoolAttr(output)),
        b.getNamedAttr("type", TypeAttr::get(RankedTensorType::get(shape, t.getElementType()))),
        b.getNamedAttr("dynamic", b.getBoolAttr(dynamic))};
    if (limit) fields.push_back(b.getNamedAttr("limit", limit));
    arguments.push_back(b.getDictionaryAttr(fields));
  };
  for (auto arg : f.getArguments()) {
    auto name = f.getArgAttrOfType<StringAttr>(arg.getArgNumber(), "weft.name");
    if (!name) return f.emitError() << "entry argument " << arg.getArgNumber() << " has no weft.name";
    if (name.getValue() == "micro_batches") countArgument = arg.getArgNumber();
    describe(name, false, arg.getType(), f.getArgAttr(arg.getArgNumber(), "weft.limit"));
  }
  Block &block = f.getBody().front();
  auto returned = block.getTerminator()->getOperands();
  for (auto [i, v] : llvm::enumerate(returned)) {
    auto name = f.getResultAttrOfType<StringAttr>(i, "weft.name");
    if (!name) return f.emitError() << "entry result " << i << " has no weft.name";
    describe(name, true, v.getType(), {});
  }
  sinkWrites(block);

  auto entry = moduleBuilder.create<program::EntryOp>(f.getLoc(), (f.getName() + ".program").str(),
                                                      b.getArrayAttr(arguments), 0, stage);
  b.setInsertionPointToEnd(&entry.getBody().emplaceBlock());
  int64_t persistentBytes = variableOffsets.lookup("");
  persistent = b.create<program::BufferOp>(f.getLoc(), program::BufferType::get(b.getContext()),
                                           program::Space::persistent, persistentBytes, 0, 0);

  Scope s;
  s.block = &block;
  for (auto arg : f.getArguments()) s.refs[arg] = argumentRef(arg.getArgNumber(), arg.getType());
  for (Operation &op : block.without_terminator())
    if (auto write = dyn_cast<graph::WriteOp>(op)) {
      Ref memory{persistent, variableOffsets[write.getVariable()], {}, Own::slot};
      Value whole = wholeOf(write.getValue());
      if (whole.getDefiningOp() && !s.destination.count(whole)) s.destination[whole] = memory;
      for (Operation &other : block.without_terminator())
        if (auto read = dyn_cast<graph::ReadOp>(other); read && read.getVariable() == write.getVariable())
          s.occupants.push_back({memory, read.getResult()});
    }
  SmallVector<Ref> ends;
  for (auto [i, v] : llvm::enumerate(returned)) {
    Ref end = argumentRef(f.getNumArguments() + i, v.getType());
    end.own = Own::slot;
    ends.push_back(end);
    if (v.getDefiningOp() && !v.getDefiningOp<graph::ReshapeOp>() && !s.destination.count(v))
      s.destination[v] = end;
  }
  if (failed(lowerBlock(s))) return failure();
  for (auto [i, v] : llvm::enumerate(returned))
    copy(s.refs.lookup(v), ends[i], bytesOf(v.getType()), f.getLoc());
  writeVariables(s);
  return success();
}

} // namespace weft::lowering
