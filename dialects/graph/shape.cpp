// Operators that move values: result types, folders, gradients. Evaluation: evaluate_shape.cpp.
#include "dialects/graph/graph.h"
#include "dialects/graph/infer.h"
#include "mlir/IR/PatternMatch.h"

using namespace mlir;
namespace weft::graph {

static RankedTensorType typeOf(Value v) { return cast<RankedTensorType>(v.getType()); }
static int64_t product(ArrayRef<int64_t> shape) {
  int64_t n = 1;
  for (int64_t d : shape) n *= d;
  return n;
}

WEFT_INFER(ConstantOp) {
  Adaptor a(operands, attributes, properties, regions);
  types.push_back(a.getValue().getType());
  return success();
}
OpFoldResult ConstantOp::fold(FoldAdaptor) { return getValue(); }

WEFT_INFER(IotaOp) {
  Adaptor a(operands, attributes, properties, regions);
  types.push_back(a.getType());
  return success();
}
LogicalResult IotaOp::verify() {
  int64_t rank = cast<RankedTensorType>(getType()).getRank();
  if (int64_t(getAxis()) < 0 || int64_t(getAxis()) >= rank)
    return emitOpError() << "axis is " << getAxis() << " when the rank is " << rank;
  return success();
}

WEFT_INFER(BroadcastOp) {
  Adaptor a(operands, attributes, properties, regions);
  auto in = typeOf(operands[0]);
  if (int64_t(a.getDims().size()) != in.getRank())
    return emitOptionalError(loc, "graph.broadcast has ", a.getDims().size(), " dims for a tensor of rank ",
                             in.getRank());
  for (auto [i, d] : llvm::enumerate(a.getDims())) {
    if (d < 0 || d >= int64_t(a.getShape().size()) || (i && d <= a.getDims()[i - 1]))
      return emitOptionalError(loc, "graph.broadcast dims should ascend within rank ", a.getShape().size());
    if (in.getDimSize(i) != 1 && in.getDimSize(i) != a.getShape()[d])
      return emitOptionalError(loc, "graph.broadcast of dimension ", i, " of size ", in.getDimSize(i), " to ",
                               a.getShape()[d]);
  }
  types.push_back(RankedTensorType::get(a.getShape(), in.getElementType()));
  return success();
}
OpFoldResult BroadcastOp::fold(FoldAdaptor a) {
  if (getX().getType() == getType()) return getX();
  if (auto dense = dyn_cast_or_null<DenseElementsAttr>(a.getX()); dense && dense.isSplat())
    return dense.resizeSplat(cast<ShapedType>(getType()));
  return {};
}

WEFT_INFER(ReshapeOp) {
  Adaptor a(operands, attributes, properties, regions);
  auto in = typeOf(operands[0]);
  if (product(a.getShape()) != in.getNumElements())
    return emitOptionalError(loc, "graph.reshape of ", in, " with ", in.getNumElements(),
                             " elements to a shape with ", product(a.getShape()));
  types.push_back(RankedTensorType::get(a.getShape(), in.getElementType()));
  return success();
}
OpFoldResult ReshapeOp::fold(FoldAdaptor a) {
  if (getX().getType() == getType()) return getX();
  if (auto dense = dyn_cast_or_null<DenseElementsAttr>(a.getX()); dense && dense.isSplat())
    return dense.resizeSplat(cast<ShapedType>(getType()));
  return {};
}
namespace {
struct MergeReshapes : OpRewritePattern<ReshapeOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(ReshapeOp op, PatternRewriter &r) const override {
    auto inner = op.getX().getDefiningOp<ReshapeOp>();
    if (!inner) return failure();
    r.replaceOpWithNewOp<ReshapeOp>(op, inner.getX(), op.getShape());
    return success();
  }
};
} // namespace
void ReshapeOp::getCanonicalizationPatterns(RewritePatternSet &patterns, MLIRContext *ctx) {
  patterns.add<MergeReshapes>(ctx);
}

WEFT_INFER(TransposeOp) {
  Adaptor a(operands, attributes, properties, regions);
  auto in = typeOf(operands[0]);
  SmallVector<int64_t> shape;
  SmallVector<bool> seen(in.getRank(), false);
  for (int64_t p : a.getPermutation()) {
    if (p < 0 || p >= in.getRank() || seen[p])
      return emitOptionalError(loc, "graph.transpose's permutation is not one of ", in.getRank(),
                               " dimensions");
    seen[p] = true;
    shape.push_back(in.getDimSize(p));
  }
  if (int64_t(shape.size()) != in.getRank())
    return emitOptionalError(loc, "graph.transpose permutes ", shape.size(), " dimensions of ", in.getRank());
  types.push_back(RankedTensorType::get(shape, in.getElementType()));
  return success();
}
OpFoldResult TransposeOp::fold(FoldAdaptor) {
  for (auto [i, p] : llvm::enumerate(getPermutation()))
    if (int64_t(i) != p) return {};
  return getX();
}

WEFT_INFER(SliceOp) {
  Adaptor a(operands, attributes, properties, regions);
  auto in = typeOf(operands[0]);
  if (int64_t(a.getOffsets().size()) != in.getRank() || int64_t(a.getSizes().size()) != in.getRank())
    return emitOptionalError(loc, "graph.slice has ", a.getOffsets().size(), " offsets and ",
                             a.getSizes().size(), " sizes for rank ", in.getRank());
  for (int64_t i = 0; i < in.getRank(); ++i)
    if (a.getOffsets()[i] < 0 || a.getSizes()[i] < 0 ||
        a.getOffsets()[i] + a.getSizes()[i] > in.getDimSize(i))
      return emitOptionalError(loc, "graph.slice takes [", a.getOffsets()[i], ", ",
                               a.getOffsets()[i] + a.getSizes()[i], ") of dimension ", i, " whose size is ",
                               in.getDimSize(i));
  types.push_back(RankedTensorType::get(a.getSizes(), in.getElementType()));
  return success();
}
OpFoldResult SliceOp::fold(FoldAdaptor) { return getX().getType() == getType() ? getX() : Value(); }

WEFT_INFER(PadOp) {
  Adaptor a(operands, attributes, properties, regions);
  auto in = typeOf(operands[0]);
  if (int64_t(a.getLow().size()) != in.getRank() || int64_t(a.getHigh().size()) != in.getRank())
    return emitOptionalError(loc, "graph.pad has ", a.getLow().size(), " and ", a.getHigh().size(),
                             " amounts for rank ", in.getRank());
  SmallVector<int64_t> shape;
  for (int64_t i = 0; i < in.getRank(); ++i) {
    if (a.getLow()[i] < 0 || a.getHigh()[i] < 0)
      return emitOptionalError(loc, "graph.pad has a negative amount in dimension ", i);
    shape.push_back(a.getLow()[i] + in.getDimSize(i) + a.getHigh()[i]);
  }
  types.push_back(RankedTensorType::get(shape, in.getElementType()));
  return success();
}

WEFT_INFER(ConcatOp) {
  Adaptor a(operands, attributes, properties, regions);
  if (operands.empty()) return emitOptionalError(loc, "graph.concat has no operands");
  auto first = typeOf(operands[0]);
  int64_t axis = a.getAxis();
  if (axis < 0 || axis >= first.getRank())
    return emitOptionalError(loc, "graph.concat's axis is ", axis, " when the rank is ", first.getRank());
  SmallVector<int64_t> shape(first.getShape());
  for (Value v : operands.drop_front()) {
    auto t = typeOf(v);
    bool same = t.getRank() == first.getRank() && t.getElementType() == first.getElementType();
    for (int64_t i = 0; same && i < first.getRank(); ++i)
      same = i == axis || t.getDimSize(i) == first.getDimSize(i);
    if (!same) return emitOptionalError(loc, "graph.concat of ", first, " and ", t, " along axis ", axis);
    shape[axis] += t.getDimSize(axis);
  }
  types.push_back(RankedTensorType::get(shape, first.getElementType()));
  return success();
}

LogicalResult ConstantOp::gradient(GradientBuilder &) { return success(); }
LogicalResult IotaOp::gradient(GradientBuilder &) { return success(); }
// The sum over what was repeated.
WEFT_GRADIENT(BroadcastOp) {
  Value dy = g.adjoint(getResult());
  if (!dy) return success();
  SmallVector<int64_t> axes;
  auto in = shapeOf(getX());
  for (int64_t i = 0; i < int64_t(getShape().size()); ++i) {
    auto *it = llvm::find(getDims(), i);
    if (it == getDims().end() || (in[it - getDims().begin()] == 1 && getShape()[i] != 1)) axes.push_back(i);
  }
  // Leading axes (a norm's weight, a bias over tokens) are one chain, which goes on from the adjoint
  // collected so far.
  bool leading = !axes.empty() && axes.back() + 1 == int64_t(axes.size()) &&
                 axes.size() + in.size() == getShape().size() && !in.empty();
  if (leading)
    g.set(getX(), sum(g.b, g.loc(), dy, axes, g.adjoint(getX())));
  else
    g.add(getX(), reshape(g.b, g.loc(), sum(g.b, g.loc(), dy, axes), in));
  return success();
}
WEFT_GRADIENT(ReshapeOp) {
  if (Value dy = g.adjoint(getResult())) g.add(getX(), reshape(g.b, g.loc(), dy, shapeOf(getX())));
  return success();
}
WEFT_GRADIENT(TransposeOp) {
  SmallVector<int64_t> inverse(getPermutation().size());
  for (auto [i, p] : llvm::enumerate(getPermutation())) inverse[p] = i;
  if (Value dy = g.adjoint(getResult())) g.add(getX(), g.b.create<TransposeOp>(g.loc(), dy, inverse));
  return success();
}
WEFT_GRADIENT(SliceOp) {
  SmallVector<int64_t> high;
  for (auto [i, size] : llvm::enumerate(shapeOf(getX())))
    high.push_back(size - getOffsets()[i] - getSizes()[i]);
  if (Value dy = g.adjoint(getResult())) g.add(getX(), g.b.create<PadOp>(g.loc(), dy, getOffsets(), high));
  return success();
}
WEFT_GRADIENT(PadOp) {
  if (Value dy = g.adjoint(getResult()))
    g.add(getX(), g.b.create<SliceOp>(g.loc(), dy, getLow(), shapeOf(getX())));
  return success();
}
WEFT_GRADIENT(ConcatOp) {
  Value dy = g.adjoint(getResult());
  if (!dy) return success();
  SmallVector<int64_t> offsets(shapeOf(dy).size(), 0);
  for (Value x : getInputs()) {
    if (g.wants(x)) g.add(x, g.b.create<SliceOp>(g.loc(), dy, offsets, shapeOf(x)));
    offsets[getAxis()] += shapeOf(x)[getAxis()];
  }
  return success();
}

} // namespace weft::graph
