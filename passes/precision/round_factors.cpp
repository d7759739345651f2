// The factors of matrix products and attention in bf16. See passes.td.
#include "mlir/IR/IRMapping.h"
#include "passes/passes.h"

using namespace mlir;
namespace weft {
#define GEN_PASS_DEF_ROUNDFACTORSPASS
#include "passes/passes.h.inc"

namespace {

bool isF32(Value v) { return graph::tensorType(v).getElementType().isF32(); }

bool isView(Operation *op) {
  return isa<graph::ReshapeOp, graph::TransposeOp, graph::SliceOp, graph::BroadcastOp>(op);
}

// The bf16 value that v is, as f32 and perhaps in another shape, in v's shape; null where v is none.
Value narrowOf(OpBuilder &b, Value v) {
  Operation *op = v.getDefiningOp();
  if (!op) return {};
  if (auto cast = dyn_cast<graph::CastOp>(op); cast && graph::isRounding(cast)) return cast.getX();
  if (!isView(op)) return {};
  Value narrow = narrowOf(b, op->getOperand(0));
  if (!narrow) return {};
  IRMapping map;
  map.map(op->getOperand(0), narrow);
  Operation *copy = b.clone(*op, map);
  copy->getResult(0).setType(cast<RankedTensorType>(v.getType()).clone(b.getBF16Type()));
  return copy->getResult(0);
}

Value rounded(OpBuilder &b, Location loc, Value v) {
  Value narrow = narrowOf(b, v);
  return narrow ? narrow : graph::castTo(b, loc, v, b.getBF16Type());
}

bool isConstant(Value v) {
  Operation *op = v.getDefiningOp();
  if (op && isView(op)) return isConstant(op->getOperand(0));
  return op && isa<graph::ConstantOp>(op);
}

// Whether v is a factor again, or backward may have to keep it: it is multiplied by what is no constant, or a
// function of it is taken.
bool isKept(Value v) {
  return llvm::any_of(v.getUsers(), [&](Operation *user) {
    if (isView(user)) return isKept(user->getResult(0));
    if (isa<graph::MulOp>(user)) return llvm::none_of(user->getOperands(), isConstant);
    return isa<graph::MatmulOp, graph::GroupedMatmulOp, graph::AttentionOp, graph::DivOp, graph::PowOp,
               graph::ExpOp, graph::LogOp, graph::SqrtOp, graph::RsqrtOp, graph::TanhOp, graph::SigmoidOp,
               graph::SinOp, graph::CosOp, graph::AbsOp>(user);
  });
}

struct RoundFactorsPass : impl::RoundFactorsPassBase<RoundFactorsPass> {
  void runOnOperation() override {
    SmallVector<Operation *> ops;
    getOperation().walk([&](Operation *op) {
      if (isa<graph::MatmulOp, graph::GroupedMatmulOp, graph::AttentionOp>(op)) ops.push_back(op);
    });
    for (Operation *op : ops) {
      if (auto attention = dyn_cast<graph::AttentionOp>(op))
        roundAttention(attention);
      else
        roundProduct(op);
    }
  }

  // Of a matmul or a grouped one: operands 0 and 1 are the factors.
  void roundProduct(Operation *op) {
    if (!isF32(op->getOperand(0)) || !isF32(op->getOperand(1)) || op->hasAttr(graph::kFullPrecision)) return;
    OpBuilder b(op);
    for (int factor : {0, 1}) op->setOperand(factor, rounded(b, op->getLoc(), op->getOperand(factor)));
    Value result = op->getResult(0);
    if (!isKept(result)) {
      emitRemark(op->getLoc()) << "bf16: factors are rounded, sums and result are f32";
      return;
    }
    b.setInsertionPointAfter(op);
    Value narrow = b.create<graph::CastOp>(op->getLoc(), result, b.getBF16Type());
    Value wide = b.create<graph::CastOp>(op->getLoc(), narrow, b.getF32Type());
    result.replaceAllUsesExcept(wide, narrow.getDefiningOp());
    emitRemark(op->getLoc()) << "bf16: factors and result are rounded, sums are f32";
  }

  void roundAttention(graph::AttentionOp op) {
    if (!isF32(op.getQ()) || !isF32(op.getK()) || !isF32(op.getV())) return;
    OpBuilder b(op);
    Value q = rounded(b, op.getLoc(), op.getQ()), k = rounded(b, op.getLoc(), op.getK()),
          v = rounded(b, op.getLoc(), op.getV());
    auto narrow = b.create<graph::AttentionOp>(op.getLoc(), q, k, v, op.getBegin(), op.getEnd(),
                                               op.getScaleAttr(), op.getKeyBlockAttr());
    narrow->setDiscardableAttrs(op->getDiscardableAttrDictionary());
    op.getOut().replaceAllUsesWith(graph::castTo(b, op.getLoc(), narrow.getOut(), b.getF32Type()));
    op.getLse().replaceAllUsesWith(narrow.getLse());
    op.erase();
    emitRemark(narrow.getLoc())
        << "bf16: q, k, v and the result are rounded, scores, softmax and sums are f32";
  }
};

} // namespace
} // namespace weft
