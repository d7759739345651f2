// Verifiers: what the artifact's checker would refuse is found here, where the op still has a place in the
// model.
#include "dialects/program/program.h"
#include "mlir/IR/PatternMatch.h"

using namespace mlir;
namespace weft::program {

// -1 for a value that is neither a buffer nor a view.
static int64_t bytesOf(Value v) {
  if (auto view = v.getDefiningOp<ViewOp>()) return view.getBytes();
  auto buffer = v.getDefiningOp<BufferOp>();
  return buffer ? int64_t(buffer.getBytes()) : -1;
}

LogicalResult EntryOp::verify() {
  for (auto [i, a] : llvm::enumerate(getArguments())) {
    auto d = dyn_cast<DictionaryAttr>(a);
    for (StringRef field : {"name", "output", "type", "dynamic"})
      if (!d || !d.get(field)) return emitOpError() << "argument " << i << " has no " << field;
  }
  return success();
}

LogicalResult BufferOp::verify() {
  if (int64_t(getBytes()) < 0 || int64_t(getOffset()) < -1)
    return emitOpError() << "has " << int64_t(getBytes()) << " bytes at offset " << int64_t(getOffset());
  if (getSpace() == Space::argument)
    if (auto entry = (*this)->getParentOfType<EntryOp>(); entry && getIndex() >= entry.getArguments().size())
      return emitOpError() << "is argument " << getIndex() << " of " << entry.getArguments().size();
  return success();
}

// The bytes that the view touches over all iterations stay inside its source. Loops whose trip count is an
// argument are for arguments that grow with it.
LogicalResult ViewOp::verify() {
  SmallVector<LoopOp> loops; // outermost first
  for (Operation *op = (*this)->getParentOp(); op; op = op->getParentOp())
    if (auto loop = dyn_cast<LoopOp>(op)) loops.insert(loops.begin(), loop);
  if (getStrides().size() > loops.size())
    return emitOpError() << "strides over " << getStrides().size() << " loops inside of " << loops.size();
  int64_t first = getOffset(), last = getOffset();
  for (auto [loop, stride] : llvm::zip(loops, getStrides())) {
    if (stride == 0) continue;
    if (int64_t(loop.getCountArgument()) >= 0) {
      auto buffer = getSource().getDefiningOp<BufferOp>();
      if (!buffer || buffer.getSpace() != Space::argument)
        return emitOpError(
            "strides over a loop whose trip count is known only at run time, in memory of a known size");
      continue;
    }
    if (loop.getBegin() == loop.getEnd()) continue;
    int64_t a = int64_t(loop.getBegin()) * stride, z = (int64_t(loop.getEnd()) - 1) * stride;
    first += std::min(a, z);
    last += std::max(a, z);
  }
  if (int64_t(getBytes()) < 0 || first < 0 || last + int64_t(getBytes()) > bytesOf(getSource()))
    return emitOpError() << "touches bytes [" << first << ", " << last + int64_t(getBytes())
                         << ") of a buffer of " << bytesOf(getSource());
  return success();
}

LogicalResult LoopOp::verify() {
  if (int64_t(getEnd()) < int64_t(getBegin()))
    return emitOpError() << "runs from " << getBegin() << " to " << getEnd();
  if (int64_t(getPart()) < 0 || getPart() >= getParts())
    return emitOpError() << "is part " << getPart() << " of " << getParts();
  return success();
}
LogicalResult LoopOp::canonicalize(LoopOp op, PatternRewriter &rewriter) {
  bool never = int64_t(op.getCountArgument()) < 0 && op.getBegin() == op.getEnd();
  if (!never && !op.getBody().front().empty()) return failure();
  rewriter.eraseOp(op);
  return success();
}

LogicalResult LaunchOp::verify() {
  if (int64_t(getItems()) < 0 || int64_t(getPiece()) < 1)
    return emitOpError() << "runs " << int64_t(getItems()) << " items in pieces of " << int64_t(getPiece());
  return success();
}

LogicalResult CopyOp::verify() {
  if (bytesOf(getFrom()) != bytesOf(getTo()))
    return emitOpError() << "copies " << bytesOf(getFrom()) << " bytes to " << bytesOf(getTo());
  return success();
}
LogicalResult CopyOp::canonicalize(CopyOp op, PatternRewriter &rewriter) {
  if (op.getFrom() != op.getTo()) return failure();
  rewriter.eraseOp(op);
  return success();
}

static LogicalResult checkAxis(Operation *op, int64_t axis) {
  if (axis != 0 && axis != 1)
    return op->emitOpError() << "is over axis " << axis << " when it should be 0 or 1";
  return success();
}
LogicalResult AllReduceOp::verify() {
  constexpr int64_t sizes[] = {4, 8, 4, 8}; // f32, f64, i32, i64
  if (getDtype() > 3) return emitOpError() << "is of dtype " << getDtype();
  if (int64_t(getElements()) * sizes[getDtype()] != bytesOf(getBuffer()))
    return emitOpError() << "of " << getElements() << " elements has a buffer of " << bytesOf(getBuffer())
                         << " bytes";
  return checkAxis(*this, getAxis());
}
LogicalResult SendOp::verify() {
  if (int64_t(getPeer()) < 0 || int64_t(getTag()) < 0)
    return emitOpError() << "has peer " << int64_t(getPeer()) << " and tag " << int64_t(getTag());
  return checkAxis(*this, getAxis());
}
LogicalResult ReceiveOp::verify() {
  if (int64_t(getPeer()) < 0 || int64_t(getTag()) < 0)
    return emitOpError() << "has peer " << int64_t(getPeer()) << " and tag " << int64_t(getTag());
  return checkAxis(*this, getAxis());
}

LogicalResult KernelOp::verify() {
  int64_t kernels = 0;
  for (Operation &op : getBody().front()) kernels += op.getName().getDialectNamespace() == "kernel";
  if (kernels != 1) return emitOpError() << "holds " << kernels << " kernel ops when it should hold 1";
  return success();
}

} // namespace weft::program
