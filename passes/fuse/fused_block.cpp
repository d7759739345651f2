#include "passes/fuse/fused_block.h"

using namespace mlir;
namespace weft {

StridedView FusedBlock::view(Value v) const {
  return *resolveView(v, [&](Value x) { return isBase(x); });
}
kernel::AccessAttr FusedBlock::access(const StridedView &v, ArrayRef<int64_t> dims) const {
  SmallVector<int64_t> strides;
  for (int64_t d : dims) strides.push_back(d < 0 ? 0 : v.strides[d]);
  return kernel::AccessAttr::get(block.getParentOp()->getContext(), v.offset, strides, -1, 0, 0);
}

Value FusedBlock::contiguousValue(Value v) {
  Value base = view(v).base;
  if (base.getType() == v.getType()) return base;
  OpBuilder at(block.getParentOp()->getContext());
  at.setInsertionPointAfterValue(base);
  return graph::reshape(at, v.getLoc(), base, graph::shapeOf(v));
}

bool FusedBlock::computedInside(Operation *user, const Cluster &c) const {
  if (user->getNumResults() != 1) return false;
  Value v = user->getResult(0);
  if (c.roots.contains(v)) return true;
  if (isBase(v)) return false;
  return (isPointwise(user) || isViewOp(user)) &&
         llvm::all_of(v.getUsers(), [&](Operation *next) { return computedInside(next, c); });
}

} // namespace weft
