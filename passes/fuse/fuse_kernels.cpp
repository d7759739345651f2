// Graph ops → structured kernels. See passes.td; clusters.h says what is computed together.
#include "mlir/Interfaces/SideEffectInterfaces.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"
#include "passes/fuse/fuse_products.h"
#include "passes/fuse/fusion_choices.h"
#include "passes/fuse/loops_builder.h"
#include "passes/fuse/normalise.h"
#include "passes/passes.h"
#include "llvm/Support/FormatVariadic.h"

using namespace mlir;
namespace weft {
#define GEN_PASS_DEF_FUSEKERNELSPASS
#include "passes/passes.h.inc"

namespace {

class FunctionFuser : public FusedBlock {
public:
  using FusedBlock::FusedBlock;

  void run() {
    for (const FusionChoice &c : clusters.apart())
      emitRemark(placeOf(c.value)) << "apart from the product that it reads: "
                                   << (c.given ? "measured; " : "") << "predicted to take "
                                   << microseconds(c.cost.behindNs) << " behind it, "
                                   << microseconds(c.cost.apartNs) << " in a kernel of its own";
    for (const Cluster &c : clusters.all())
      if (!c.product) emitCluster(c);
    SmallVector<Operation *> ops;
    for (Operation &op : block) ops.push_back(&op);
    for (Operation *op : ops) emitSingle(op);
    for (Operation *op : ops) takeWholeBuffers(op);
    for (auto [from, to] : replacements) from.replaceAllUsesWith(to);
    // What the kernels computed is dead now; views that only named a buffer's parts too.
    for (bool changed = true; changed;) {
      changed = false;
      for (Operation &op : llvm::make_early_inc_range(llvm::reverse(block)))
        if (op.use_empty() && op.getName().getDialectNamespace() == "graph" &&
            !isa<graph::WriteOp, graph::RepeatOp>(op)) {
          op.erase();
          changed = true;
        }
    }
    order();
  }

private:
  // Every op after its operands, otherwise as before; collectives, sends and receives in the order they had,
  // and none before what preceded it in the program and has effects.
  void order() {
    SmallVector<Operation *> pending;
    for (Operation &op : block.without_terminator()) pending.push_back(&op);
    llvm::DenseSet<Operation *> waiting(pending.begin(), pending.end());
    Operation *end = block.getTerminator();
    while (!pending.empty()) {
      SmallVector<Operation *> rest;
      bool effectWaits = false, moved = false;
      for (Operation *op : pending) {
        bool effect = !isPure(op);
        bool ready = !(effect && effectWaits) && llvm::none_of(op->getOperands(), [&](Value v) {
          return v.getDefiningOp() && waiting.contains(v.getDefiningOp());
        });
        if (ready) {
          op->moveBefore(end);
          waiting.erase(op);
          moved = true;
        } else {
          rest.push_back(op);
          effectWaits |= effect;
        }
      }
      if (!moved) return; // a cycle: the verifier names it
      pending = rest;
    }
  }

  static std::string microseconds(double ns) { return llvm::formatv("{0:f1} us", ns / 1000); }

  // A constant that folding left has no place of its own: that of what it is for.
  static Location placeOf(Value v) {
    if (isa<UnknownLoc>(v.getLoc()))
      for (Operation *user : v.getUsers())
        if (!isa<UnknownLoc>(user->getLoc())) return user->getLoc();
    return v.getLoc();
  }

  void emitCluster(const Cluster &c) {
    SmallVector<int64_t> domain(c.domain);
    for (int attempt = 0;; ++attempt) {
      if (domain.empty() || attempt) domain.push_back(1);
      Location loc = placeOf(c.roots.back());
      LoopsBuilder builder(clusters, &c, loc, domain);
      SmallVector<Value> outputs;
      for (Value root : c.roots) {
        auto shape = graph::shapeOf(root);
        Value scalar = builder.evaluate(root, identityMap(shape.size()));
        if (llvm::all_of(root.getUsers(), [&](Operation *user) { return computedInside(user, c); })) continue;
        auto strides = rowMajorStridesOf(shape);
        strides.resize(domain.size(), 0);
        builder.yield(scalar, builder.addResult(graph::tensorType(root)), 0, strides);
        outputs.push_back(root);
      }
      if (builder.needsUnitColumn() && !attempt) continue;
      if (builder.columnIsShort() && emitUnrolled(c, domain, builder.closestDimension())) return;
      if (outputs.empty()) return;
      OpBuilder at(c.roots.back().getDefiningOp());
      auto op = builder.finish(at);
      for (auto [root, result] : llvm::zip(outputs, op.getResults())) replace(root, result);
      say(op, outputs.size());
      return;
    }
  }

  static void say(kernel::LoopsOp op, size_t results) {
    emitRemark(op.getLoc()) << "fused into one kernel: " << op.getBody().front().getOperations().size() - 1
                            << " operations, " << op.getInputs().size() << " inputs, " << results
                            << " results";
  }

  // A last dimension of a few bf16 that does not merge with the one before it (pairs of a packed weight)
  // is no column: the kernel runs over the others, `column` last, and yields each of its elements by itself.
  bool emitUnrolled(const Cluster &c, ArrayRef<int64_t> domain, int64_t column) {
    int64_t count = domain.back(), rank = domain.size();
    Value root = c.roots[0];
    if (c.roots.size() != 1 || isRowReduction(root.getDefiningOp()) ||
        !graph::tensorType(root).getElementType().isBF16())
      return false;
    SmallVector<int64_t> order, sizes, strides;
    for (int64_t d = 0; d < rank - 1; ++d)
      if (d != column) order.push_back(d);
    order.push_back(column);
    auto rowMajor = rowMajorStridesOf(graph::shapeOf(root));
    IndexMap map(rank, {-1});
    for (auto [i, d] : llvm::enumerate(order)) {
      sizes.push_back(domain[d]);
      strides.push_back(rowMajor[d]);
      map[d] = {int64_t(i)};
    }
    LoopsBuilder builder(clusters, &c, placeOf(root), sizes);
    int result = builder.addResult(graph::tensorType(root));
    for (int64_t i = 0; i < count; ++i) {
      map.back() = {-1, i};
      builder.yield(builder.evaluate(root, map), result, i, strides);
    }
    if (builder.needsUnitColumn()) return false;
    OpBuilder at(root.getDefiningOp());
    auto op = builder.finish(at);
    replace(root, op.getResult(0));
    say(op, 1);
    return true;
  }

  void emitSingle(Operation *op) {
    if (isa<graph::MatmulOp, graph::GroupedMatmulOp, graph::GroupedOuterOp>(op))
      return fuseProduct(*this, op);
    if (auto s = dyn_cast<graph::SortByExpertOp>(op)) return emitSort(s);
    if (isa<graph::AttentionOp, graph::AttentionGradOp>(op)) return emitAttention(op);
    if (auto r = dyn_cast<graph::ReduceOp>(op); r && !isRowReduction(op)) return emitColumnReduction(r);
    if (auto s = dyn_cast<graph::ScatterAddOp>(op)) return emitScatter(s);
    if (auto w = dyn_cast<graph::WriteRowsOp>(op)) return emitWriteRows(w);
    if (auto c = dyn_cast<graph::ConcatOp>(op)) return emitConcat(c);
  }

  void emitColumnReduction(graph::ReduceOp op) {
    auto shape = graph::shapeOf(op.getX());
    SmallVector<int64_t> order(op.getAxes()), domain;
    for (int64_t i = 0; i < int64_t(shape.size()); ++i)
      if (!llvm::is_contained(op.getAxes(), i)) order.push_back(i);
    IndexMap map(shape.size(), {-1});
    for (auto [i, d] : llvm::enumerate(order)) {
      domain.push_back(shape[d]);
      map[d] = {int64_t(i)};
    }
    LoopsBuilder builder(clusters, nullptr, op.getLoc(), domain);
    Value scalar = builder.evaluate(op.getX(), map);
    auto strides = SmallVector<int64_t>(op.getAxes().size(), 0);
    llvm::append_range(strides, rowMajorStridesOf(graph::shapeOf(op.getResult())));
    Value init = op.getAcc() ? contiguousValue(op.getAcc()) : Value();
    builder.yield(scalar, builder.addResult(graph::tensorType(op.getResult()), init), 0, strides);
    OpBuilder at(op);
    replace(op.getResult(), builder.finish(at, op.getAxes().size()).getResult(0));
  }

  void emitScatter(graph::ScatterAddOp op) {
    auto indexShape = graph::shapeOf(op.getIndices()), rows = graph::shapeOf(op.getAcc());
    int64_t width = 1, count = 1;
    for (int64_t d : rows.drop_front()) width *= d;
    for (int64_t d : indexShape) count *= d;
    OpBuilder at(op);
    // (tokens, width): one ascending chain an element.
    LoopsBuilder builder(clusters, nullptr, op.getLoc(), {count, width});
    Value indices = graph::reshape(at, op.getLoc(), op.getIndices(), {count}),
          updates = graph::reshape(at, op.getLoc(), op.getUpdates(), {count, width});
    int64_t index = builder.addIndexInput(indices, {{0}});
    Value scalar = builder.evaluate(updates, identityMap(2));
    builder.yield(scalar, builder.addResult(graph::tensorType(op.getAcc()), contiguousValue(op.getAcc())), 0,
                  {0, 1}, index, width, rows[0]);
    replace(op.getResult(), builder.finish(at, 1).getResult(0));
  }

  void emitWriteRows(graph::WriteRowsOp op) {
    auto shape = graph::shapeOf(op.getUpdates()), dest = graph::shapeOf(op.getDest());
    SmallVector<int64_t> domain(shape), strides = rowMajorStridesOf(dest);
    int64_t rowStride = strides[1];
    strides[1] = 0; // the slot says the row
    if (shape.size() == 2) {
      domain.push_back(1);
      strides.push_back(0);
    }
    LoopsBuilder builder(clusters, nullptr, op.getLoc(), domain);
    int64_t index = builder.addIndexInput(op.getSlots(), identityMap(2));
    Value scalar = builder.evaluate(op.getUpdates(), identityMap(shape.size()));
    builder.yield(scalar, builder.addResult(graph::tensorType(op.getDest()), contiguousValue(op.getDest())),
                  0, strides, index, rowStride, dest[1]);
    OpBuilder at(op);
    replace(op.getResult(), builder.finish(at).getResult(0));
  }

  // Pieces of one shape are written by one kernel; kernels of other shapes add theirs to the same buffer.
  void emitConcat(graph::ConcatOp op) {
    auto type = graph::tensorType(op.getResult());
    SmallVector<int64_t> strides = rowMajorStridesOf(type.getShape());
    SmallVector<std::pair<Value, int64_t>> pending;
    int64_t offset = 0;
    for (Value x : op.getInputs()) {
      if (graph::tensorType(x).getNumElements()) pending.push_back({x, offset});
      offset += graph::shapeOf(x)[op.getAxis()] * strides[op.getAxis()];
    }
    OpBuilder at(op);
    Value whole;
    while (!pending.empty()) {
      SmallVector<int64_t> shape(graph::shapeOf(pending.front().first));
      bool all =
          llvm::all_of(pending, [&](auto &p) { return graph::shapeOf(p.first) == ArrayRef<int64_t>(shape); });
      if (!whole && !all) whole = at.create<kernel::EmptyOp>(op.getLoc(), type);
      LoopsBuilder builder(clusters, nullptr, op.getLoc(), shape);
      int result = builder.addResult(type, whole);
      SmallVector<std::pair<Value, int64_t>> rest;
      for (auto [x, at] : pending) {
        if (graph::shapeOf(x) != ArrayRef<int64_t>(shape)) {
          rest.push_back({x, at});
          continue;
        }
        builder.yield(builder.evaluate(x, identityMap(shape.size())), result, at, strides);
      }
      whole = builder.finish(at).getResult(0);
      pending = rest;
    }
    replace(op.getResult(), whole);
  }

  // What stays as it is takes buffers, of which it knows no view but a reshape. A transpose or broadcast may
  // come to no more than that: one that only moves unit dimensions.
  void takeWholeBuffers(Operation *op) {
    if (!isa<func::ReturnOp, graph::WriteOp, graph::RepeatOp>(op) &&
        op->getName().getDialectNamespace() != "dist")
      return;
    for (OpOperand &use : op->getOpOperands()) {
      Value v = use.get();
      auto reshape = v.getDefiningOp<graph::ReshapeOp>();
      if (isBase(v) || (reshape && isBase(reshape.getX()))) continue;
      use.set(contiguousValue(v));
    }
  }

  void emitSort(graph::SortByExpertOp op) {
    OpBuilder at(op);
    auto shape = graph::shapeOf(op.getIndices());
    auto flat = kernel::AccessAttr::get(op.getContext(), 0, ArrayRef<int64_t>{1}, -1, 0, 0);
    SmallVector<Attribute> out(4, flat);
    auto kernelOp = at.create<kernel::SortOp>(
        op.getLoc(), op->getResultTypes(), contiguousValue(op.getIndices()),
        at.getDenseI64ArrayAttr({shape[0], shape[1], int64_t(op.getExperts()), int64_t(op.getSegments())}),
        at.getArrayAttr({flat}), at.getArrayAttr(out), kernel::ScheduleAttr());
    for (auto [from, to] : llvm::zip(op->getResults(), kernelOp->getResults())) replace(from, to);
  }

  void emitAttention(Operation *op) {
    auto kind =
        isa<graph::AttentionOp>(op) ? kernel::AttentionKind::forward : kernel::AttentionKind::backward;
    auto q = graph::shapeOf(op->getOperand(0)), k = graph::shapeOf(op->getOperand(1)),
         v = graph::shapeOf(op->getOperand(2));
    OpBuilder at(op);
    SmallVector<Value> inputs;
    SmallVector<Attribute> in, out;
    for (Value x : op->getOperands()) {
      StridedView xv = view(x);
      for (auto [stride, size] : llvm::zip(xv.strides, graph::shapeOf(x)))
        if (size == 1) stride = 0;
      inputs.push_back(xv.base);
      in.push_back(kernel::AccessAttr::get(op->getContext(), xv.offset, xv.strides, -1, 0, 0));
    }
    for (Value r : op->getResults()) {
      auto strides = rowMajorStridesOf(graph::shapeOf(r));
      for (auto [stride, size] : llvm::zip(strides, graph::shapeOf(r)))
        if (size == 1) stride = 0;
      out.push_back(kernel::AccessAttr::get(op->getContext(), 0, strides, -1, 0, 0));
    }
    auto attribute = [&](auto read) {
      if (auto o = dyn_cast<graph::AttentionOp>(op)) return read(o);
      return read(cast<graph::AttentionGradOp>(op));
    };
    int64_t keyBlock = attribute([](auto o) { return int64_t(o.getKeyBlock()); });
    FloatAttr scale = attribute([](auto o) { return o.getScaleAttr(); });
    auto reduction = kernel::ReductionAttr::get(op->getContext(), "fma", 16, keyBlock);
    auto kernelOp = at.create<kernel::AttentionOp>(
        op->getLoc(), op->getResultTypes(), kernel::AttentionKindAttr::get(op->getContext(), kind), inputs,
        at.getDenseI64ArrayAttr({q[0], q[1], k[1], q[2], k[2], q[3], v[3]}), at.getArrayAttr(in),
        at.getArrayAttr(out), scale, reduction, kernel::ScheduleAttr());
    for (auto [from, to] : llvm::zip(op->getResults(), kernelOp.getResults())) replace(from, to);
  }
};

struct FuseKernelsPass : impl::FuseKernelsPassBase<FuseKernelsPass> {
  using FuseKernelsPassBase::FuseKernelsPassBase;
  void runOnOperation() override {
    RewritePatternSet patterns(&getContext());
    populateNormalisePatterns(patterns);
    if (failed(applyPatternsAndFoldGreedily(getOperation(), std::move(patterns)))) return signalPassFailure();
    const FusionMachine machine{lanesPerNs, cacheBytes, cacheRate, memoryRate, productRate, launchNs};
    for (double rate :
         {machine.lanesPerNs, machine.cacheBytes, machine.cacheRate, machine.memoryRate, machine.productRate})
      if (!(rate > 0)) {
        getOperation().emitError() << "a rate or size of the machine is " << rate
                                   << " when it should be positive";
        return signalPassFailure();
      }
    FailureOr<FusionChoices> given = readFusionChoices(getOperation(), behind, apart);
    if (failed(given)) return signalPassFailure();
    SmallVector<Attribute> choices;
    for (auto f : getOperation().getOps<func::FuncOp>()) {
      if (f.isExternal()) continue;
      FunctionFuser fuser(f.getBody().front(), machine, *given);
      if (reportChoices) choices.append(listFusionChoices(f, fuser.clusters));
      fuser.run();
    }
    if (reportChoices) getOperation()->setAttr("weft.fusions", Builder(&getContext()).getArrayAttr(choices));
  }
};

} // namespace
} // namespace weft
