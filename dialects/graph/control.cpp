// Repetition, differentiation and variables: verifiers. The interpreter runs them: interpret.cpp.
#include "dialects/graph/graph.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/PatternMatch.h"

using namespace mlir;
namespace weft::graph {

static func::FuncOp findFunction(Operation *op, FlatSymbolRefAttr name, SymbolTableCollection &table) {
  auto f = table.lookupNearestSymbolFrom<func::FuncOp>(op, name);
  if (!f) op->emitOpError() << "names " << name << ", which is not a function";
  return f;
}

static LogicalResult checkTypes(Operation *op, StringRef what, TypeRange got, ArrayRef<Type> expected) {
  if (got.size() != expected.size())
    return op->emitOpError() << "has " << got.size() << " " << what << " when it should have "
                             << expected.size();
  for (auto [i, pair] : llvm::enumerate(llvm::zip(got, expected)))
    if (std::get<0>(pair) != std::get<1>(pair))
      return op->emitOpError() << what << " " << i << " is " << std::get<0>(pair) << " when it should be "
                               << std::get<1>(pair);
  return success();
}

LogicalResult RepeatOp::verifySymbolUses(SymbolTableCollection &table) {
  auto body = findFunction(*this, getBodyAttr(), table);
  if (!body) return failure();
  int64_t first = getBegin(), end = getEnd();
  if (first < 0 || end < first) return emitOpError() << "covers [" << first << ", " << end << ")";
  if (getNumResults() < getCarry().size())
    return emitOpError() << "has " << getNumResults() << " results when it carries " << getCarry().size();
  if (getParts() < 1 || getPart() >= getParts())
    return emitOpError() << "is part " << getPart() << " of " << getParts();
  SmallVector<Type> arguments(getCarry().getTypes()), results(getCarry().getTypes());
  for (Value v : getStacked()) {
    auto t = tensorType(v);
    if (t.getRank() < 1) return emitOpError("has a stacked operand of rank 0");
    if (!getDynamic() && int64_t(getEnd()) > t.getDimSize(0))
      return emitOpError() << "runs to " << getEnd() << " over a stacked operand of " << t.getDimSize(0);
    arguments.push_back(RankedTensorType::get(t.getShape().drop_front(), t.getElementType()));
  }
  llvm::append_range(arguments, getInvariant().getTypes());
  for (auto [result, tied] : llvm::zip(sliceResults(), getTied())) {
    if (tied >= int64_t(getStacked().size()))
      return emitOpError() << "ties a slice result to stacked operand " << tied << " of "
                           << getStacked().size();
    auto t = tensorType(result);
    if (t.getRank() < 1) return emitOpError("has a slice result of rank 0");
    if (tied >= 0 && t != getStacked()[tied].getType())
      return emitOpError() << "ties a result of " << t << " to a stacked operand of "
                           << getStacked()[tied].getType();
    if (tied < 0 && (getDynamic() || t.getDimSize(0) != tripCount()))
      return emitOpError() << "stacks a result of " << t << " over " << tripCount() << " iterations";
    results.push_back(RankedTensorType::get(t.getShape().drop_front(), t.getElementType()));
  }
  if (sliceResults().size() != getTied().size())
    return emitOpError() << "has " << sliceResults().size() << " slice results when `tied` names "
                         << getTied().size();
  if (failed(checkTypes(*this, "carried results", carryResults().getTypes(),
                        SmallVector<Type>(getCarry().getTypes()))))
    return failure();
  if (failed(checkTypes(*this, "body arguments", body.getArgumentTypes(), arguments))) return failure();
  return checkTypes(*this, "body results", body.getResultTypes(), results);
}

// A repeat that runs no iteration gives back what it was given.
LogicalResult RepeatOp::canonicalize(RepeatOp op, PatternRewriter &rewriter) {
  if (op.getDynamic() || op.tripCount() != 0 || llvm::any_of(op.getTied(), [](int64_t t) { return t < 0; }))
    return failure();
  SmallVector<Value> results(op.getCarry());
  for (int64_t t : op.getTied()) results.push_back(op.getStacked()[t]);
  rewriter.replaceOp(op, results);
  return success();
}

LogicalResult VariableOp::verify() {
  auto type = cast<RankedTensorType>(getType());
  if (!type.hasStaticShape())
    return emitOpError() << "has the type " << type << " when its shape should be known";
  int64_t layers = getLayers();
  if (layers < 0 || int64_t(getLayerBegin()) < 0)
    return emitOpError() << "holds " << layers << " layers from " << getLayerBegin() << " on";
  if (layers > 0 && (type.getRank() < 1 || type.getDimSize(0) != layers))
    return emitOpError() << "of " << layers << " layers has the type " << type
                         << ", whose first dimension should be the layers";
  return success();
}

LogicalResult ValueAndGradOp::verifySymbolUses(SymbolTableCollection &table) {
  auto f = findFunction(*this, getFunctionAttr(), table);
  if (!f) return failure();
  if (failed(checkTypes(*this, "arguments", getArgs().getTypes(), SmallVector<Type>(f.getArgumentTypes()))))
    return failure();
  if (f.getNumResults() < 1 || cast<RankedTensorType>(f.getResultTypes()[0]).getRank() != 0 ||
      !isa<FloatType>(cast<RankedTensorType>(f.getResultTypes()[0]).getElementType()))
    return emitOpError() << "differentiates " << getFunctionAttr()
                         << ", whose first result is not a scalar float";
  SmallVector<Type> results(f.getResultTypes());
  for (int64_t i : getWrt()) {
    if (i < 0 || i >= int64_t(getArgs().size()))
      return emitOpError() << "differentiates with respect to argument " << i << " of " << getArgs().size();
    if (!isFloat(getArgs()[i]))
      return emitOpError() << "differentiates with respect to argument " << i << " of type "
                           << getArgs()[i].getType();
    results.push_back(getArgs()[i].getType());
  }
  SmallVector<Type> acc(ArrayRef<Type>(results).drop_front(f.getNumResults()));
  // Accumulators are given for all, for none, or for the first of them.
  if (getAcc().size() < acc.size()) acc.truncate(getAcc().size());
  if (failed(checkTypes(*this, "accumulators", getAcc().getTypes(), acc))) return failure();
  if (!getOnto().empty() && failed(checkTypes(*this, "values to add onto", getOnto().getTypes(),
                                              SmallVector<Type>(f.getResultTypes()))))
    return failure();
  return checkTypes(*this, "results", getResultTypes(), results);
}

LogicalResult CustomGradientOp::verifySymbolUses(SymbolTableCollection &table) {
  auto forward = findFunction(*this, getForwardAttr(), table);
  auto backward = findFunction(*this, getBackwardAttr(), table);
  if (!forward || !backward) return failure();
  if (getNumDifferentiated() < 1 || getNumDifferentiated() > getArgs().size())
    return emitOpError() << "differentiates " << getNumDifferentiated() << " of " << getArgs().size()
                         << " arguments";
  auto differentiated = getArgs().take_front(getNumDifferentiated());
  for (Value v : differentiated)
    if (!isFloat(v)) return emitOpError() << "differentiates an argument of type " << v.getType();
  SmallVector<Type> taken(differentiated.getTypes()), given(taken);
  for (int i = 0; i < 2; ++i) llvm::append_range(taken, getResultTypes());
  llvm::append_range(taken, getKept().getTypes());
  if (failed(checkTypes(*this, "arguments", getArgs().getTypes(),
                        SmallVector<Type>(forward.getArgumentTypes()))) ||
      failed(checkTypes(*this, "results", getResultTypes(), SmallVector<Type>(forward.getResultTypes()))) ||
      failed(checkTypes(*this, "backward arguments", backward.getArgumentTypes(), taken)))
    return failure();
  return checkTypes(*this, "backward results", backward.getResultTypes(), given);
}

static LogicalResult checkVariable(Operation *op, FlatSymbolRefAttr name, Type type,
                                   SymbolTableCollection &table) {
  auto v = table.lookupNearestSymbolFrom<VariableOp>(op, name);
  if (!v) return op->emitOpError() << "names " << name << ", which is not a variable";
  if (v.getType() != type)
    return op->emitOpError() << "has type " << type << " when the variable is " << v.getType();
  return success();
}
LogicalResult ReadOp::verifySymbolUses(SymbolTableCollection &table) {
  return checkVariable(*this, getVariableAttr(), getType(), table);
}
LogicalResult WriteOp::verifySymbolUses(SymbolTableCollection &table) {
  return checkVariable(*this, getVariableAttr(), getValue().getType(), table);
}

} // namespace weft::graph
