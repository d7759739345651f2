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
    for (graph::SortByExpertOp op : sortsOfSteps()) {
      int64_t tokens = graph::shapeOf(op.getIndices())[0];
      if (tokens % shards) {
        op.emitOpError() << "sorts the choices of " << tokens << " tokens, not a multiple of "
                         << int64_t(shards) << " virtual shards";
        return signalPassFailure();
      }
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

  // Those in micro-batch steps, the bodies of repeats whose trip count is known only at run time, and in what
  // they call.
  SmallVector<graph::SortByExpertOp> sortsOfSteps() {
    SymbolTable symbols(getOperation());
    llvm::SetVector<Operation *> functions;
    getOperation().walk([&](graph::RepeatOp op) {
      if (op.getDynamic()) functions.insert(symbols.lookup(op.getBody()));
    });
    SmallVector<graph::SortByExpertOp> sorts;
    for (size_t i = 0; i < functions.size(); ++i) {
      functions[i]->walk([&](graph::SortByExpertOp op) { sorts.push_back(op); });
      auto uses = SymbolTable::getSymbolUses(functions[i]);
      if (!uses) continue; // an op that no dialect here knows: there is none after tracing
      for (const SymbolTable::SymbolUse &use : *uses)
        if (auto called = symbols.lookup<func::FuncOp>(use.getSymbolRef().getRootReference()))
          functions.insert(called);
    }
    return sorts;
  }
};

} // namespace
} // namespace weft
