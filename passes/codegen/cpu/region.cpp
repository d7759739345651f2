#include "passes/codegen/cpu/region.h"

#include "passes/codegen/cpu/vector_math.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"

using namespace mlir;
namespace weft::cpu {

// Ops that LLVM would turn into calls, or that differ between levels.
static LogicalResult checkArith(Operation *op) {
  if (auto flagged = dyn_cast<arith::ArithFastMathInterface>(op))
    if (auto flags = flagged.getFastMathFlagsAttr(); flags && flags.getValue() != arith::FastMathFlags::none)
      return op->emitOpError("has fast-math flags: with them the bits would depend on the level");
  if (isa<arith::RemFOp>(op)) return op->emitOpError("has no CPU code: it would need libm's fmod");
  if (isa<arith::FPToUIOp, arith::UIToFPOp>(op)) {
    unsigned width =
        (isa<arith::FPToUIOp>(op) ? op->getResult(0) : op->getOperand(0)).getType().getIntOrFloatBitWidth();
    if (isa<arith::FPToUIOp>(op) || width == 64)
      return op->emitOpError("of 64 bits or to unsigned differs between CPU levels: use signed integers");
  }
  // bf16 is a type to keep values in: a level converts it from and to f32, and computes nothing in it.
  auto isBf16 = [](Value v) { return getElementTypeOrSelf(v.getType()).isBF16(); };
  auto isF32 = [](Value v) { return getElementTypeOrSelf(v.getType()).isF32(); };
  bool touches = llvm::any_of(op->getOperands(), isBf16) || llvm::any_of(op->getResults(), isBf16);
  bool converts = (isa<arith::ExtFOp>(op) && isF32(op->getResult(0))) ||
                  (isa<arith::TruncFOp>(op) && isF32(op->getOperand(0)));
  if (touches && !converts)
    return op->emitOpError("computes in bf16, which is only converted from and to f32: cast to f32 first");
  return success();
}

LogicalResult emitRegionOp(Builder &b, Operation *op, IRMapping &map) {
  b.setLoc(op->getLoc());
  if (auto literal = dyn_cast<arith::ConstantOp>(op)) {
    map.map(literal.getResult(), b.create<arith::ConstantOp>(literal.getValue()));
    return success();
  }
  bool isMath = isa<math::MathDialect>(op->getDialect());
  if (!OpTrait::hasElementwiseMappableTraits(op) || !(isMath || isa<arith::ArithDialect>(op->getDialect())))
    return op->emitOpError("is not elementwise arith or math: a kernel's region holds nothing else");
  if (failed(checkArith(op))) return failure();

  SmallVector<Value> operands;
  bool anyVector = false;
  for (Value operand : op->getOperands()) {
    operands.push_back(map.lookup(operand));
    anyVector |= isa<VectorType>(operands.back().getType());
  }
  if (anyVector)
    for (Value &operand : operands) operand = splat(b, operand);
  if (isMath) {
    FailureOr<Value> expanded = expandMath(b, op, operands);
    if (failed(expanded)) return failure();
    if (*expanded) {
      map.map(op->getResult(0), *expanded);
      return success();
    }
  }
  SmallVector<Type> types;
  for (Type type : op->getResultTypes()) types.push_back(anyVector ? Type(laneType(type)) : type);
  OperationState state(op->getLoc(), op->getName(), operands, types,
                       op->getDiscardableAttrDictionary().getValue());
  state.propertiesAttr = op->getPropertiesAsAttribute();
  Operation *emitted = b.create(state);
  map.map(op->getResults(), emitted->getResults());
  return success();
}

LogicalResult emitRegion(Builder &b, Block &body, IRMapping &map, llvm::function_ref<Value(int64_t)> index) {
  for (Operation &op : body.without_terminator()) {
    if (auto indexOp = dyn_cast<kernel::IndexOp>(op)) {
      map.map(indexOp.getResult(), index(indexOp.getDimension()));
      continue;
    }
    if (failed(emitRegionOp(b, &op, map))) return failure();
  }
  return success();
}

Value lanesOf(Builder &b, const IRMapping &map, Value value) { return splat(b, map.lookup(value)); }

} // namespace weft::cpu
