#include "passes/fuse/views.h"

using namespace mlir;
namespace weft {

bool isViewOp(Operation *op) {
  return isa_and_nonnull<graph::ReshapeOp, graph::TransposeOp, graph::SliceOp, graph::BroadcastOp>(op);
}

bool movesUnitDimensions(graph::ReshapeOp op) {
  auto sizes = [](ArrayRef<int64_t> shape) {
    SmallVector<int64_t> out;
    for (int64_t d : shape)
      if (d != 1) out.push_back(d);
    return out;
  };
  return sizes(graph::shapeOf(op.getX())) == sizes(op.getShape());
}

SmallVector<int64_t> rowMajorStridesOf(ArrayRef<int64_t> shape) {
  SmallVector<int64_t> strides(shape.size(), 1);
  for (int64_t i = int64_t(shape.size()) - 2; i >= 0; --i) strides[i] = strides[i + 1] * shape[i + 1];
  return strides;
}

// Strides of `to` over the elements that `from` with `strides` addresses in row-major order, or nothing where
// none exist. Groups of dimensions with equal products are matched; within a group of `from` the strides must
// be contiguous.
static std::optional<SmallVector<int64_t>> reshapeStrides(ArrayRef<int64_t> from, ArrayRef<int64_t> strides,
                                                          ArrayRef<int64_t> to) {
  SmallVector<int64_t> out(to.size(), 0);
  size_t i = 0, j = 0;
  while (i < from.size() || j < to.size()) {
    if (i < from.size() && from[i] == 1) {
      ++i;
      continue;
    }
    if (j < to.size() && to[j] == 1) {
      out[j++] = 0;
      continue;
    }
    if (i == from.size() || j == to.size()) return std::nullopt; // sizes of zero: not worth a view
    size_t i0 = i, j0 = j;
    int64_t a = from[i++], b = to[j++];
    while (a != b) {
      if (a < b) {
        if (i == from.size()) return std::nullopt;
        a *= from[i++];
      } else {
        if (j == to.size()) return std::nullopt;
        b *= to[j++];
      }
    }
    int64_t last = i - 1;
    while (from[last] == 1) --last;
    int64_t inner = strides[last], expected = inner * from[last];
    for (int64_t k = last - 1; k >= int64_t(i0); --k) {
      if (from[k] == 1) continue;
      if (strides[k] != expected) return std::nullopt;
      expected *= from[k];
    }
    int64_t s = inner;
    for (int64_t k = int64_t(j) - 1; k >= int64_t(j0); --k) {
      out[k] = to[k] == 1 ? 0 : s;
      s *= to[k];
    }
  }
  return out;
}

FailureOr<StridedView> resolveView(Value v, function_ref<bool(Value)> isBase, Value *obstacle) {
  Operation *op = v.getDefiningOp();
  if (isBase(v) || !isViewOp(op)) return StridedView{v, 0, rowMajorStridesOf(graph::shapeOf(v))};
  auto source = resolveView(op->getOperand(0), isBase, obstacle);
  if (failed(source)) return failure();
  StridedView view{source->base, source->offset, {}};
  if (auto t = dyn_cast<graph::TransposeOp>(op)) {
    for (int64_t p : t.getPermutation()) view.strides.push_back(source->strides[p]);
  } else if (auto s = dyn_cast<graph::SliceOp>(op)) {
    view.strides = source->strides;
    for (auto [offset, stride] : llvm::zip(s.getOffsets(), view.strides)) view.offset += offset * stride;
  } else if (auto b = dyn_cast<graph::BroadcastOp>(op)) {
    view.strides.assign(b.getShape().size(), 0);
    auto in = graph::shapeOf(b.getX());
    for (auto [i, d] : llvm::enumerate(b.getDims()))
      if (in[i] != 1) view.strides[d] = source->strides[i];
  } else {
    auto reshape = cast<graph::ReshapeOp>(op);
    auto strides = reshapeStrides(graph::shapeOf(reshape.getX()), source->strides, reshape.getShape());
    if (!strides) {
      if (obstacle) *obstacle = reshape.getX();
      return failure();
    }
    view.strides = *strides;
  }
  return view;
}

} // namespace weft
