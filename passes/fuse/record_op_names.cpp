// The names of graph ops in their locations. See passes.td.
#include "passes/passes.h"

using namespace mlir;
namespace weft {
#define GEN_PASS_DEF_RECORDOPNAMESPASS
#include "passes/passes.h.inc"

namespace {

struct RecordOpNamesPass : impl::RecordOpNamesPassBase<RecordOpNamesPass> {
  using RecordOpNamesPassBase::RecordOpNamesPassBase;

  void runOnOperation() override {
    getOperation().walk([](Operation *op) {
      // Without a place there is nothing to be found, and passes look for that.
      if (!isa<graph::GraphDialect>(op->getDialect()) || isa<UnknownLoc>(op->getLoc())) return;
      op->setLoc(FusedLoc::get({op->getLoc()}, op->getName().getIdentifier(), op->getContext()));
    });
  }
};

} // namespace
} // namespace weft
