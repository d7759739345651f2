// Mixtures of experts: result types, gradients. Evaluation: evaluate_routing.cpp.
#include "dialects/graph/graph.h"
#include "dialects/graph/infer.h"

using namespace mlir;
namespace weft::graph {

static RankedTensorType typeOf(Value v) { return cast<RankedTensorType>(v.getType()); }
static RankedTensorType ints(MLIRContext *ctx, ArrayRef<int64_t> shape) {
  return RankedTensorType::get(shape, IntegerType::get(ctx, 32));
}
static Type sumTypeOf(Type factor) {
  return factor.isBF16() ? Type(Float32Type::get(factor.getContext())) : factor;
}

WEFT_INFER(TopKOp) {
  Adaptor a(operands, attributes, properties, regions);
  auto x = typeOf(operands[0]);
  int64_t k = a.getK();
  if (x.getRank() < 1 || k < 1 || k > x.getShape().back())
    return emitOptionalError(loc, "graph.top_k of ", x, " with k = ", k,
                             " when k should be from 1 to the size of the last dimension");
  SmallVector<int64_t> shape(x.getShape());
  shape.back() = k;
  types.push_back(x.clone(shape));
  types.push_back(ints(ctx, shape));
  return success();
}

WEFT_INFER(SortByExpertOp) {
  Adaptor a(operands, attributes, properties, regions);
  auto indices = typeOf(operands[0]);
  int64_t experts = a.getExperts(), segments = a.getSegments();
  if (indices.getRank() != 2 || experts < 1 || segments < 1 || indices.getDimSize(0) % segments)
    return emitOptionalError(loc, "graph.sort_by_expert of ", indices, " with ", experts, " experts and ",
                             segments, " segments when it should be (N, k), N a multiple of the segments");
  Type all = ints(ctx, {indices.getNumElements()});
  types.append({all, all, ints(ctx, indices.getShape()), ints(ctx, {experts * segments + 1})});
  return success();
}

// Whether token (R) and place (N, k) fit each other.
static bool fit(RankedTensorType token, RankedTensorType place) {
  return place.getRank() == 2 && token.getRank() == 1 && token.getDimSize(0) == place.getNumElements();
}
WEFT_INFER(DispatchOp) {
  auto x = typeOf(operands[0]), token = typeOf(operands[1]), place = typeOf(operands[2]);
  if (x.getRank() < 1 || !fit(token, place) || x.getDimSize(0) != place.getDimSize(0))
    return emitOptionalError(loc, "graph.dispatch of ", x, " by ", token, " and ", place,
                             " when they should be (N, D…), (N k) and (N, k)");
  SmallVector<int64_t> shape{token.getDimSize(0)};
  llvm::append_range(shape, x.getShape().drop_front());
  types.push_back(x.clone(shape));
  return success();
}
WEFT_INFER(CollectOp) {
  auto y = typeOf(operands[0]), place = typeOf(operands[1]), token = typeOf(operands[2]);
  if (y.getRank() < 1 || !fit(token, place) || y.getDimSize(0) != token.getDimSize(0))
    return emitOptionalError(loc, "graph.collect of ", y, " by ", place, " and ", token,
                             " when they should be (N k, D…), (N, k) and (N k)");
  SmallVector<int64_t> shape{place.getDimSize(0)};
  llvm::append_range(shape, y.getShape().drop_front());
  types.push_back(y.clone(shape));
  return success();
}

WEFT_INFER(GroupedMatmulOp) {
  Adaptor a(operands, attributes, properties, regions);
  auto lhs = typeOf(operands[0]), rhs = typeOf(operands[1]), offsets = typeOf(operands[2]);
  bool good = lhs.getRank() == 2 && rhs.getRank() == 3 && offsets.getRank() == 1 && rhs.getDimSize(0) > 0 &&
              lhs.getElementType() == rhs.getElementType();
  int64_t k = good ? rhs.getDimSize(1) : 0, n = good ? rhs.getDimSize(2) : 0;
  if (a.getTransposeRhs()) std::swap(k, n);
  if (!good || k != lhs.getDimSize(1) || (offsets.getDimSize(0) - 1) % rhs.getDimSize(0) ||
      offsets.getDimSize(0) < 2)
    return emitOptionalError(loc, "graph.grouped_matmul of ", lhs, " and ", rhs,
                             a.getTransposeRhs() ? " transposed" : "", " by ", offsets,
                             " when they should be (R, K), (E, K, N) and (E s + 1)");
  types.push_back(RankedTensorType::get({lhs.getDimSize(0), n}, sumTypeOf(lhs.getElementType())));
  return success();
}
WEFT_INFER(GroupedOuterOp) {
  Adaptor a(operands, attributes, properties, regions);
  auto lhs = typeOf(operands[0]), rhs = typeOf(operands[1]), offsets = typeOf(operands[2]);
  if (lhs.getRank() != 2 || rhs.getRank() != 2 || lhs.getDimSize(0) != rhs.getDimSize(0) ||
      lhs.getElementType() != rhs.getElementType() || offsets.getRank() != 1 || offsets.getDimSize(0) < 2)
    return emitOptionalError(loc, "graph.grouped_outer of ", lhs, " and ", rhs, " by ", offsets,
                             " when they should be (R, M), (R, N) and (G + 1)");
  types.push_back(RankedTensorType::get({offsets.getDimSize(0) - 1, lhs.getDimSize(1), rhs.getDimSize(1)},
                                        sumTypeOf(lhs.getElementType())));
  if (a.getAcc() && a.getAcc().getType() != types[0])
    return emitOptionalError(loc, "graph.grouped_outer's acc is ", a.getAcc().getType(),
                             " when the result is ", types[0]);
  return success();
}

// Adds up, for each element of x, the adjoints of the values that came from it: at most one.
WEFT_GRADIENT(TopKOp) {
  Value dy = g.adjoint(getValues());
  if (!dy || !g.wants(getX())) return success();
  OpBuilder &b = g.b;
  Location loc = g.loc();
  SmallVector<int64_t> shape(shapeOf(dy));
  int64_t rank = shape.size();
  shape.push_back(shapeOf(getX()).back()); // (…, k, E)
  SmallVector<int64_t> dims;
  for (int64_t d = 0; d < rank; ++d) dims.push_back(d);
  auto wide = RankedTensorType::get(shape, IntegerType::get(b.getContext(), 32));
  Value column = b.create<IotaOp>(loc, wide, rank);
  Value chosen = broadcastTo(b, loc, g.needed(getIndices()), dims, shape);
  Value spread = broadcastTo(b, loc, dy, dims, shape);
  Value hit = b.create<CompareOp>(loc, Predicate::eq, column, chosen);
  Value part = b.create<SelectOp>(loc, hit, spread, splat(b, loc, tensorType(spread), 0));
  g.add(getX(), sum(b, loc, part, {rank - 1}));
  return success();
}
LogicalResult SortByExpertOp::gradient(GradientBuilder &) { return success(); }

WEFT_GRADIENT(DispatchOp) {
  Value dy = g.adjoint(getResult());
  if (!dy || !g.wants(getX())) return success();
  g.add(getX(), g.b.create<CollectOp>(g.loc(), dy, g.needed(getPlace()), g.needed(getToken())));
  return success();
}
WEFT_GRADIENT(CollectOp) {
  Value dx = g.adjoint(getResult());
  if (!dx || !g.wants(getY())) return success();
  g.add(getY(), g.b.create<DispatchOp>(g.loc(), dx, g.needed(getToken()), g.needed(getPlace())));
  return success();
}

// As graph.matmul: with bf16 factors the adjoint is rounded too.
WEFT_GRADIENT(GroupedMatmulOp) {
  Value dy = g.adjoint(getResult());
  if (!dy) return success();
  Type factor = tensorType(getLhs()).getElementType();
  dy = castTo(g.b, g.loc(), dy, factor);
  bool transposed = getTransposeRhs();
  Value offsets = g.needed(getOffsets());
  if (g.wants(getLhs()))
    g.add(getLhs(), g.b.create<GroupedMatmulOp>(g.loc(), dy, g.needed(getRhs()), offsets, !transposed));
  if (g.wants(getRhs())) {
    Value x = g.needed(getLhs()), acc = g.adjoint(getRhs());
    Value a = transposed ? dy : x, b = transposed ? x : dy;
    if (shapeOf(getOffsets())[0] - 1 == shapeOf(getRhs())[0]) {
      g.set(getRhs(), g.b.create<GroupedOuterOp>(g.loc(), a, b, offsets, acc));
      return success();
    }
    return emitOpError("has offsets of several segments an expert before virtual shards are cut");
  }
  return success();
}
WEFT_GRADIENT(GroupedOuterOp) {
  Value dy = g.adjoint(getResult());
  if (!dy) return success();
  if (getAcc() && g.wants(getAcc())) g.add(getAcc(), dy);
  dy = castTo(g.b, g.loc(), dy, tensorType(getLhs()).getElementType());
  Value offsets = g.needed(getOffsets());
  if (g.wants(getLhs()))
    g.add(getLhs(), g.b.create<GroupedMatmulOp>(g.loc(), g.needed(getRhs()), dy, offsets, true));
  if (g.wants(getRhs()))
    g.add(getRhs(), g.b.create<GroupedMatmulOp>(g.loc(), g.needed(getLhs()), dy, offsets, false));
  return success();
}

} // namespace weft::graph
