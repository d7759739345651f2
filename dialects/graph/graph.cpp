#include "dialects/graph/graph.h"
#include "mlir/IR/DialectImplementation.h"
#include "llvm/ADT/TypeSwitch.h"
#include "llvm/Support/MathExtras.h"

#include "dialects/graph/graph_dialect.cpp.inc"
#include "dialects/graph/graph_enums.cpp.inc"
#include "dialects/graph/graph_interfaces.cpp.inc"
#define GET_OP_CLASSES
#include "dialects/graph/graph_ops.cpp.inc"

using namespace mlir;
namespace weft::graph {

void GraphDialect::initialize() {
  addOperations<
#define GET_OP_LIST
#include "dialects/graph/graph_ops.cpp.inc"
      >();
}

Operation *GraphDialect::materializeConstant(OpBuilder &b, Attribute value, Type type, Location loc) {
  if (auto elements = dyn_cast<ElementsAttr>(value)) return b.create<ConstantOp>(loc, elements);
  return nullptr;
}

int64_t flopsOf(Operation *op) {
  int64_t elements = 0;
  for (Value v : op->getResults()) elements += numElements(shapeOf(v));
  if (auto matmul = dyn_cast<MatmulOp>(op)) {
    auto lhs = shapeOf(matmul.getLhs());
    return 2 * elements * (matmul.getTransposeLhs() ? lhs[lhs.size() - 2] : lhs.back());
  }
  if (auto product = dyn_cast<GroupedMatmulOp>(op)) return 2 * elements * shapeOf(product.getLhs())[1];
  if (auto outer = dyn_cast<GroupedOuterOp>(op)) { // a row has one group
    auto lhs = shapeOf(outer.getLhs());
    return 2 * lhs[0] * lhs[1] * shapeOf(outer.getRhs())[1];
  }
  if (auto attention = dyn_cast<AttentionOp>(op)) { // of all pairs; a causal range has half
    auto q = shapeOf(attention.getQ());
    return numElements(q.drop_back()) * shapeOf(attention.getK())[1] * (q[3] + shapeOf(attention.getV())[3]);
  }
  if (auto reduce = dyn_cast<ReduceOp>(op)) return numElements(shapeOf(reduce.getX()));
  return elements;
}

bool isRounding(CastOp op) {
  auto between = [](Type x, Type y) { return x.isF32() && y.isBF16(); };
  Type from = tensorType(op.getX()).getElementType(), to = op.getElement();
  return between(from, to) || between(to, from);
}

RankedTensorType adjointType(Value forward) {
  RankedTensorType type = tensorType(forward);
  return type.getElementType().isBF16() ? type.clone(Float32Type::get(type.getContext())) : type;
}

Value GradientBuilder::origin(Value forward) {
  while (auto cast = forward.getDefiningOp<CastOp>()) {
    if (!isRounding(cast)) break;
    forward = cast.getX();
  }
  return forward;
}

void GradientBuilder::add(Value forward, Value contribution) {
  Value &slot = adjoints[origin(forward)];
  slot = slot ? b.create<AddOp>(location, slot, contribution).getResult() : contribution;
}

Value splat(OpBuilder &b, Location loc, RankedTensorType type, double value) {
  Type e = type.getElementType();
  Attribute a = isa<FloatType>(e) ? Attribute(b.getFloatAttr(e, value))
                                  : Attribute(b.getIntegerAttr(e, int64_t(value)));
  return b.create<ConstantOp>(loc, SplatElementsAttr::get(type, a));
}

Value broadcastTo(OpBuilder &b, Location loc, Value x, ArrayRef<int64_t> dims, ArrayRef<int64_t> shape) {
  if (shapeOf(x) == shape) return x;
  return b.create<BroadcastOp>(loc, x, dims, shape);
}

Value broadcastAlong(OpBuilder &b, Location loc, Value x, ArrayRef<int64_t> axes, ArrayRef<int64_t> shape) {
  SmallVector<int64_t> dims;
  for (int64_t i = 0; i < int64_t(shape.size()); ++i)
    if (!llvm::is_contained(axes, i)) dims.push_back(i);
  return broadcastTo(b, loc, x, dims, shape);
}

Value castTo(OpBuilder &b, Location loc, Value x, Type element) {
  if (tensorType(x).getElementType() == element) return x;
  return b.create<CastOp>(loc, x, element);
}

Value sum(OpBuilder &b, Location loc, Value x, ArrayRef<int64_t> axes, Value acc) {
  if (axes.empty()) return x;
  // The last dimension with others that do not adjoin it: first the run of last dimensions, then the rest.
  int64_t rank = shapeOf(x).size(), run = 0, count = axes.size();
  while (run < count && axes[count - 1 - run] == rank - 1 - run) ++run;
  if (run > 0 && run < count)
    return sum(b, loc, sum(b, loc, x, axes.take_back(run)), axes.drop_back(run), acc);
  return b.create<ReduceOp>(loc, ReduceKind::sum, x, acc, axes);
}

Value reshape(OpBuilder &b, Location loc, Value x, ArrayRef<int64_t> shape) {
  if (shapeOf(x) == shape) return x;
  return b.create<ReshapeOp>(loc, x, shape);
}

Value rows(OpBuilder &b, Location loc, Value x, int64_t begin, int64_t end) {
  SmallVector<int64_t> sizes(shapeOf(x)), offsets(sizes.size(), 0);
  offsets[0] = begin;
  sizes[0] = end - begin;
  return b.create<SliceOp>(loc, x, offsets, sizes);
}

Value treeSum(OpBuilder &b, Location loc, ArrayRef<Value> terms) {
  if (terms.size() == 1) return terms[0];
  size_t left = llvm::PowerOf2Ceil(terms.size()) / 2;
  Value low = treeSum(b, loc, terms.take_front(left)); // first: the order of ops is the text's
  return b.create<AddOp>(loc, low, treeSum(b, loc, terms.drop_front(left)));
}

} // namespace weft::graph
