// Entry functions of kernel ops → host programs over buffers. See passes.td.
//
// Every tensor value gets a place (Ref): a buffer, an offset and a stride a surrounding loop. Places are
// chosen so that data moves as little as possible:
//   a value that is returned, carried to the next iteration, stacked or written to a variable is computed
//   where it has to end, when what is there is no longer needed; a kernel that updates (`init`) works in
//   place when the old value dies there, and so does an elementwise kernel on a dying operand of its own
//   shape; all else gets an arena buffer; plan-memory overlays those by lifetime.
#include "passes/passes.h"
#include "passes/program/outline.h"
#include "llvm/ADT/MapVector.h"

using namespace mlir;
namespace weft {
#define GEN_PASS_DEF_LOWERTOPROGRAMPASS
#include "passes/passes.h.inc"

namespace {

int64_t elementBytes(Type t) {
  Type e = cast<RankedTensorType>(t).getElementType();
  return e.isInteger(1) ? 1 : e.getIntOrFloatBitWidth() / 8;
}
int64_t bytesOf(Type t) {
  int64_t n = elementBytes(t);
  for (int64_t d : cast<RankedTensorType>(t).getShape()) n *= d;
  return n;
}

// The value whose memory a reshape shows.
Value wholeOf(Value v) {
  while (auto r = v.getDefiningOp<graph::ReshapeOp>()) v = r.getX();
  return v;
}
// How many operands show the same memory.
int64_t countShowing(ValueRange operands, Value v) {
  return llvm::count_if(operands, [&](Value o) { return wholeOf(o) == wholeOf(v); });
}

// What may be done to the memory behind a value.
enum class Own {
  temp,
  slot,
  foreign
}; // temp: this value's own; slot: a carry, tied slice or variable that this block may overwrite; foreign:
   // never

struct Ref {
  Value buffer;
  int64_t offset = 0;
  SmallVector<int64_t> strides; // by loop depth
  Own own = Own::foreign;
  bool sameMemory(const Ref &o) const {
    return buffer == o.buffer && offset == o.offset && strides == o.strides;
  }
};

class EntryLowering {
public:
  EntryLowering(func::FuncOp f, SymbolTable &symbols, KernelOutliner &outliner,
                llvm::MapVector<StringRef, int64_t> &variableOffsets, int64_t stage)
      : f(f), symbols(symbols), outliner(outliner), variableOffsets(variableOffsets), stage(stage) {}

  LogicalResult run(OpBuilder &moduleBuilder);

private:
  // One block being lowered: where its values live, and until when they are needed.
  struct Scope {
    Block *block;
    llvm::DenseMap<Operation *, int64_t> position;
    llvm::DenseMap<Value, Ref> refs;
    llvm::DenseMap<Value, Ref> destination;             // where a value should be computed
    llvm::SmallVector<std::pair<Ref, Value>> occupants; // destinations with an old value: who holds it now
    llvm::DenseSet<Value> copiedEarly;                  // arguments whose copies to a stack were made first
  };

  LogicalResult lowerBlock(Scope &s);
  LogicalResult lowerKernel(Scope &s, Operation *op);
  LogicalResult lowerRepeat(Scope &s, graph::RepeatOp op);
  int64_t lastUse(Scope &s, Value v);
  Ref arenaBuffer(Value holds, Location loc, StringRef what);
  Ref place(Scope &s, Value result, Operation *op);
  void occupy(Scope &s, const Ref &memory, Value by);
  void writeVariables(Scope &s);
  bool readsOnlyWhereItWrites(Operation *op, Value old, size_t output);
  Value viewOf(const Ref &r, int64_t offset, int64_t bytes, Location loc);
  void copy(const Ref &from, const Ref &to, int64_t bytes, Location loc);
  Ref argumentRef(int64_t index, Type type);

  func::FuncOp f;
  SymbolTable &symbols;
  KernelOutliner &outliner;
  llvm::MapVector<StringRef, int64_t> &variableOffsets;
  int64_t stage;
  OpBuilder b{f.getContext()};
  int depth = 0;
  int64_t countArgument = -1;
  Value persistent;
};

// Memory of the value's own. `what` it is and where it was made tell a reader of the memory plan who needs
// it.
Ref EntryLowering::arenaBuffer(Value holds, Location loc, StringRef what) {
  auto type = cast<RankedTensorType>(holds.getType());
  auto buffer =
      b.create<program::BufferOp>(loc, program::BufferType::get(b.getContext()), program::Space::arena,
                                  std::max<int64_t>(bytesOf(type), 1), -1, 0);
  std::string text;
  llvm::raw_string_ostream out(text);
  out << what << " (";
  llvm::interleaveComma(type.getShape(), out);
  out << ") " << type.getElementType();
  buffer->setAttr("weft.holds", b.getStringAttr(text));
  return {buffer, 0, {}, Own::temp};
}

Value EntryLowering::viewOf(const Ref &r, int64_t offset, int64_t bytes, Location loc) {
  SmallVector<int64_t> strides(r.strides);
  strides.resize(depth, 0);
  while (!strides.empty() && strides.back() == 0) strides.pop_back();
  return b.create<program::ViewOp>(loc, r.buffer.getType(), r.buffer, r.offset + offset, bytes, strides);
}
void EntryLowering::copy(const Ref &from, const Ref &to, int64_t bytes, Location loc) {
  if (from.sameMemory(to) || bytes == 0) return;
  b.create<program::CopyOp>(loc, viewOf(from, 0, bytes, loc), viewOf(to, 0, bytes, loc));
}

// The last op of the block that needs this value's memory, through reshapes.
int64_t EntryLowering::lastUse(Scope &s, Value v) {
  int64_t last = -1;
  for (OpOperand &use : v.getUses()) {
    Operation *user = use.getOwner();
    if (isa<func::ReturnOp>(user) && s.copiedEarly.contains(v)) continue;
    last = std::max(last, s.position.lookup(user));
    if (isa<graph::ReshapeOp>(user)) last = std::max(last, lastUse(s, user->getResult(0)));
  }
  return last;
}

// An elementwise or row kernel may overwrite `old` if it reads it only at the element (row) it is about to
// write.
bool EntryLowering::readsOnlyWhereItWrites(Operation *op, Value old, size_t output) {
  auto loops = dyn_cast<kernel::LoopsOp>(op);
  if (!loops || loops.getReduceDims() > 0) return false;
  SmallVector<kernel::AccessAttr> writes;
  for (auto [r, a] : llvm::zip(loops.getYieldResult(), loops.getOutputAccess()))
    if (r == int64_t(output)) writes.push_back(cast<kernel::AccessAttr>(a));
  if (writes.size() != 1 || writes[0].getIndex() >= 0) return false;
  for (auto [in, a] : llvm::zip(loops.getInputs(), loops.getInputAccess()))
    if (wholeOf(in) == wholeOf(old) && a != writes[0]) return false;
  // Two loads of a row at different stages are fine; a store of one result must not hit what another still
  // reads, so element types must agree.
  return cast<RankedTensorType>(old.getType()).getElementType() ==
         cast<RankedTensorType>(op->getResult(output).getType()).getElementType();
}

void EntryLowering::occupy(Scope &s, const Ref &where, Value by) {
  for (auto &[memory, holder] : s.occupants)
    if (memory.sameMemory(where)) holder = by;
}

// Where a new result goes.
Ref EntryLowering::place(Scope &s, Value result, Operation *op) {
  int64_t here = s.position.lookup(op);
  size_t number = cast<OpResult>(result).getResultNumber();
  if (auto it = s.destination.find(result); it != s.destination.end()) {
    bool free = true;
    for (auto &[memory, holder] : s.occupants) {
      if (!memory.sameMemory(it->second)) continue;
      int64_t last = lastUse(s, holder);
      // Another result of this op is written together with this one, even if nothing reads it.
      free &= holder.getDefiningOp() != op;
      free &= last < here || (last == here && readsOnlyWhereItWrites(op, holder, number));
    }
    if (free) {
      occupy(s, it->second, result);
      return it->second;
    }
  }
  // A dying operand of the same size, read only where it is written.
  for (Value in : op->getOperands()) {
    auto it = s.refs.find(in);
    if (it == s.refs.end() || it->second.own != Own::temp ||
        bytesOf(in.getType()) != bytesOf(result.getType()))
      continue;
    if (lastUse(s, wholeOf(in)) > here || !readsOnlyWhereItWrites(op, in, number)) continue;
    bool taken = false; // by another result of this op
    for (Value other : op->getResults()) taken |= s.refs.count(other) && s.refs[other].sameMemory(it->second);
    if (!taken) return it->second;
  }
  if (auto repeat = dyn_cast<graph::RepeatOp>(op)) {
    Block &body = symbols.lookup<func::FuncOp>(repeat.getBody()).getBody().front();
    if (number < repeat.getCarry().size())
      return arenaBuffer(result, body.getArgument(number).getLoc(), "carried by a loop");
    Operation *source = wholeOf(body.getTerminator()->getOperand(number)).getDefiningOp();
    return arenaBuffer(result, source ? source->getLoc() : op->getLoc(), "kept by every iteration");
  }
  return arenaBuffer(result, op->getLoc(), op->getName().stripDialect());
}

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
  auto operand = [&](int64_t i) -> Value {
    if (i >= layout.numInputs) {
      int64_t out = i - layout.numInputs;
      if (auto loops = dyn_cast<kernel::LoopsOp>(op)) return loops.getResult(loops.getYieldResult()[out]);
      return op->getResult(out);
    }
    if (auto loops = dyn_cast<kernel::LoopsOp>(op)) return loops.getInputs()[i];
    if (auto matmul = dyn_cast<kernel::MatmulOp>(op))
      return i == 0 ? matmul.getLhs() : i == 1 ? matmul.getRhs() : matmul.getExtras()[i - 2];
    return cast<kernel::AttentionOp>(op).getInputs()[i];
  };
  for (auto [i, a] : llvm::enumerate(layout.accesses)) {
    Value v = operand(i);
    AccessExtent extent = extentOf(a, accessSpace(op, i));
    int64_t size = elementBytes(v.getType());
    buffers.push_back(viewOf(s.refs.lookup(v), extent.offset * size, extent.elements * size, op->getLoc()));
  }
  b.create<program::LaunchOp>(op->getLoc(), FlatSymbolRefAttr::get(call.kernel), buffers,
                              b.getDenseI64ArrayAttr(call.sizes), b.getI64IntegerAttr(call.items),
                              b.getI64IntegerAttr(1), b.getI64IntegerAttr(call.flops),
                              b.getI64IntegerAttr(call.bytes));
  return success();
}

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

LogicalResult EntryLowering::lowerBlock(Scope &s) {
  for (auto [i, op] : llvm::enumerate(*s.block)) s.position[&op] = i;
  for (Operation &op : s.block->without_terminator()) {
    if (isa<kernel::LoopsOp, kernel::MatmulOp, kernel::AttentionOp>(op)) {
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
void sinkWrites(Block &block) {
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

struct LowerToProgramPass : impl::LowerToProgramPassBase<LowerToProgramPass> {
  void runOnOperation() override {
    ModuleOp module = getOperation();
    SymbolTable symbols(module);
    // Persistent memory: variables in order, each on a cache line of its own.
    llvm::MapVector<StringRef, int64_t> offsets;
    int64_t total = 0;
    for (auto v : module.getOps<graph::VariableOp>()) {
      offsets[v.getSymName()] = total;
      v->setAttr("weft.offset", IntegerAttr::get(IntegerType::get(&getContext(), 64), total));
      total += (bytesOf(v.getType()) + 63) / 64 * 64;
    }
    offsets[""] = total;
    KernelOutliner outliner(module);
    OpBuilder b = OpBuilder::atBlockEnd(module.getBody());
    SmallVector<func::FuncOp> functions(module.getOps<func::FuncOp>());
    for (auto f : functions)
      if (f->hasAttr("weft.entry")) {
        EntryLowering lowering(f, symbols, outliner, offsets, 0);
        if (failed(lowering.run(b))) return signalPassFailure();
      }
    for (auto f : functions) f.erase();
    for (auto entry : module.getOps<program::EntryOp>())
      entry.setSymName(entry.getSymName().drop_back(strlen(".program")));
  }
};

} // namespace
} // namespace weft
