#include "passes/tile/row_region.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"
#include "passes/fuse/views.h"

using namespace mlir;
namespace weft {

int64_t RowRegion::leading(ArrayRef<int64_t> shape) const {
  int64_t n = 1;
  for (auto [i, d] : llvm::enumerate(shape))
    if ((n *= d) == rows) return i + 1;
  return -1;
}

std::optional<SmallVector<int64_t>> RowRegion::blockShape(Value v, int64_t count) const {
  SmallVector<int64_t> shape(graph::shapeOf(v));
  int64_t left = count, lead = leading(v);
  for (int64_t i = lead; i-- > 0;) {
    int64_t inner = std::min(left, shape[i]);
    // A block is a run of rows: whole inner dimensions, a part of one, and single indices of those outside.
    if (shape[i] % inner || left % inner) return std::nullopt;
    shape[i] = inner;
    left /= inner;
  }
  return left == 1 ? std::optional(shape) : std::nullopt;
}

// `known` is an operand or the result that is known to be cut into rows.
std::optional<RowRoles> RowRegion::rolesOf(Operation *op, Value known) const {
  if (!isPure(op) || op->getNumResults() != 1) return std::nullopt;
  Value result = op->getResult(0);
  bool fromResult = known == result;
  RowRoles roles;
  auto all = [&](bool row) { roles.rowOperand.assign(op->getNumOperands(), row); };
  all(true);
  if (op->hasTrait<OpTrait::Elementwise>() || isa<graph::StopGradientOp>(op)) return roles;
  if (auto constant = dyn_cast<graph::ConstantOp>(op))
    return constant.getValue().isSplat() ? std::optional(roles) : std::nullopt;
  if (auto iota = dyn_cast<graph::IotaOp>(op))
    return int64_t(iota.getAxis()) >= leading(result) ? std::optional(roles) : std::nullopt;
  if (isa<graph::ReshapeOp>(op))
    return leading(op->getOperand(0)) > 0 && leading(result) > 0 ? std::optional(roles) : std::nullopt;
  if (auto broadcast = dyn_cast<graph::BroadcastOp>(op)) {
    int64_t lead = leading(result);
    if (lead < 0) return std::nullopt;
    auto from = graph::shapeOf(broadcast.getX());
    int64_t kept = 0, spread = 0; // leading dimensions that x has too, and those along which it is repeated
    for (auto [d, size] : llvm::zip(broadcast.getDims(), from))
      if (d < lead) (size == graph::shapeOf(result)[d] ? kept : spread) += 1;
    if (kept == lead) return roles;
    // Units of the result that x lacks hide nothing; x whole has no row of its own.
    bool units = llvm::all_of(llvm::seq<int64_t>(0, lead), [&](int64_t d) {
      return llvm::is_contained(broadcast.getDims(), d) || graph::shapeOf(result)[d] == 1;
    });
    if (kept && units && !spread && leading(broadcast.getX()) > 0) return roles;
    if (!fromResult || kept) return std::nullopt;
    all(false);
    return roles;
  }
  if (auto reduce = dyn_cast<graph::ReduceOp>(op)) {
    int64_t lead = leading(reduce.getX());
    if (lead < 0 || reduce.getAxes().empty()) return std::nullopt;
    if (reduce.getAxes().front() >= lead) return roles;
    bool overRows = reduce.getKind() == graph::ReduceKind::sum && int64_t(reduce.getAxes().size()) == lead &&
                    reduce.getAxes().back() == lead - 1 &&
                    lead < int64_t(graph::shapeOf(reduce.getX()).size());
    if (!overRows || fromResult) return std::nullopt;
    if (reduce.getAcc()) roles.rowOperand[1] = false;
    roles.accumulates = true;
    return roles;
  }
  if (auto matmul = dyn_cast<graph::MatmulOp>(op)) {
    bool flat = graph::shapeOf(matmul.getRhs()).size() == 2;
    if (!flat || (!fromResult && known == matmul.getAcc())) return std::nullopt;
    bool overRows = matmul.getTransposeLhs() && !matmul.getTransposeRhs() &&
                    graph::shapeOf(matmul.getLhs())[0] == rows && !fromResult;
    if (overRows) {
      if (matmul.getAcc()) roles.rowOperand[2] = false;
      roles.accumulates = true;
      return roles;
    }
    // Rows of lhs. What multiplies them is there whole.
    if (matmul.getTransposeLhs() || matmul.getAcc() || (!fromResult && known == matmul.getRhs()))
      return std::nullopt;
    if (leading(matmul.getLhs()) < 0 ||
        leading(matmul.getLhs()) >= int64_t(graph::shapeOf(matmul.getLhs()).size()))
      return std::nullopt;
    roles.rowOperand[1] = false;
    return roles;
  }
  return std::nullopt;
}

bool RowRegion::add(Operation *op, Value known) {
  auto it = roles.find(op);
  if (it != roles.end()) {
    // Met again from another side: the same value must play the same part.
    for (auto [operand, row] : llvm::zip(op->getOperands(), it->second.rowOperand))
      if (operand == known && !row) return false;
    return !(known == op->getResult(0) && it->second.accumulates);
  }
  auto found = rolesOf(op, known);
  if (!found) return false;
  ops.insert(op);
  roles[op] = std::move(*found);
  return true;
}

// Nothing has to exist for these.
static bool isFree(Operation *op) {
  return isa<graph::ConstantOp, graph::IotaOp, graph::BroadcastOp, graph::ReshapeOp>(op);
}

// Of the block, what reads the region's results, directly or not; the region's free ops among it are no
// copies.
llvm::DenseSet<Operation *> RowRegion::findDependent(Block *block) {
  llvm::DenseSet<Operation *> dependent;
  for (Operation &op : *block)
    if (llvm::any_of(op.getOperands(), [&](Value v) {
          Operation *source = v.getDefiningOp();
          return source && source->getBlock() == block &&
                 (dependent.contains(source) || (ops.contains(source) && !isFree(source)));
        }))
      dependent.insert(&op);
  copied.clear();
  for (Operation *op : ops)
    if (isFree(op) && !dependent.contains(op)) copied.insert(op);
  return dependent;
}

bool RowRegion::grow(Value seed, Operation **obstacle) {
  Block *block = seed.getParentBlock();
  int64_t elements = graph::tensorType(seed).getNumElements();
  auto fails = [&](Operation *op) {
    *obstacle = op;
    return false;
  };
  auto isLarge = [&](Value v) { return graph::tensorType(v).getNumElements() == elements; };
  for (size_t before = 0; before != ops.size();) {
    before = ops.size();
    findDependent(block);
    for (size_t i = 0; i < ops.size(); ++i) {
      Operation *op = ops[i];
      RowRoles known = roles[op];
      for (auto [v, row] : llvm::zip(op->getOperands(), known.rowOperand)) {
        Operation *source = v.getDefiningOp();
        if (row && source && (isLarge(v) || isFree(source))) add(source, v);
      }
      if (known.accumulates || copied.contains(op) || (isFree(op) && i >= before) ||
          !isLarge(op->getResult(0)))
        continue;
      for (Operation *user : op->getResult(0).getUsers())
        if (!add(user, op->getResult(0))) return fails(user);
    }
    // What comes from the region and goes back into it belongs to it.
    llvm::DenseSet<Operation *> dependent = findDependent(block);
    for (size_t i = 0; i < ops.size(); ++i) {
      Operation *op = ops[i];
      RowRoles known = roles[op];
      for (auto [v, row] : llvm::zip(op->getOperands(), known.rowOperand)) {
        Operation *source = v.getDefiningOp();
        if (!source || (!dependent.contains(source) && !holds(source))) continue;
        if (!row || !add(source, v)) return fails(row ? source : op);
      }
    }
  }
  return true;
}

Value RowRegion::withoutViews(Value v) {
  while (isViewOp(v.getDefiningOp())) v = v.getDefiningOp()->getOperand(0);
  return v;
}

void RowRegion::finish(Value seed) {
  findDependent(seed.getParentBlock());
  SmallVector<Operation *> sorted(ops.getArrayRef());
  llvm::sort(sorted, [](Operation *a, Operation *b) { return a->isBeforeInBlock(b); });
  ops.clear();
  ops.insert(sorted.begin(), sorted.end());
  int64_t elements = graph::tensorType(seed).getNumElements();
  auto bytes = [](Value v) {
    auto type = graph::tensorType(v);
    return type.getNumElements() * std::max<int64_t>(1, type.getElementTypeBitWidth() / 8);
  };
  llvm::DenseSet<Value> wide;
  auto mustExist = [&](Value v) {
    while (auto reshape = v.getDefiningOp<graph::ReshapeOp>()) v = reshape.getX();
    if (graph::tensorType(v).getNumElements() == elements && wide.insert(v).second)
      wideBytes += bytes(v) / rows;
  };
  for (Operation *op : ops) {
    bool accumulates = roles[op].accumulates, product = isa<graph::MatmulOp>(op);
    for (auto [v, row] : llvm::zip(op->getOperands(), roles[op].rowOperand)) {
      bool isStart = accumulates && !row; // of a sum: it is the carry
      if (!row && !isStart) wholeInputs.insert(withoutViews(v));
      if (row && !(v.getDefiningOp() && ops.contains(v.getDefiningOp()))) rowInputs.insert(v);
      if (row && product) mustExist(v);
    }
    Value result = op->getResult(0);
    if (accumulates)
      sums.insert(result);
    else if (!copied.contains(op) &&
             llvm::any_of(result.getUsers(), [&](Operation *user) { return !ops.contains(user); }))
      rowOutputs.insert(result);
    if (product && !accumulates) mustExist(result);
  }
  for (const llvm::SetVector<Value> *edge : {&rowInputs, &rowOutputs})
    for (Value v : *edge) edgeBytes += bytes(v) / rows;
}

std::optional<RowRegion> RowRegion::around(graph::MatmulOp seed, Operation **obstacle) {
  RowRegion region;
  Value result = seed.getResult();
  *obstacle = seed;
  if (graph::tensorType(result).getNumElements() == 0) return std::nullopt;
  region.rows = graph::tensorType(result).getNumElements() / graph::shapeOf(result).back();
  if (!region.add(seed, result) || region.roles[seed].accumulates || !region.grow(result, obstacle))
    return std::nullopt;
  region.finish(result);
  return region;
}

} // namespace weft
