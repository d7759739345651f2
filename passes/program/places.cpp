// Where values live: see entry_lowering.h.
#include "passes/program/entry_lowering.h"

using namespace mlir;
namespace weft::lowering {

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
  Value target = viewOf(to, 0, bytes, loc), source = viewOf(from, 0, bytes, loc);
  b.create<program::CopyOp>(loc, source, target);
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

// A kernel may overwrite `old` if it reads it only at the element (row) it is about to write: an elementwise
// or row kernel, or the epilogue of a product, which has read all factors of an element before.
bool EntryLowering::readsOnlyWhereItWrites(Operation *op, Value old, size_t output) {
  SmallVector<kernel::AccessAttr> writes, reads;
  auto read = [&](Value in, Attribute a) {
    if (wholeOf(in) == wholeOf(old)) reads.push_back(cast<kernel::AccessAttr>(a));
  };
  if (auto loops = dyn_cast<kernel::LoopsOp>(op)) {
    if (loops.getReduceDims() > 0) return false;
    for (auto [r, a] : llvm::zip(loops.getYieldResult(), loops.getOutputAccess()))
      if (r == int64_t(output)) writes.push_back(cast<kernel::AccessAttr>(a));
    for (auto [in, a] : llvm::zip(loops.getInputs(), loops.getInputAccess())) read(in, a);
  } else if (auto product = dyn_cast<kernel::MatmulOp>(op)) {
    for (Value v :
         {product.getLhs(), product.getRhs(), product.getInit(), product.getGroups(), product.getRows()})
      if (v && wholeOf(v) == wholeOf(old)) return false;
    writes.push_back(cast<kernel::AccessAttr>(product.getOutputAccess()[output]));
    for (auto [in, a] : llvm::zip(product.getExtras(), product.getExtraAccess())) read(in, a);
  } else {
    return false;
  }
  if (writes.size() != 1 || writes[0].getIndex() >= 0) return false;
  // Two loads of a row at different stages are fine; a store of one result must not hit what another still
  // reads, so element types must agree.
  return llvm::all_of(reads, [&](kernel::AccessAttr a) { return a == writes[0]; }) &&
         cast<RankedTensorType>(old.getType()).getElementType() ==
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

} // namespace weft::lowering
