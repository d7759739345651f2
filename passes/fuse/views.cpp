#include "passes/fuse/views.h"
#include "dialects/kernel/kernel.h"

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

// Where the last four dimensions of the packed form (panel, pair, column, half) are in the weight's.
static ArrayRef<int64_t> panelOrder(bool transposed) {
  static constexpr int64_t rows[] = {0, 2, 1, 3}, columns[] = {1, 3, 0, 2};
  return transposed ? rows : columns; // (panel, column, pair, half) or (pair, half, panel, column)
}

Value unpackRhs(OpBuilder &b, Location loc, Value packed, bool transposed) {
  auto shape = graph::shapeOf(packed);
  int64_t outer = shape.size() - 4;
  auto order = llvm::to_vector(llvm::seq<int64_t>(0, outer));
  for (int64_t d : panelOrder(transposed)) order.push_back(outer + d);
  SmallVector<int64_t> out(shape.take_front(outer));
  int64_t n = shape[outer] * shape[outer + 2], k = shape[outer + 1] * shape[outer + 3];
  out.append({transposed ? n : k, transposed ? k : n});
  return graph::reshape(b, loc, b.create<graph::TransposeOp>(loc, packed, order), out);
}

Value packRhs(OpBuilder &b, Location loc, Value weight, bool transposed) {
  auto shape = graph::shapeOf(weight);
  int64_t outer = shape.size() - 2, n = shape[outer + (transposed ? 0 : 1)],
          k = shape[outer + (transposed ? 1 : 0)];
  SmallVector<int64_t> split(shape.take_front(outer)), order = llvm::to_vector(llvm::seq<int64_t>(0, outer));
  const int64_t sizes[] = {n / kernel::kPanelColumns, k / 2, kernel::kPanelColumns, 2};
  order.resize(outer + 4);
  for (auto [i, d] : llvm::enumerate(panelOrder(transposed))) {
    split.push_back(sizes[d]);
    order[outer + d] = outer + int64_t(i);
  }
  return b.create<graph::TransposeOp>(loc, graph::reshape(b, loc, weight, split), order);
}

Value packedRhs(graph::MatmulOp op) {
  auto reshape = op.getRhs().getDefiningOp<graph::ReshapeOp>();
  auto transpose = reshape ? reshape.getX().getDefiningOp<graph::TransposeOp>() : graph::TransposeOp();
  if (!transpose || graph::shapeOf(op.getRhs()).size() != 2 || op.getLhs() == op.getRhs() ||
      op.getAcc() == op.getRhs())
    return {};
  auto type = graph::tensorType(transpose.getX());
  if (!type.getElementType().isBF16() || type.getRank() != 4 || type.getDimSize(2) != kernel::kPanelColumns ||
      type.getDimSize(3) != 2 || type.getDimSize(1) * 2 % kernel::kPanelDepth ||
      transpose.getPermutation() != panelOrder(op.getTransposeRhs()))
    return {};
  int64_t n = type.getDimSize(0) * kernel::kPanelColumns;
  return graph::shapeOf(op.getRhs())[op.getTransposeRhs() ? 0 : 1] == n ? transpose.getX() : Value();
}

} // namespace weft
