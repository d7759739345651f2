// Choosing and moving rows between tokens and experts, in ops that fuse.
#include "dialects/graph/graph.h"
#include "passes/fuse/normalise.h"

using namespace mlir;
namespace weft {
namespace {
using namespace graph;

// k rounds of a maximum and the lowest index that has it, among what no round before has chosen. A maximum
// that is a NaN is not greater than anything: the lowest index is taken.
struct TopKToMaxima : OpRewritePattern<TopKOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(TopKOp op, PatternRewriter &r) const override {
    Location loc = op.getLoc();
    auto type = tensorType(op.getX());
    auto shape = type.getShape();
    int64_t last = type.getRank() - 1, width = shape[last];
    auto indexType = type.clone(r.getI32Type());
    Value column = r.create<IotaOp>(loc, indexType, last);
    Value reversed = r.create<SubOp>(loc, splat(r, loc, indexType, width - 1), column);
    Value none = splat(r, loc, indexType, -1), low = splat(r, loc, type, -INFINITY);
    auto maximum = [&](Value v) -> Value {
      return r.create<ReduceOp>(loc, ReduceKind::max, v, Value(), ArrayRef<int64_t>{last});
    };
    SmallVector<int64_t> unit(shape);
    unit[last] = 1;
    SmallVector<Value> values, indices;
    Value left = op.getX(), chosen;
    for (int64_t j = 0; j < int64_t(op.getK()); ++j) {
      Value best = maximum(left);
      Value lower =
          r.create<CompareOp>(loc, Predicate::lt, left, broadcastAlong(r, loc, best, {last}, shape));
      if (chosen) lower = r.create<OrOp>(loc, lower, chosen);
      // The lowest index is the highest when they count down.
      Value down = maximum(r.create<SelectOp>(loc, lower, none, reversed));
      Value index = r.create<SubOp>(loc, splat(r, loc, tensorType(down), width - 1), down);
      values.push_back(reshape(r, loc, best, unit));
      indices.push_back(reshape(r, loc, index, unit));
      Value here =
          r.create<CompareOp>(loc, Predicate::eq, column, broadcastAlong(r, loc, index, {last}, shape));
      left = r.create<SelectOp>(loc, here, low, left);
      chosen = chosen ? Value(r.create<OrOp>(loc, chosen, here)) : here;
    }
    auto joined = [&](ArrayRef<Value> parts) -> Value {
      return parts.size() == 1 ? parts[0] : Value(r.create<ConcatOp>(loc, parts, last));
    };
    r.replaceOp(op, {joined(values), joined(indices)});
    return success();
  }
};

struct DispatchToGather : OpRewritePattern<DispatchOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(DispatchOp op, PatternRewriter &r) const override {
    r.replaceOpWithNewOp<GatherOp>(op, op.getX(), op.getToken());
    return success();
  }
};

// Of one choice a token: a gather. Of a few: a sum of gathers, which what reads it computes. Of more, and of
// single values: a column of each token's rows, summed.
struct CollectToGather : OpRewritePattern<CollectOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(CollectOp op, PatternRewriter &r) const override {
    Location loc = op.getLoc();
    auto place = shapeOf(op.getPlace()), shape = shapeOf(op.getResult());
    if (place[1] == 1) {
      r.replaceOpWithNewOp<GatherOp>(op, op.getY(), reshape(r, loc, op.getPlace(), {place[0]}));
      return success();
    }
    Value y = op.getY();
    constexpr int64_t kFewChoices = 8;
    if (shape.size() == 2 && place[1] > 0 && place[1] <= kFewChoices) {
      Value sum;
      for (int64_t j = 0; j < place[1]; ++j) {
        Value chosen =
            r.create<SliceOp>(loc, op.getPlace(), ArrayRef<int64_t>{0, j}, ArrayRef<int64_t>{place[0], 1});
        Value rows = r.create<GatherOp>(loc, y, reshape(r, loc, chosen, {place[0]}));
        sum = sum ? Value(r.create<AddOp>(loc, sum, rows)) : rows;
      }
      r.replaceOp(op, sum);
      return success();
    }
    if (shape.size() == 1) y = reshape(r, loc, y, {shapeOf(y)[0], 1}); // leaves a column to sum into
    Value rows = r.create<GatherOp>(loc, y, op.getPlace());
    r.replaceOp(op, reshape(r, loc, sum(r, loc, rows, {1}), shape));
    return success();
  }
};

// Rows of a table at indices of any shape: a reshape that leaves the rows whole is one of the indices. Behind
// a sum of such rows, too.
struct ReshapeOfGathers : OpRewritePattern<ReshapeOp> {
  using OpRewritePattern::OpRewritePattern;
  static bool isGathers(Value v) {
    if (auto gather = v.getDefiningOp<GatherOp>()) return shapeOf(gather.getTable()).size() == 2;
    auto add = v.getDefiningOp<AddOp>();
    return add && add->hasOneUse() && isGathers(add.getLhs()) && isGathers(add.getRhs());
  }
  static Value reshaped(PatternRewriter &r, Value v, ArrayRef<int64_t> shape) {
    if (auto add = v.getDefiningOp<AddOp>())
      return r.create<AddOp>(add.getLoc(), reshaped(r, add.getLhs(), shape),
                             reshaped(r, add.getRhs(), shape));
    auto gather = v.getDefiningOp<GatherOp>();
    return r.create<GatherOp>(gather.getLoc(), gather.getTable(),
                              reshape(r, gather.getLoc(), gather.getIndices(), shape.drop_back()));
  }
  LogicalResult matchAndRewrite(ReshapeOp op, PatternRewriter &r) const override {
    auto from = shapeOf(op.getX()), to = shapeOf(op.getResult());
    if (from.empty() || to.empty() || from.back() != to.back() || from.back() <= 1 || !isGathers(op.getX()))
      return failure();
    r.replaceOp(op, reshaped(r, op.getX(), to));
    return success();
  }
};

// Rounded rows of x are rows of x rounded, of which there are fewer: a product over them looks them up.
struct NarrowBehindGather : OpRewritePattern<CastOp> {
  using OpRewritePattern::OpRewritePattern;
  // x rounded where it is made, as `like` rounds; others that do take part. What is computed again stays
  // apart.
  static Value rounded(PatternRewriter &r, CastOp like, Value x, Type element) {
    OpBuilder::InsertionGuard guard(r);
    r.setInsertionPointAfterValue(x);
    for (Operation *user : x.getUsers()) {
      auto other = dyn_cast<CastOp>(user);
      if (!other || tensorType(other.getResult()).getElementType() != element ||
          other->getBlock() != like->getBlock() || other->hasAttr(kAgain) != like->hasAttr(kAgain))
        continue;
      if (r.getInsertionPoint() != other->getIterator())
        r.moveOpBefore(other, r.getInsertionBlock(), r.getInsertionPoint());
      return other.getResult();
    }
    auto made = r.create<CastOp>(like.getLoc(), x, element);
    made->setDiscardableAttrs(like->getDiscardableAttrDictionary());
    return made.getResult();
  }
  LogicalResult matchAndRewrite(CastOp op, PatternRewriter &r) const override {
    auto gather = op.getX().getDefiningOp<GatherOp>();
    if (!gather ||
        tensorType(op.getResult()).getElementTypeBitWidth() >= tensorType(op.getX()).getElementTypeBitWidth())
      return failure();
    Value x = gather.getTable();
    if (tensorType(x).getNumElements() > tensorType(gather.getResult()).getNumElements()) return failure();
    for (Operation *user : op->getUsers())
      if (!isa<GroupedMatmulOp, GroupedOuterOp>(user)) return failure();
    // Of the value itself where x is a view of it: others round that.
    auto reshape = x.getDefiningOp<ReshapeOp>();
    if (reshape) x = reshape.getX();
    Type element = tensorType(op.getResult()).getElementType();
    Value narrow = rounded(r, op, x, element);
    if (reshape) narrow = graph::reshape(r, reshape.getLoc(), narrow, reshape.getShape());
    r.replaceOpWithNewOp<GatherOp>(op, narrow, gather.getIndices());
    return success();
  }
};

} // namespace

void populateRoutingPatterns(RewritePatternSet &patterns) {
  patterns.add<TopKToMaxima, DispatchToGather, CollectToGather, ReshapeOfGathers, NarrowBehindGather>(
      patterns.getContext());
}

} // namespace weft
