#include "passes/fuse/normalise.h"
#include "dialects/graph/graph.h"

using namespace mlir;
namespace weft {
namespace {
using namespace graph;

// The only axis a pad extends, or nothing.
std::optional<int64_t> padAxis(PadOp pad) {
  std::optional<int64_t> axis;
  for (auto [i, low, high] : llvm::enumerate(pad.getLow(), pad.getHigh()))
    if (low || high) {
      if (axis) return std::nullopt;
      axis = i;
    }
  return axis;
}

// pad(a) at [0, n) + pad(b) at [n, m) = concat(a, b): what the gradients of a tensor's two halves add up to.
struct AddOfPads : OpRewritePattern<AddOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(AddOp op, PatternRewriter &r) const override {
    auto a = op.getLhs().getDefiningOp<PadOp>(), b = op.getRhs().getDefiningOp<PadOp>();
    if (!a || !b) return failure();
    auto axis = padAxis(a);
    if (!axis || padAxis(b) != axis) return failure();
    if (a.getLow()[*axis] != 0) std::swap(a, b);
    if (a.getLow()[*axis] != 0 || b.getHigh()[*axis] != 0 || b.getLow()[*axis] != shapeOf(a.getX())[*axis])
      return failure();
    r.replaceOpWithNewOp<ConcatOp>(op, ValueRange{a.getX(), b.getX()}, *axis);
    return success();
  }
};

struct PadToConcat : OpRewritePattern<PadOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(PadOp op, PatternRewriter &r) const override {
    // The sum of two pads is better as one concatenation: wait for it.
    if (op->hasOneUse())
      if (auto add = dyn_cast<AddOp>(*op->user_begin()))
        if (add.getLhs().getDefiningOp<PadOp>() && add.getRhs().getDefiningOp<PadOp>() && padAxis(op)) {
          auto other = (add.getLhs() == op.getResult() ? add.getRhs() : add.getLhs()).getDefiningOp<PadOp>();
          auto axis = *padAxis(op);
          if (padAxis(other) == axis && (op.getHigh()[axis] == shapeOf(other.getX())[axis] ||
                                         op.getLow()[axis] == shapeOf(other.getX())[axis]))
            return failure();
        }
    Value x = op.getX();
    for (int64_t i = 0; i < int64_t(op.getLow().size()); ++i) {
      SmallVector<Value> pieces;
      auto zeros = [&](int64_t n) {
        SmallVector<int64_t> shape(shapeOf(x));
        shape[i] = n;
        pieces.push_back(splat(r, op.getLoc(), tensorType(x).clone(shape), 0));
      };
      if (op.getLow()[i]) zeros(op.getLow()[i]);
      pieces.push_back(x);
      if (op.getHigh()[i]) zeros(op.getHigh()[i]);
      if (pieces.size() > 1) x = r.create<ConcatOp>(op.getLoc(), pieces, i);
    }
    r.replaceOp(op, x);
    return success();
  }
};

struct SplitReduction : OpRewritePattern<ReduceOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(ReduceOp op, PatternRewriter &r) const override {
    int64_t rank = shapeOf(op.getX()).size();
    auto axes = op.getAxes();
    if (axes.empty()) {
      r.replaceOp(op, op.getX());
      return success();
    }
    if (axes.back() == rank - 1) {
      if (axes.size() == 1) return failure();
      Value inner =
          r.create<ReduceOp>(op.getLoc(), op.getKind(), op.getX(), Value(), ArrayRef<int64_t>{rank - 1});
      r.replaceOpWithNewOp<ReduceOp>(op, op.getKind(), inner, Value(), axes.drop_back());
      return success();
    }
    if (op.getKind() == ReduceKind::sum) return failure();
    SmallVector<int64_t> permutation, last;
    for (int64_t i = 0; i < rank; ++i)
      if (!llvm::is_contained(axes, i)) permutation.push_back(i);
    for (int64_t axis : axes) {
      last.push_back(permutation.size());
      permutation.push_back(axis);
    }
    Value moved = r.create<TransposeOp>(op.getLoc(), op.getX(), permutation);
    r.replaceOpWithNewOp<ReduceOp>(op, op.getKind(), moved, Value(), last);
    return success();
  }
};

bool isUnary(Operation *op) {
  return op && op->hasTrait<OpTrait::Elementwise>() && op->getNumOperands() == 1;
}
bool isNarrower(Value a, Value b) {
  return tensorType(a).getElementTypeBitWidth() < tensorType(b).getElementTypeBitWidth();
}
Value applyUnary(PatternRewriter &r, Operation *unary, Value x) {
  IRMapping map;
  map.map(unary->getOperand(0), x);
  Operation *copy = r.clone(*unary, map);
  copy->getResult(0).setType(tensorType(unary->getResult(0)).clone(shapeOf(x)));
  return copy->getResult(0);
}

// f(concat(a, b)) = concat(f(a), f(b)), so that the concatenation's kernel computes f: rotary embedding is
// rounded where it is written. Behind a reshape too, which moves out.
struct UnaryOfConcat : RewritePattern {
  explicit UnaryOfConcat(MLIRContext *context) : RewritePattern(MatchAnyOpTypeTag(), 1, context) {}
  LogicalResult matchAndRewrite(Operation *op, PatternRewriter &r) const override {
    if (!isUnary(op)) return failure();
    auto reshape = op->getOperand(0).getDefiningOp<ReshapeOp>();
    auto concat = (reshape ? reshape.getX() : op->getOperand(0)).getDefiningOp<ConcatOp>();
    if (!concat || !concat->hasOneUse() || (reshape && !reshape->hasOneUse())) return failure();
    SmallVector<Value> pieces;
    for (Value x : concat.getInputs()) pieces.push_back(applyUnary(r, op, x));
    Value whole = r.create<ConcatOp>(concat.getLoc(), pieces, concat.getAxis());
    r.replaceOp(op, reshape ? graph::reshape(r, reshape.getLoc(), whole, reshape.getShape()) : whole);
    return success();
  }
};

// What will be in memory: made there, or rounded where it is made.
bool isInMemory(Value v) {
  Operation *op = v.getDefiningOp();
  if (!op || isa<MatmulOp, GroupedMatmulOp, AttentionOp, AttentionGradOp, RepeatOp>(op)) return true;
  return isa<CastOp>(op) && isNarrower(v, op->getOperand(0)) && isInMemory(op->getOperand(0));
}

// reshape(f(x)) = f(reshape(x)) where x is in memory and f makes it no smaller: a reshape is a view of
// memory, and would have f(x) made there.
struct ReshapeOfUnary : OpRewritePattern<ReshapeOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(ReshapeOp op, PatternRewriter &r) const override {
    Operation *unary = op.getX().getDefiningOp();
    if (!isUnary(unary) || isNarrower(op.getX(), unary->getOperand(0)) || !isInMemory(unary->getOperand(0)))
      return failure();
    if (!unary->hasOneUse() && !isa<CastOp, NegOp, AbsOp>(unary)) return failure(); // too dear to do twice
    r.replaceOp(op,
                applyUnary(r, unary, graph::reshape(r, op.getLoc(), unary->getOperand(0), op.getShape())));
    return success();
  }
};

// Query heads that share the only key head are so many rows: a kernel packs keys for a tile of rows, so
// that they are packed once for all heads. (B, T, H, D) is (B, T H, 1, D), and no bit of a row changes.
struct SharedKeyHeadToRows : OpRewritePattern<AttentionOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(AttentionOp op, PatternRewriter &r) const override {
    auto q = shapeOf(op.getQ());
    int64_t batch = q[0], length = q[1], heads = q[2];
    if (shapeOf(op.getK())[2] != 1 || heads < 2) return failure();
    Location loc = op.getLoc();
    auto perHead = [&](Value bound) {
      return reshape(r, loc, broadcastAlong(r, loc, bound, {2}, {batch, length, heads}),
                     {batch, length * heads});
    };
    auto rows = r.create<AttentionOp>(loc, reshape(r, loc, op.getQ(), {batch, length * heads, 1, q[3]}),
                                      op.getK(), op.getV(), perHead(op.getBegin()), perHead(op.getEnd()),
                                      op.getScaleAttr(), op.getKeyBlockAttr());
    rows->setDiscardableAttrs(op->getDiscardableAttrDictionary());
    r.replaceOp(op, {reshape(r, loc, rows.getOut(), shapeOf(op.getOut())),
                     reshape(r, loc, rows.getLse(), shapeOf(op.getLse()))});
    return success();
  }
};

} // namespace

void populateNormalisePatterns(RewritePatternSet &patterns) {
  patterns.add<AddOfPads, PadToConcat, SplitReduction, UnaryOfConcat, ReshapeOfUnary, SharedKeyHeadToRows>(
      patterns.getContext());
  populateRoutingPatterns(patterns);
}

} // namespace weft
