// Sorts of choices by expert that know virtual shards, before gradients are made. See passes.td.
#include "passes/passes.h"

using namespace mlir;
namespace weft {
#define GEN_PASS_DEF_SEGMENTSORTSPASS
#include "passes/passes.h.inc"

namespace {

struct SegmentSortsPass : impl::SegmentSortsPassBase<SegmentSortsPass> {
  using SegmentSortsPassBase::SegmentSortsPassBase;

  void runOnOperation() override {
    if (shards <= 1) return;
    SmallVector<graph::SortByExpertOp> sorts;
    getOperation().walk([&](graph::SortByExpertOp op) {
      if (graph::shapeOf(op.getIndices())[0] % shards == 0) sorts.push_back(op);
    });
    for (graph::SortByExpertOp op : sorts) {
      for (Operation *user : op.getOffsets().getUsers())
        if (!isa<graph::GroupedMatmulOp>(user)) {
          user->emitOpError("reads where each expert's choices begin, which virtual shards cut finer; only "
                            "products may");
          return signalPassFailure();
        }
      OpBuilder b(op);
      auto finer = b.create<graph::SortByExpertOp>(op.getLoc(), op.getIndices(), uint64_t(op.getExperts()),
                                                   uint64_t(shards));
      op.replaceAllUsesWith(finer.getResults());
      op.erase();
    }
  }
};

} // namespace
} // namespace weft
