// Elementwise operators: result types, folders, gradients. Evaluation: evaluate_elementwise.cpp.
#include "dialects/graph/graph.h"
#include "dialects/graph/infer.h"

using namespace mlir;
namespace weft::graph {

#define WEFT_SAME_TYPE(Op)                                                                                   \
  WEFT_INFER(Op) {                                                                                           \
    types.push_back(operands[0].getType());                                                                  \
    return success();                                                                                        \
  }
#define WEFT_BINARY_TYPE(Op)                                                                                 \
  WEFT_INFER(Op) {                                                                                           \
    if (operands[0].getType() != operands[1].getType())                                                      \
      return emitOptionalError(loc, "operands of graph." + getOperationName().drop_front(6).str() + " are ", \
                               operands[0].getType(), " and ", operands[1].getType(),                        \
                               " when they should be equal");                                                \
    types.push_back(operands[0].getType());                                                                  \
    return success();                                                                                        \
  }
// clang-format off
WEFT_SAME_TYPE(NegOp) WEFT_SAME_TYPE(ExpOp) WEFT_SAME_TYPE(LogOp) WEFT_SAME_TYPE(SqrtOp) WEFT_SAME_TYPE(RsqrtOp)
WEFT_SAME_TYPE(TanhOp) WEFT_SAME_TYPE(SigmoidOp) WEFT_SAME_TYPE(SinOp) WEFT_SAME_TYPE(CosOp) WEFT_SAME_TYPE(AbsOp)
WEFT_BINARY_TYPE(AddOp) WEFT_BINARY_TYPE(SubOp) WEFT_BINARY_TYPE(MulOp) WEFT_BINARY_TYPE(DivOp)
WEFT_BINARY_TYPE(MaxOp) WEFT_BINARY_TYPE(MinOp) WEFT_BINARY_TYPE(PowOp) WEFT_BINARY_TYPE(AndOp) WEFT_BINARY_TYPE(OrOp)
    // clang-format on

    WEFT_INFER(CompareOp) {
  types.push_back(cast<RankedTensorType>(operands[0].getType()).clone(IntegerType::get(ctx, 1)));
  return success();
}
WEFT_INFER(SelectOp) {
  if (operands[1].getType() != operands[2].getType() ||
      cast<RankedTensorType>(operands[0].getType()).getShape() !=
          cast<RankedTensorType>(operands[1].getType()).getShape())
    return emitOptionalError(loc, "graph.select of ", operands[0].getType(), ", ", operands[1].getType(),
                             " and ", operands[2].getType(), " when the shapes should be equal");
  types.push_back(operands[1].getType());
  return success();
}
WEFT_INFER(CastOp) {
  Adaptor a(operands, attributes, properties, regions);
  types.push_back(cast<RankedTensorType>(operands[0].getType()).clone(a.getElement()));
  return success();
}

static bool isSplat(Attribute a, double value) {
  auto dense = dyn_cast_or_null<DenseElementsAttr>(a);
  if (!dense || !dense.isSplat()) return false;
  if (isa<FloatType>(dense.getElementType()))
    return dense.getSplatValue<APFloat>().convertToDouble() == value;
  return false;
}
// x + 0 is left alone (it turns -0 into 0); x * 1 is exact.
OpFoldResult MulOp::fold(FoldAdaptor a) {
  return isSplat(a.getRhs(), 1) ? getLhs() : isSplat(a.getLhs(), 1) ? getRhs() : Value();
}
OpFoldResult AddOp::fold(FoldAdaptor a) { return {}; }
OpFoldResult CastOp::fold(FoldAdaptor) {
  if (getX().getType() == getType()) return getX();
  // bf16 as f32 and back: exact.
  auto wider = getX().getDefiningOp<CastOp>();
  if (getElement().isBF16() && wider && wider.getElement().isF32() && wider.getX().getType() == getType())
    return wider.getX();
  return {};
}

// Shorthands for the rules below: dy and the builder.
#define WEFT_RULE(Op)                                                                                        \
  WEFT_GRADIENT(Op) {                                                                                        \
    Value dy = g.adjoint(getResult());                                                                       \
    if (!dy) return success();                                                                               \
    OpBuilder &b = g.b;                                                                                      \
    Location loc = g.loc();                                                                                  \
    (void)b;                                                                                                 \
    (void)loc;
#define WEFT_END                                                                                             \
  return success();                                                                                          \
  }
static Value mul(GradientBuilder &g, Value x, Value y) { return g.b.create<MulOp>(g.loc(), x, y); }
static Value neg(GradientBuilder &g, Value x) { return g.b.create<NegOp>(g.loc(), x); }
static Value like(GradientBuilder &g, Value x, double v) { return splat(g.b, g.loc(), tensorType(x), v); }

WEFT_RULE(NegOp) g.add(getX(), neg(g, dy));
WEFT_END
WEFT_RULE(ExpOp) g.add(getX(), mul(g, dy, g.needed(getResult())));
WEFT_END
WEFT_RULE(LogOp) g.add(getX(), b.create<DivOp>(loc, dy, g.needed(getX())));
WEFT_END
// d sqrt(x) = dy / (2 y)
WEFT_RULE(SqrtOp) g.add(getX(), b.create<DivOp>(loc, mul(g, dy, like(g, dy, 0.5)), g.needed(getResult())));
WEFT_END
// d x^(-1/2) = -1/2 y^3 dy
WEFT_RULE(RsqrtOp)
Value y = g.needed(getResult());
g.add(getX(), mul(g, mul(g, dy, like(g, dy, -0.5)), mul(g, y, mul(g, y, y))));
WEFT_END
// d tanh = (1 - y²) dy
WEFT_RULE(TanhOp)
Value y = g.needed(getResult());
g.add(getX(), mul(g, dy, b.create<SubOp>(loc, like(g, y, 1), mul(g, y, y))));
WEFT_END
// d σ = y (1 - y) dy
WEFT_RULE(SigmoidOp)
Value y = g.needed(getResult());
g.add(getX(), mul(g, dy, mul(g, y, b.create<SubOp>(loc, like(g, y, 1), y))));
WEFT_END
WEFT_RULE(SinOp) g.add(getX(), mul(g, dy, b.create<CosOp>(loc, g.needed(getX()))));
WEFT_END
WEFT_RULE(CosOp) g.add(getX(), neg(g, mul(g, dy, b.create<SinOp>(loc, g.needed(getX())))));
WEFT_END
WEFT_RULE(AbsOp)
Value x = g.needed(getX());
Value negative = b.create<CompareOp>(loc, Predicate::lt, x, like(g, x, 0));
g.add(getX(), b.create<SelectOp>(loc, negative, neg(g, dy), dy));
WEFT_END
WEFT_RULE(AddOp) if (g.wants(getLhs())) g.add(getLhs(), dy);
if (g.wants(getRhs())) g.add(getRhs(), dy);
WEFT_END
WEFT_RULE(SubOp) if (g.wants(getLhs())) g.add(getLhs(), dy);
if (g.wants(getRhs())) g.add(getRhs(), neg(g, dy));
WEFT_END
WEFT_RULE(MulOp)
if (g.wants(getLhs())) g.add(getLhs(), mul(g, dy, g.needed(getRhs())));
if (g.wants(getRhs())) g.add(getRhs(), mul(g, dy, g.needed(getLhs())));
WEFT_END
// d (a / b) = dy / b, and -dy y / b
WEFT_RULE(DivOp)
if (g.wants(getLhs())) g.add(getLhs(), b.create<DivOp>(loc, dy, g.needed(getRhs())));
if (g.wants(getRhs()))
  g.add(getRhs(), neg(g, b.create<DivOp>(loc, mul(g, dy, g.needed(getResult())), g.needed(getRhs()))));
WEFT_END
// The side that won takes all; equal operands: the left one.
template <typename Op> static void gradientOfChoice(Op op, GradientBuilder &g, Value dy, Predicate leftWins) {
  Value left = g.b.create<CompareOp>(g.loc(), leftWins, g.needed(op.getLhs()), g.needed(op.getRhs()));
  Value zero = like(g, dy, 0);
  if (g.wants(op.getLhs())) g.add(op.getLhs(), g.b.create<SelectOp>(g.loc(), left, dy, zero));
  if (g.wants(op.getRhs())) g.add(op.getRhs(), g.b.create<SelectOp>(g.loc(), left, zero, dy));
}
WEFT_RULE(MaxOp) gradientOfChoice(*this, g, dy, Predicate::ge);
WEFT_END
WEFT_RULE(MinOp) gradientOfChoice(*this, g, dy, Predicate::le);
WEFT_END
// d a^b = b a^b / a, and log(a) a^b
WEFT_RULE(PowOp)
Value y = g.needed(getResult());
if (g.wants(getLhs()))
  g.add(getLhs(), mul(g, dy, b.create<DivOp>(loc, mul(g, g.needed(getRhs()), y), g.needed(getLhs()))));
if (g.wants(getRhs())) g.add(getRhs(), mul(g, dy, mul(g, y, b.create<LogOp>(loc, g.needed(getLhs())))));
WEFT_END
WEFT_RULE(SelectOp)
Value condition = g.needed(getCondition()), zero = like(g, dy, 0);
if (g.wants(getOnTrue())) g.add(getOnTrue(), b.create<SelectOp>(loc, condition, dy, zero));
if (g.wants(getOnFalse())) g.add(getOnFalse(), b.create<SelectOp>(loc, condition, zero, dy));
WEFT_END
WEFT_RULE(CastOp)
if (isRounding(*this)) return success(); // both sides have one adjoint: GradientBuilder::origin
if (g.wants(getX())) g.add(getX(), castTo(b, loc, dy, adjointType(getX()).getElementType()));
WEFT_END
// No gradient: comparisons and logic give booleans, stop_gradient says so.
LogicalResult CompareOp::gradient(GradientBuilder &) { return success(); }
LogicalResult AndOp::gradient(GradientBuilder &) { return success(); }
LogicalResult OrOp::gradient(GradientBuilder &) { return success(); }
LogicalResult StopGradientOp::gradient(GradientBuilder &) { return success(); }

} // namespace weft::graph
