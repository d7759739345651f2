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
  if (llvm::is_contained(to, 0)) return rowMajorStridesOf(to); // no element, wherever
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

// The sizes of panels for a matrix of n columns and k rows: whole ones, filled up with zeros.
static int64_t panelColumns(int64_t n) { return llvm::alignTo(n, kernel::kPanelColumns); }
static int64_t panelDepth(int64_t k) { return llvm::alignTo(k, kernel::kPanelDepth); }

// Outer dimensions stay, the last four are in that order.
static SmallVector<int64_t> panelPermutation(int64_t outer, bool transposed) {
  auto order = llvm::to_vector(llvm::seq<int64_t>(0, outer));
  for (int64_t d : panelOrder(transposed)) order.push_back(outer + d);
  return order;
}

Value unpackRhs(OpBuilder &b, Location loc, Value packed, bool transposed, ArrayRef<int64_t> shape) {
  int64_t outer = int64_t(shape.size()) - 2;
  SmallVector<int64_t> whole(shape);
  whole[outer] = transposed ? panelColumns(shape[outer]) : panelDepth(shape[outer]);
  whole[outer + 1] = transposed ? panelDepth(shape[outer + 1]) : panelColumns(shape[outer + 1]);
  Value moved = b.create<graph::TransposeOp>(loc, packed, panelPermutation(outer, transposed));
  Value matrix = graph::reshape(b, loc, moved, whole);
  if (ArrayRef<int64_t>(whole) == shape) return matrix;
  return b.create<graph::SliceOp>(loc, matrix, SmallVector<int64_t>(shape.size(), 0), shape);
}

Value packRhs(OpBuilder &b, Location loc, Value weight, bool transposed) {
  auto shape = graph::shapeOf(weight);
  int64_t outer = shape.size() - 2, n = panelColumns(shape[outer + (transposed ? 0 : 1)]),
          k = panelDepth(shape[outer + (transposed ? 1 : 0)]);
  SmallVector<int64_t> none(shape.size(), 0), more(none);
  more[outer] = (transposed ? n : k) - shape[outer];
  more[outer + 1] = (transposed ? k : n) - shape[outer + 1];
  if (more != none) weight = b.create<graph::PadOp>(loc, weight, none, more);
  SmallVector<int64_t> split(shape.take_front(outer)), order = llvm::to_vector(llvm::seq<int64_t>(0, outer));
  const int64_t sizes[] = {n / kernel::kPanelColumns, k / 2, kernel::kPanelColumns, 2};
  order.resize(outer + 4);
  for (auto [i, d] : llvm::enumerate(panelOrder(transposed))) {
    split.push_back(sizes[d]);
    order[outer + d] = outer + int64_t(i);
  }
  return b.create<graph::TransposeOp>(loc, graph::reshape(b, loc, weight, split), order);
}

graph::GatherOp gatheredFactor(Operation *op, unsigned operand) {
  if (!isa<graph::GroupedMatmulOp, graph::GroupedOuterOp>(op) || operand > 1) return {};
  if (operand == 1 && isa<graph::GroupedMatmulOp>(op)) return {}; // its matrices are not cut
  auto gather = op->getOperand(operand).getDefiningOp<graph::GatherOp>();
  if (!gather || graph::shapeOf(gather.getTable()).size() != 2 ||
      graph::shapeOf(gather.getIndices()).size() != 1 ||
      !graph::tensorType(gather.getIndices()).getElementType().isInteger(32))
    return {};
  if (operand == 0) return gather;
  auto other = gatheredFactor(op, 0);
  return !other || other.getIndices() == gather.getIndices() ? gather : graph::GatherOp();
}

Value packedRhs(Operation *op) {
  auto matmul = dyn_cast<graph::MatmulOp>(op);
  auto grouped = dyn_cast<graph::GroupedMatmulOp>(op);
  if (!matmul && !grouped) return {};
  Value rhs = op->getOperand(1), matrix = rhs;
  bool transposed = matmul ? matmul.getTransposeRhs() : grouped.getTransposeRhs();
  if (auto slice = rhs.getDefiningOp<graph::SliceOp>();
      slice && llvm::all_of(slice.getOffsets(), [](int64_t offset) { return offset == 0; }))
    matrix = slice.getX();
  auto reshape = matrix.getDefiningOp<graph::ReshapeOp>();
  auto transpose = reshape ? reshape.getX().getDefiningOp<graph::TransposeOp>() : graph::TransposeOp();
  if (!transpose || llvm::count(op->getOperands(), rhs) != 1) return {};
  auto type = graph::tensorType(transpose.getX());
  auto shape = graph::shapeOf(rhs);
  int64_t outer = int64_t(shape.size()) - 2, n = shape[outer + (transposed ? 0 : 1)],
          k = shape[outer + (transposed ? 1 : 0)];
  SmallVector<int64_t> packed(shape.take_front(outer)), whole(packed);
  packed.append({panelColumns(n) / kernel::kPanelColumns, panelDepth(k) / 2, kernel::kPanelColumns, 2});
  whole.append({transposed ? panelColumns(n) : panelDepth(k), transposed ? panelDepth(k) : panelColumns(n)});
  bool fits = type.getElementType().isBF16() && type.getShape() == ArrayRef<int64_t>(packed) &&
              transpose.getPermutation() == ArrayRef<int64_t>(panelPermutation(outer, transposed)) &&
              graph::shapeOf(matrix) == ArrayRef<int64_t>(whole);
  return fits ? transpose.getX() : Value();
}

} // namespace weft
