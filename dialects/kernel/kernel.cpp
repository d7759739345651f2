#include "dialects/kernel/kernel.h"
#include "mlir/IR/DialectImplementation.h"
#include "llvm/ADT/TypeSwitch.h"
#include "llvm/Support/MathExtras.h"

#include "dialects/kernel/kernel_dialect.cpp.inc"
#include "dialects/kernel/kernel_enums.cpp.inc"
#define GET_ATTRDEF_CLASSES
#include "dialects/kernel/kernel_attrs.cpp.inc"
#define GET_OP_CLASSES
#include "dialects/kernel/kernel_ops.cpp.inc"

namespace weft::kernel {

void KernelDialect::initialize() {
  addAttributes<
#define GET_ATTRDEF_LIST
#include "dialects/kernel/kernel_attrs.cpp.inc"
      >();
  addOperations<
#define GET_OP_LIST
#include "dialects/kernel/kernel_ops.cpp.inc"
      >();
}

SizeLayout::SizeLayout(mlir::Operation *op) {
  auto take = [&](mlir::ArrayAttr list) {
    for (mlir::Attribute a : list) accesses.push_back(mlir::cast<AccessAttr>(a));
  };
  if (auto loops = mlir::dyn_cast<LoopsOp>(op)) {
    numDims = loops.getDomain().size();
    take(loops.getInputAccess());
    numInputs = accesses.size();
    take(loops.getOutputAccess());
  } else if (auto matmul = mlir::dyn_cast<MatmulOp>(op)) {
    numDims = 4;
    accesses = {matmul.getLhsAccess(), matmul.getRhsAccess()};
    take(matmul.getExtraAccess());
    numInputs = accesses.size();
    take(matmul.getOutputAccess());
  } else {
    auto attention = mlir::cast<AttentionOp>(op);
    numDims = 7;
    take(attention.getInputAccess());
    numInputs = accesses.size();
    take(attention.getOutputAccess());
  }
  slots = numDims;
  for (AccessAttr a : accesses) {
    bases.push_back(slots);
    slots += a.getStrides().size() + 2;
  }
}

bool hasRowReduction(LoopsOp op) { return !op.getBody().getOps<ReduceOp>().empty(); }

int64_t numWorkItems(mlir::Operation *op, llvm::ArrayRef<int64_t> sizes) {
  auto product = [](llvm::ArrayRef<int64_t> dims) {
    int64_t n = 1;
    for (int64_t d : dims) n *= d;
    return n;
  };
  if (auto loops = mlir::dyn_cast<LoopsOp>(op)) {
    int64_t outer = product(sizes.drop_front(loops.getReduceDims()).drop_back());
    if (hasRowReduction(loops)) return outer;
    return outer * llvm::divideCeil(sizes.back(), loops.getSchedule()->getBlockN());
  }
  if (auto matmul = mlir::dyn_cast<MatmulOp>(op)) {
    ScheduleAttr s = *matmul.getSchedule();
    return sizes[0] * llvm::divideCeil(sizes[2], s.getBlockN()) * llvm::divideCeil(sizes[1], s.getBlockM());
  }
  auto attention = mlir::cast<AttentionOp>(op);
  if (attention.getKind() == AttentionKind::backward) return sizes[0] * sizes[4];
  if (attention.getKind() == AttentionKind::grad_key_value)
    return sizes[0] * sizes[4] *
           llvm::divideCeil(sizes[2], std::max<int64_t>(attention.getSchedule()->getTileN(), 1));
  return sizes[0] * sizes[3] * llvm::divideCeil(sizes[1], attention.getSchedule()->getTileM());
}

} // namespace weft::kernel
