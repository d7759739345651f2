// Attention: result types and gradient. Evaluation: evaluate_attention.cpp.
#include "dialects/graph/graph.h"
#include "dialects/graph/infer.h"

using namespace mlir;
namespace weft::graph {

static RankedTensorType typeOf(Value v) { return cast<RankedTensorType>(v.getType()); }

// Checks (B, T, H, D), (B, S, G, D), (B, S, G, E), (B, T), (B, T).
static LogicalResult checkOperands(std::optional<Location> loc, ValueRange in) {
  auto q = typeOf(in[0]), k = typeOf(in[1]), v = typeOf(in[2]), begin = typeOf(in[3]), end = typeOf(in[4]);
  if (q.getRank() != 4 || k.getRank() != 4 || v.getRank() != 4)
    return emitOptionalError(loc, "graph.attention of ", q, ", ", k, " and ", v,
                             " when all should have rank 4: (batch, seq, heads, width)");
  if (q.getDimSize(0) != k.getDimSize(0) || k.getShape().take_front(3) != v.getShape().take_front(3) ||
      q.getDimSize(3) != k.getDimSize(3))
    return emitOptionalError(loc, "graph.attention of ", q, ", ", k, " and ", v,
                             " when they should be (B, T, H, D), (B, S, G, D) and (B, S, G, E)");
  if (k.getDimSize(2) == 0 || q.getDimSize(2) % k.getDimSize(2))
    return emitOptionalError(loc, "graph.attention has ", q.getDimSize(2), " query heads, not a multiple of ",
                             k.getDimSize(2), " key heads");
  for (auto range : {begin, end})
    if (range.getShape() != q.getShape().take_front(2))
      return emitOptionalError(loc, "graph.attention's range is ", range, " when the queries are ", q);
  return success();
}

WEFT_INFER(AttentionOp) {
  if (failed(checkOperands(loc, operands))) return failure();
  auto q = typeOf(operands[0]), v = typeOf(operands[2]);
  types.push_back(q.clone({q.getDimSize(0), q.getDimSize(1), q.getDimSize(2), v.getDimSize(3)}));
  types.push_back(adjointType(operands[0]).clone(q.getShape().take_front(3)));
  return success();
}
WEFT_INFER(AttentionGradOp) {
  if (failed(checkOperands(loc, operands))) return failure();
  for (int64_t i : {0, 1, 2}) types.push_back(adjointType(operands[i]));
  return success();
}

// FlashAttention-2 (Dao 2023), section 2.2: dS = P ∘ (dP - delta), delta = rowsum(dO ∘ O); a gradient of lse
// adds to dS as P dlse.
WEFT_GRADIENT(AttentionOp) {
  Value dout = g.adjoint(getOut()), dlse = g.adjoint(getLse());
  if (!dout && !dlse) return success();
  Location loc = g.loc();
  OpBuilder &b = g.b;
  Value delta;
  if (dout)
    delta =
        sum(b, loc,
            b.create<MulOp>(loc, dout, castTo(b, loc, g.needed(getOut()), tensorType(dout).getElementType())),
            {3});
  else {
    dout = splat(b, loc, adjointType(getOut()), 0);
    delta = splat(b, loc, tensorType(getLse()), 0);
  }
  if (dlse) delta = b.create<SubOp>(loc, delta, dlse);
  dout = castTo(b, loc, dout, tensorType(getQ()).getElementType());
  Value q = g.needed(getQ()), k = g.needed(getK()), v = g.needed(getV()), begin = g.needed(getBegin()),
        end = g.needed(getEnd());
  Value lse = g.needed(getLse());
  auto grad =
      b.create<AttentionGradOp>(loc, q, k, v, begin, end, lse, delta, dout, getScale(), getKeyBlock());
  for (auto [i, adjoint] : llvm::enumerate(grad.getResults()))
    if (Value of = getOperand(i); g.wants(of)) g.add(of, adjoint);
  return success();
}

} // namespace weft::graph
