// Entry functions of kernel ops → host programs over buffers. See passes.td; the lowering is
// entry_lowering.h.
#include "passes/program/entry_lowering.h"

using namespace mlir;
namespace weft {
#define GEN_PASS_DEF_LOWERTOPROGRAMPASS
#include "passes/passes.h.inc"

namespace {

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
      total += (lowering::bytesOf(v.getType()) + 63) / 64 * 64;
    }
    offsets[""] = total;
    KernelOutliner outliner(module);
    OpBuilder b = OpBuilder::atBlockEnd(module.getBody());
    SmallVector<func::FuncOp> functions(module.getOps<func::FuncOp>());
    for (auto f : functions)
      if (f->hasAttr("weft.entry")) {
        lowering::EntryLowering lowering(f, symbols, outliner, offsets, 0);
        if (failed(lowering.run(b))) return signalPassFailure();
      }
    for (auto f : functions) f.erase();
    for (auto entry : module.getOps<program::EntryOp>())
      entry.setSymName(entry.getSymName().drop_back(strlen(".program")));
  }
};

} // namespace
} // namespace weft
