#include "passes/fuse/loops_builder.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "passes/fuse/scalar_code.h"

using namespace mlir;
namespace weft {

IndexMap identityMap(int64_t rank) {
  IndexMap map;
  for (int64_t i = 0; i < rank; ++i) map.push_back({i});
  return map;
}

// An index into a dimension of size 1 is 0, however it was written.
static IndexMap canonical(const IndexMap &map, ArrayRef<int64_t> shape) {
  IndexMap out(map);
  for (auto [m, size] : llvm::zip(out, shape))
    if (size == 1) m = {-1};
  return out;
}

// The operand's map, for an op that moves indices; nothing for a reshape that does more than add or drop unit
// dimensions.
static std::optional<IndexMap> throughView(Operation *op, const IndexMap &map) {
  IndexMap in;
  if (auto t = dyn_cast<graph::TransposeOp>(op)) {
    in.resize(map.size(), {-1});
    for (auto [i, p] : llvm::enumerate(t.getPermutation())) in[p] = map[i];
  } else if (auto s = dyn_cast<graph::SliceOp>(op)) {
    for (auto [m, offset] : llvm::zip(map, s.getOffsets())) in.push_back({m.dim, m.offset + offset});
  } else if (auto bc = dyn_cast<graph::BroadcastOp>(op)) {
    for (auto [d, size] : llvm::zip(bc.getDims(), graph::shapeOf(bc.getX())))
      in.push_back(size == 1 ? IndexExpr{-1} : map[d]);
  } else {
    auto reshape = cast<graph::ReshapeOp>(op);
    if (!movesUnitDimensions(reshape)) return std::nullopt;
    size_t out = 0;
    for (int64_t size : graph::shapeOf(reshape.getX())) {
      if (size == 1) {
        in.push_back({-1});
        continue;
      }
      while (reshape.getShape()[out] == 1) ++out;
      in.push_back(map[out++]);
    }
  }
  return in;
}

// Whether v is met at the point (or, one dimension less, the row) being computed.
static bool isIdentity(Value v, const IndexMap &map) {
  return map == canonical(identityMap(map.size()), graph::shapeOf(v));
}

static bool meets(Value v, const IndexMap &at, const Clusters &clusters, const llvm::DenseSet<Value> &own,
                  ArrayRef<int64_t> domain, bool top) {
  IndexMap map = canonical(at, graph::shapeOf(v));
  Operation *op = v.getDefiningOp();
  if (!op) return true;
  bool mine = own.contains(v);
  if (mine && !top) {
    size_t rank = map.size();
    return isIdentity(v, map) &&
           (rank + 1 == domain.size() || (rank == domain.size() && !isRowReduction(op)));
  }
  if (!top && clusters.isMaterialised(v)) return true;
  if (isRowReduction(op))
    return meets(op->getOperand(0), identityMap(domain.size()), clusters, own, domain, false);
  if (isViewOp(op)) {
    auto view = resolveView(v, [&](Value x) { return clusters.isMaterialised(x); });
    if (succeeded(view) && !own.contains(view->base) && clusters.isMaterialised(view->base)) return true;
    auto in = throughView(op, map);
    return in && meets(op->getOperand(0), *in, clusters, own, domain, false);
  }
  if (isa<graph::GatherOp>(op)) // reads its table, and its indices, anywhere: both have to be in memory
    return llvm::none_of(op->getOperands(), [&](Value x) {
      auto view = resolveView(x, [&](Value y) { return clusters.isMaterialised(y); });
      return failed(view) || own.contains(view->base);
    });
  return llvm::all_of(op->getOperands(),
                      [&](Value x) { return meets(x, map, clusters, own, domain, false); });
}

bool meetsAtSamePoint(Value root, const Clusters &clusters, const llvm::DenseSet<Value> &own,
                      ArrayRef<int64_t> domain) {
  return meets(root, identityMap(graph::shapeOf(root).size()), clusters, own, domain, true);
}

LoopsBuilder::LoopsBuilder(const Clusters &clusters, const Cluster *own, Location loc,
                           ArrayRef<int64_t> domain)
    : clusters(clusters), own(own), loc(loc), domain(domain), block(new Block()), b(loc.getContext()) {
  b.setInsertionPointToEnd(block);
}
LoopsBuilder::~LoopsBuilder() { delete block; }

LoopsBuilder::Access LoopsBuilder::accessOf(const StridedView &view, const IndexMap &map) const {
  Access a{view.offset, SmallVector<int64_t>(domain.size(), 0)};
  for (auto [m, stride] : llvm::zip(map, view.strides)) {
    a.offset += m.offset * stride;
    if (m.dim >= 0) a.strides[m.dim] += stride;
  }
  for (auto [stride, size] : llvm::zip(a.strides, domain))
    if (size == 1) stride = 0;
  return a;
}

int64_t LoopsBuilder::inputNumber(Value base, const Access &access) {
  for (auto [i, in] : llvm::enumerate(inputs))
    if (in.first == base && in.second.offset == access.offset && in.second.strides == access.strides &&
        in.second.index == access.index && in.second.indexStride == access.indexStride)
      return i;
  inputs.push_back({base, access});
  block->addArgument(graph::tensorType(base).getElementType(), loc);
  return inputs.size() - 1;
}
Value LoopsBuilder::load(Value base, Access access) { return block->getArgument(inputNumber(base, access)); }

int64_t LoopsBuilder::addIndexInput(Value v, const IndexMap &map) {
  auto view = resolveView(v, [&](Value x) { return clusters.isMaterialised(x); });
  Access a = accessOf(*view, map);
  if (a.strides.back() != 0) unitColumn = true;
  return inputNumber(view->base, a);
}

Value LoopsBuilder::evaluate(Value v, const IndexMap &at) {
  IndexMap map = canonical(at, graph::shapeOf(v));
  for (auto &[value, at, scalar] : known)
    if (value == v && at == map) return scalar;
  Operation *op = v.getDefiningOp();
  Value scalar;
  bool mine = own && own->roots.contains(v);
  if (!mine) {
    auto view = resolveView(v, [&](Value x) { return clusters.isMaterialised(x); });
    if (succeeded(view) && clusters.isMaterialised(view->base) && !(own && own->roots.contains(view->base)))
      scalar = load(view->base, accessOf(*view, map));
  }
  if (!scalar) {
    if (auto in = isViewOp(op) ? throughView(op, map) : std::nullopt) {
      scalar = evaluate(op->getOperand(0), *in);
    } else {
      locations.insert(op->getLoc());
      scalar = evaluateOp(op, map);
    }
  }
  known.push_back({v, map, scalar});
  return scalar;
}

Value LoopsBuilder::indexValue(Location at, IndexExpr m) {
  Value offset = b.create<arith::ConstantIntOp>(at, m.offset, 32);
  if (m.dim < 0) return offset;
  indexedDims.insert(m.dim);
  Value i = b.create<kernel::IndexOp>(at, b.getI32Type(), m.dim);
  return m.offset ? b.create<arith::AddIOp>(at, i, offset).getResult() : i;
}

// A splat is a literal. A table of n values, as of rotary frequencies, is chosen from by n - 1 selects along
// a balanced tree:
//   i < 2 ? (i < 1 ? v0 : v1) : (i < 3 ? v2 : v3)
Value LoopsBuilder::evaluateConstant(graph::ConstantOp c, const IndexMap &map) {
  Location at = c.getLoc();
  auto literal = [&](Attribute value) -> Value {
    return b.create<arith::ConstantOp>(at, cast<TypedAttr>(value));
  };
  if (c.getValue().isSplat()) return literal(c.getValue().getSplatValue<Attribute>());
  auto values = llvm::to_vector(c.getValue().getValues<Attribute>());
  auto strides = rowMajorStridesOf(graph::shapeOf(c.getResult()));
  int64_t fixed = 0; // the part of the row-major position that does not vary
  Value i;
  for (auto [m, stride] : llvm::zip(map, strides)) {
    if (m.dim < 0) {
      fixed += m.offset * stride;
      continue;
    }
    Value term = indexValue(at, m);
    if (stride != 1) term = b.create<arith::MulIOp>(at, term, b.create<arith::ConstantIntOp>(at, stride, 32));
    i = i ? b.create<arith::AddIOp>(at, i, term).getResult() : term;
  }
  if (!i) return literal(values[fixed]);
  if (fixed) i = b.create<arith::AddIOp>(at, i, b.create<arith::ConstantIntOp>(at, fixed, 32));
  auto choose = [&](auto &&self, int64_t low, int64_t high) -> Value { // of positions low … high - 1
    if (high - low == 1) return literal(values[low]);
    int64_t middle = (low + high) / 2;
    Value left = self(self, low, middle), right = self(self, middle, high);
    Value below = b.create<arith::CmpIOp>(at, arith::CmpIPredicate::slt, i,
                                          b.create<arith::ConstantIntOp>(at, middle, 32));
    return b.create<arith::SelectOp>(at, below, left, right);
  };
  return choose(choose, 0, values.size());
}

Value LoopsBuilder::evaluateOp(Operation *op, const IndexMap &map) {
  Type type = graph::tensorType(op->getResult(0)).getElementType();
  if (auto c = dyn_cast<graph::ConstantOp>(op)) return evaluateConstant(c, map);
  if (auto iota = dyn_cast<graph::IotaOp>(op))
    return castScalar(b, op->getLoc(), indexValue(op->getLoc(), map[iota.getAxis()]), type);
  if (auto reduce = dyn_cast<graph::ReduceOp>(op)) {
    auto kind =
        reduce.getKind() == graph::ReduceKind::sum ? kernel::RowReduceKind::sum : kernel::RowReduceKind::max;
    Value x = evaluate(reduce.getX(), identityMap(domain.size()));
    return b.create<kernel::ReduceOp>(op->getLoc(), x.getType(), kind, x);
  }
  if (auto gather = dyn_cast<graph::GatherOp>(op)) {
    size_t numIndexDims = graph::shapeOf(gather.getIndices()).size();
    IndexMap indexMap(map.begin(), map.begin() + numIndexDims);
    int64_t index = addIndexInput(gather.getIndices(), indexMap);
    auto table = graph::shapeOf(gather.getTable());
    auto view = resolveView(gather.getTable(), [&](Value x) { return clusters.isMaterialised(x); });
    int64_t rowStride = view->strides[0];
    StridedView row{view->base, view->offset,
                    SmallVector<int64_t>(ArrayRef<int64_t>(view->strides).drop_front())};
    Access a = accessOf(row, IndexMap(map.begin() + numIndexDims, map.end()));
    a.index = index;
    a.indexStride = rowStride;
    a.indexLimit = table[0];
    return load(view->base, a);
  }
  SmallVector<Value> operands;
  for (Value v : op->getOperands()) operands.push_back(evaluate(v, map));
  return scalarCode(b, op, operands, type);
}

void LoopsBuilder::takeAsInput(Value product) {
  IndexMap map = canonical(identityMap(domain.size()), domain);
  StridedView whole{product, 0, rowMajorStridesOf(domain)};
  known.push_back({product, map, load(product, accessOf(whole, map))});
}

} // namespace weft
