#include "dialects/dist/dist.h"

#include "dialects/dist/dist_dialect.cpp.inc"
#include "dialects/dist/dist_enums.cpp.inc"
#define GET_OP_CLASSES
#include "dialects/dist/dist_ops.cpp.inc"

void weft::dist::DistDialect::initialize() {
  addOperations<
#define GET_OP_LIST
#include "dialects/dist/dist_ops.cpp.inc"
      >();
}

namespace weft::dist {

static mlir::LogicalResult checkPeer(mlir::Operation *op, int64_t peer, int64_t tag) {
  if (peer < 0 || tag < 0) return op->emitOpError() << "has peer " << peer << " and tag " << tag;
  return mlir::success();
}
mlir::LogicalResult SendOp::verify() { return checkPeer(*this, getPeer(), getTag()); }
mlir::LogicalResult ReceiveOp::verify() { return checkPeer(*this, getPeer(), getTag()); }

} // namespace weft::dist
