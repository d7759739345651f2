// Reductions, matrix products, gather and scatter: result types, gradients. Evaluation:
// evaluate_contract.cpp.
#include "dialects/graph/graph.h"
#include "dialects/graph/infer.h"

using namespace mlir;
namespace weft::graph {

static RankedTensorType typeOf(Value v) { return cast<RankedTensorType>(v.getType()); }
static int64_t product(ArrayRef<int64_t> shape) {
  int64_t n = 1;
  for (int64_t d : shape) n *= d;
  return n;
}

WEFT_INFER(ReduceOp) {
  Adaptor a(operands, attributes, properties, regions);
  auto in = typeOf(operands[0]);
  SmallVector<int64_t> shape;
  for (int64_t i = 0; i < in.getRank(); ++i)
    if (!llvm::is_contained(a.getAxes(), i)) shape.push_back(in.getDimSize(i));
  for (auto [i, axis] : llvm::enumerate(a.getAxes()))
    if (axis < 0 || axis >= in.getRank() || (i && axis <= a.getAxes()[i - 1]))
      return emitOptionalError(loc, "graph.reduce's axes should ascend within rank ", in.getRank());
  types.push_back(RankedTensorType::get(shape, in.getElementType()));
  if (a.getAcc() && a.getAcc().getType() != types[0])
    return emitOptionalError(loc, "graph.reduce's acc is ", a.getAcc().getType(), " when the result is ",
                             types[0]);
  return success();
}
LogicalResult ReduceOp::verify() {
  int64_t rank = typeOf(getX()).getRank();
  bool last = llvm::is_contained(getAxes(), rank - 1);
  if (last)
    for (auto [i, axis] : llvm::enumerate(getAxes()))
      if (axis != rank - int64_t(getAxes().size()) + int64_t(i))
        return emitOpError()
               << "reduces the last dimension but not a run of last dimensions; reduce in two steps";
  if (getAcc() && (last || getKind() != ReduceKind::sum))
    return emitOpError("takes acc only for sums that leave the last dimension");
  return success();
}

WEFT_INFER(MatmulOp) {
  Adaptor a(operands, attributes, properties, regions);
  auto lhs = typeOf(operands[0]), rhs = typeOf(operands[1]);
  int64_t lr = lhs.getRank(), rr = rhs.getRank();
  bool rows = rr == 2 && lr > 2; // every row of lhs times one matrix
  if (lr < 2 || rr < 2 || (!rows && lr != rr) || (rows && a.getTransposeLhs()))
    return emitOptionalError(loc, "graph.matmul of ", lhs, " and ", rhs,
                             a.getTransposeLhs() ? " with transpose_lhs" : "",
                             " when the ranks should be equal, or rhs 2");
  if (lhs.getElementType() != rhs.getElementType())
    return emitOptionalError(loc, "graph.matmul of ", lhs, " and ", rhs,
                             " when the element types should be equal");
  int64_t m = lhs.getDimSize(lr - 2), k = lhs.getDimSize(lr - 1);
  if (a.getTransposeLhs()) std::swap(m, k);
  int64_t kr = rhs.getDimSize(rr - 2), n = rhs.getDimSize(rr - 1);
  if (a.getTransposeRhs()) std::swap(kr, n);
  SmallVector<int64_t> shape(lhs.getShape().drop_back(2));
  if (k != kr || (!rows && ArrayRef<int64_t>(shape) != rhs.getShape().drop_back(2)))
    return emitOptionalError(loc, "graph.matmul of ", lhs, a.getTransposeLhs() ? " transposed" : "", " and ",
                             rhs, a.getTransposeRhs() ? " transposed" : "",
                             " when K and the batch should be equal: K is ", k, " and ", kr);
  shape.append({m, n});
  // Products of bf16 are summed in f32.
  Type element = lhs.getElementType().isBF16() ? Float32Type::get(ctx) : lhs.getElementType();
  types.push_back(RankedTensorType::get(shape, element));
  if (a.getAcc() && a.getAcc().getType() != types[0])
    return emitOptionalError(loc, "graph.matmul's acc is ", a.getAcc().getType(), " when the result is ",
                             types[0]);
  return success();
}

WEFT_INFER(GatherOp) {
  auto table = typeOf(operands[0]), indices = typeOf(operands[1]);
  if (table.getRank() < 1) return emitOptionalError(loc, "graph.gather's table has rank 0");
  if (table.getDimSize(0) == 0 && indices.getNumElements() > 0)
    return emitOptionalError(loc, "graph.gather's table has no rows when ", indices.getNumElements(),
                             " are asked for");
  SmallVector<int64_t> shape(indices.getShape());
  llvm::append_range(shape, table.getShape().drop_front());
  types.push_back(RankedTensorType::get(shape, table.getElementType()));
  return success();
}
WEFT_INFER(ScatterAddOp) {
  auto acc = typeOf(operands[0]), indices = typeOf(operands[1]), updates = typeOf(operands[2]);
  SmallVector<int64_t> shape(indices.getShape());
  llvm::append_range(shape, acc.getShape().drop_front());
  if (updates.getShape() != ArrayRef<int64_t>(shape))
    return emitOptionalError(loc, "graph.scatter_add's updates are ", updates, " when acc and indices are ",
                             acc, " and ", indices);
  types.push_back(acc);
  return success();
}
WEFT_INFER(WriteRowsOp) {
  auto dest = typeOf(operands[0]), slots = typeOf(operands[1]), updates = typeOf(operands[2]);
  SmallVector<int64_t> shape(slots.getShape());
  llvm::append_range(shape, dest.getShape().drop_front(std::min<int64_t>(2, dest.getRank())));
  if (slots.getRank() != 2 || dest.getRank() < 2 || slots.getDimSize(0) != dest.getDimSize(0) ||
      updates.getShape() != ArrayRef<int64_t>(shape))
    return emitOptionalError(loc, "graph.write_rows of ", updates, " at ", slots, " into ", dest,
                             " when they should be (B, T, D…), (B, T) and (B, S, D…)");
  types.push_back(dest);
  return success();
}

WEFT_GRADIENT(ReduceOp) {
  Value dy = g.adjoint(getResult());
  if (!dy) return success();
  Location loc = g.loc();
  auto shape = shapeOf(getX());
  if (getAcc() && g.wants(getAcc())) g.add(getAcc(), dy);
  if (!g.wants(getX())) return success();
  Value spread = broadcastAlong(g.b, loc, dy, getAxes(), shape);
  if (getKind() == ReduceKind::sum) {
    g.add(getX(), spread);
    return success();
  }
  // Equal maxima share the gradient equally.
  Value x = g.needed(getX());
  Value top = g.b.create<CompareOp>(loc, Predicate::eq, x,
                                    broadcastAlong(g.b, loc, g.needed(getResult()), getAxes(), shape));
  Value one = splat(g.b, loc, tensorType(x), 1), zero = splat(g.b, loc, tensorType(x), 0);
  Value count = sum(g.b, loc, g.b.create<SelectOp>(loc, top, one, zero), getAxes());
  Value share = g.b.create<DivOp>(loc, spread, broadcastAlong(g.b, loc, count, getAxes(), shape));
  g.add(getX(), g.b.create<SelectOp>(loc, top, share, zero));
  return success();
}

static Value matmul(GradientBuilder &g, Value lhs, Value rhs, bool transposeLhs, bool transposeRhs,
                    Value acc = {}) {
  return g.b.create<MatmulOp>(g.loc(), lhs, rhs, acc, transposeLhs, transposeRhs);
}
// dA = dY Bᵀ and dB = Aᵀ dY, in the operands' own layouts; with bf16 factors dY is rounded too, and dA and dB
// are f32. The product that sums over rows continues the chain of the adjoint collected so far.
WEFT_GRADIENT(MatmulOp) {
  Value dy = g.adjoint(getResult());
  if (!dy) return success();
  if (getAcc() && g.wants(getAcc())) g.add(getAcc(), dy);
  dy = castTo(g.b, g.loc(), dy, tensorType(getLhs()).getElementType());
  bool ta = getTransposeLhs(), tb = getTransposeRhs();
  auto lhsShape = shapeOf(getLhs());
  bool rows = shapeOf(getRhs()).size() == 2 && lhsShape.size() > 2;
  if (g.wants(getLhs())) {
    Value b = g.needed(getRhs());
    g.add(getLhs(), ta ? matmul(g, b, dy, tb, true) : matmul(g, dy, b, false, !tb));
  }
  if (g.wants(getRhs())) {
    Value a = g.needed(getLhs()), acc = g.adjoint(getRhs());
    if (rows) {
      int64_t k = lhsShape.back(), n = shapeOf(dy).back(), m = product(lhsShape.drop_back());
      a = reshape(g.b, g.loc(), a, {m, k});
      dy = reshape(g.b, g.loc(), dy, {m, n});
    }
    g.set(getRhs(), tb ? matmul(g, dy, a, true, ta, acc) : matmul(g, a, dy, !ta, false, acc));
  }
  return success();
}

WEFT_GRADIENT(GatherOp) {
  Value dy = g.adjoint(getResult());
  if (!dy || !g.wants(getTable())) return success();
  Value acc = g.adjoint(getTable());
  if (!acc) acc = splat(g.b, g.loc(), adjointType(getTable()), 0);
  g.set(getTable(), g.b.create<ScatterAddOp>(g.loc(), acc, g.needed(getIndices()), dy));
  return success();
}
WEFT_GRADIENT(ScatterAddOp) {
  Value dy = g.adjoint(getResult());
  if (!dy) return success();
  if (g.wants(getAcc())) g.add(getAcc(), dy);
  if (g.wants(getUpdates())) g.add(getUpdates(), g.b.create<GatherOp>(g.loc(), dy, g.needed(getIndices())));
  return success();
}
// What was overwritten gets nothing; the updates get the rows they wrote, if no later update wrote there too.
WEFT_GRADIENT(WriteRowsOp) {
  Value dy = g.adjoint(getResult());
  if (!dy) return success();
  Location loc = g.loc();
  Value slots = g.needed(getSlots());
  if (g.wants(getDest())) {
    Value zeros = splat(g.b, loc, adjointType(getUpdates()), 0);
    g.add(getDest(), g.b.create<WriteRowsOp>(loc, dy, slots, zeros));
  }
  if (g.wants(getUpdates())) {
    auto shape = shapeOf(getDest());
    SmallVector<int64_t> flat{shape[0] * shape[1]};
    llvm::append_range(flat, shape.drop_front(2));
    auto indexType = tensorType(slots);
    auto bound = [&](double v) { return splat(g.b, loc, indexType, v); };
    Value slot = g.b.create<MinOp>(loc, g.b.create<MaxOp>(loc, slots, bound(0)), bound(shape[1] - 1));
    Value row = g.b.create<MulOp>(loc, g.b.create<IotaOp>(loc, indexType, 0), bound(shape[1]));
    Value index = g.b.create<AddOp>(loc, row, slot);
    Value rows = g.b.create<GatherOp>(loc, reshape(g.b, loc, dy, flat), index);
    // Which update wrote each slot last: the updates' numbers, written the same way and read back.
    Value number = g.b.create<IotaOp>(loc, indexType, 1);
    Value table = splat(g.b, loc, RankedTensorType::get({shape[0], shape[1]}, indexType.getElementType()), 0);
    Value last = reshape(g.b, loc, g.b.create<WriteRowsOp>(loc, table, slots, number), {shape[0] * shape[1]});
    Value stays = g.b.create<CompareOp>(loc, Predicate::eq, number, g.b.create<GatherOp>(loc, last, index));
    Value mask = broadcastTo(g.b, loc, stays, {0, 1}, shapeOf(rows));
    g.add(getUpdates(), g.b.create<SelectOp>(loc, mask, rows, splat(g.b, loc, tensorType(rows), 0)));
  }
  return success();
}

} // namespace weft::graph
