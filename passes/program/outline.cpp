#include "passes/program/outline.h"
#include "mlir/IR/AsmState.h"
#include "mlir/IR/IRMapping.h"
#include "mlir/IR/PatternMatch.h"

using namespace mlir;
namespace weft {
using kernel::kDynamic;

AccessExtent extentOf(kernel::AccessAttr a, ArrayRef<int64_t> sizes) {
  int64_t last = 0;
  for (auto [stride, size] : llvm::zip(a.getStrides(), sizes)) {
    if (size == 0) return {a.getOffset(), 0};
    last += stride * (size - 1);
  }
  if (a.getIndex() >= 0) last += (a.getIndexLimit() - 1) * a.getIndexStride();
  return {a.getOffset(), last + 1};
}

static kernel::AccessAttr generic(kernel::AccessAttr a) {
  SmallVector<int64_t> strides;
  for (int64_t s : a.getStrides()) strides.push_back(s == 0 || s == 1 ? s : kDynamic);
  bool indexed = a.getIndex() >= 0;
  return kernel::AccessAttr::get(a.getContext(), 0, strides, a.getIndex(), indexed ? kDynamic : 0,
                                 indexed ? kDynamic : 0);
}
static ArrayAttr generic(ArrayAttr list) {
  SmallVector<Attribute> out;
  for (Attribute a : list) out.push_back(generic(cast<kernel::AccessAttr>(a)));
  return ArrayAttr::get(list.getContext(), out);
}
static RankedTensorType generic(Type t) {
  return RankedTensorType::get({kDynamic}, cast<RankedTensorType>(t).getElementType());
}

// A copy of the op with dynamic sizes and strides, on arguments of `block`, with one result for each output
// access.
static Operation *makeGeneric(Operation *op, Block *block) {
  OpBuilder b(op->getContext());
  b.setInsertionPointToEnd(block);
  Location loc = op->getLoc();
  IRMapping map;
  auto argument = [&](Value v) -> Value { return block->addArgument(generic(v.getType()), loc); };
  if (auto loops = dyn_cast<kernel::LoopsOp>(op)) {
    SmallVector<Value> inputs, inits;
    SmallVector<Type> types;
    SmallVector<int64_t> yieldResult, initResult;
    for (Value v : loops.getInputs()) inputs.push_back(argument(v));
    for (auto [i, r] : llvm::enumerate(loops.getYieldResult())) {
      types.push_back(generic(loops.getResult(r).getType()));
      yieldResult.push_back(i);
      // A sum continues what its buffer holds; elsewhere an init is only what the buffer held before.
      if (loops.getReduceDims() == 0) continue;
      for (auto [init, target] : llvm::zip(loops.getInits(), loops.getInitResult()))
        if (target == r) {
          inits.push_back(argument(init));
          initResult.push_back(i);
        }
    }
    SmallVector<int64_t> domain(loops.getDomain().size(), kDynamic);
    auto copy = b.create<kernel::LoopsOp>(loc, types, inputs, inits, b.getDenseI64ArrayAttr(domain),
                                          generic(loops.getInputAccess()), generic(loops.getOutputAccess()),
                                          b.getDenseI64ArrayAttr(yieldResult),
                                          b.getDenseI64ArrayAttr(initResult), loops.getReduceDimsAttr(),
                                          loops.getReductionAttr(), loops.getScheduleAttr());
    loops.getBody().cloneInto(&copy.getBody(), map);
    return copy;
  }
  if (auto matmul = dyn_cast<kernel::MatmulOp>(op)) {
    Value lhs = argument(matmul.getLhs()), rhs = argument(matmul.getRhs());
    SmallVector<Value> extras;
    for (Value v : matmul.getExtras()) extras.push_back(argument(v));
    Value groups = matmul.getGroups() ? argument(matmul.getGroups()) : Value();
    Value rows = matmul.getRows() ? argument(matmul.getRows()) : Value();
    Value init = matmul.getInit() ? argument(matmul.getInit()) : Value();
    auto genericOrNone = [](kernel::AccessAttr a) { return a ? generic(a) : a; };
    SmallVector<Type> types;
    for (Type t : matmul.getResultTypes()) types.push_back(generic(t));
    auto copy = b.create<kernel::MatmulOp>(
        loc, types, lhs, rhs, init, extras, groups, rows,
        b.getDenseI64ArrayAttr(SmallVector<int64_t>(4, kDynamic)), generic(matmul.getLhsAccess()),
        generic(matmul.getRhsAccess()), generic(matmul.getExtraAccess()), generic(matmul.getOutputAccess()),
        matmul.getGroupedAttr(), genericOrNone(matmul.getGroupAccessAttr()),
        genericOrNone(matmul.getRowAccessAttr()), matmul.getPackedRhsAttr(), matmul.getReductionAttr(),
        matmul.getScheduleAttr());
    matmul.getBody().cloneInto(&copy.getBody(), map);
    return copy;
  }
  if (auto sort = dyn_cast<kernel::SortOp>(op)) {
    SmallVector<Type> types;
    for (Type t : op->getResultTypes()) types.push_back(generic(t));
    return b.create<kernel::SortOp>(
        loc, types, argument(sort.getKeys()), b.getDenseI64ArrayAttr(SmallVector<int64_t>(4, kDynamic)),
        generic(sort.getInputAccess()), generic(sort.getOutputAccess()), sort.getScheduleAttr());
  }
  auto attention = cast<kernel::AttentionOp>(op);
  SmallVector<Value> inputs;
  for (Value v : attention.getInputs()) inputs.push_back(argument(v));
  SmallVector<Type> types;
  for (Type t : attention.getResultTypes()) types.push_back(generic(t));
  // Widths shape the code: registers hold a head's row.
  SmallVector<int64_t> sizes(5, kDynamic);
  llvm::append_range(sizes, attention.getSizes().drop_front(5));
  return b.create<kernel::AttentionOp>(loc, types, attention.getKindAttr(), inputs,
                                       b.getDenseI64ArrayAttr(sizes), generic(attention.getInputAccess()),
                                       generic(attention.getOutputAccess()), attention.getScaleAttr(),
                                       attention.getReductionAttr(), attention.getScheduleAttr());
}

static StringRef familyOf(Operation *op) {
  return op->getName().getStringRef().drop_front(strlen("kernel."));
}

KernelOutliner::Call KernelOutliner::outline(Operation *op) {
  auto block = std::make_unique<Block>();
  Operation *copy = makeGeneric(op, block.get());
  std::string key;
  {
    llvm::raw_string_ostream os(key);
    copy->print(os, OpPrintingFlags().useLocalScope());
  }
  Call call;
  program::KernelOp &slot = known[key];
  kernel::SizeLayout layout(op);
  if (!slot) {
    std::string name = familyOf(op).str() + "_" + std::to_string(numbers[familyOf(op)]++);
    OpBuilder b = OpBuilder::atBlockEnd(module.getBody());
    slot = b.create<program::KernelOp>(op->getLoc(), name, layout.numSlots());
    slot.getBody().push_back(block.release());
  } else {
    // One kernel, several places in the model.
    slot->setLoc(FusedLoc::get(op->getContext(), {slot.getLoc(), op->getLoc()}));
  }
  call.kernel = slot;
  call.sizes.assign(layout.numSlots(), 0);
  ArrayRef<int64_t> own = kernel::sizesOf(op);
  llvm::copy(own, call.sizes.begin());
  for (auto [i, a] : llvm::enumerate(layout.accesses)) {
    for (auto [d, s] : llvm::enumerate(a.getStrides())) call.sizes[layout.stride(i, d)] = s;
    call.sizes[layout.indexStride(i)] = a.getIndexStride();
    call.sizes[layout.indexLimit(i)] = a.getIndexLimit();
  }
  call.items = kernel::numWorkItems(op, own);
  call.piece = kernel::itemsTogether(op, own);
  call.work = workOf(op);
  return call;
}

} // namespace weft
