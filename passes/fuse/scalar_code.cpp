#include "passes/fuse/scalar_code.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"

using namespace mlir;
namespace weft {

static Value constant(OpBuilder &b, Location loc, Type type, double v) {
  if (isa<FloatType>(type)) return b.create<arith::ConstantOp>(loc, b.getFloatAttr(type, v));
  return b.create<arith::ConstantOp>(loc, b.getIntegerAttr(type, int64_t(v)));
}

Value castScalar(OpBuilder &b, Location loc, Value x, Type to) {
  Type from = x.getType();
  if (from == to) return x;
  auto floatFrom = dyn_cast<FloatType>(from), floatTo = dyn_cast<FloatType>(to);
  if (floatFrom && floatTo)
    return floatFrom.getWidth() < floatTo.getWidth() ? b.create<arith::ExtFOp>(loc, to, x).getResult()
                                                     : b.create<arith::TruncFOp>(loc, to, x).getResult();
  if (floatFrom && to.isInteger(1))
    return b.create<arith::CmpFOp>(loc, arith::CmpFPredicate::UNE, x, constant(b, loc, from, 0));
  if (floatFrom) return b.create<arith::FPToSIOp>(loc, to, x);
  if (floatTo)
    return from.isInteger(1) ? b.create<arith::UIToFPOp>(loc, to, x).getResult()
                             : b.create<arith::SIToFPOp>(loc, to, x).getResult();
  if (to.isInteger(1))
    return b.create<arith::CmpIOp>(loc, arith::CmpIPredicate::ne, x, constant(b, loc, from, 0));
  if (from.getIntOrFloatBitWidth() > to.getIntOrFloatBitWidth()) return b.create<arith::TruncIOp>(loc, to, x);
  return from.isInteger(1) ? b.create<arith::ExtUIOp>(loc, to, x).getResult()
                           : b.create<arith::ExtSIOp>(loc, to, x).getResult();
}

static arith::CmpFPredicate floatPredicate(graph::Predicate p) {
  using P = arith::CmpFPredicate;
  constexpr P table[] = {P::OEQ, P::UNE, P::OLT, P::OLE, P::OGT, P::OGE};
  return table[int(p)];
}
static arith::CmpIPredicate intPredicate(graph::Predicate p) {
  using P = arith::CmpIPredicate;
  constexpr P table[] = {P::eq, P::ne, P::slt, P::sle, P::sgt, P::sge};
  return table[int(p)];
}

Value scalarCode(OpBuilder &b, Operation *op, ArrayRef<Value> x, Type type) {
  Location loc = op->getLoc();
  if (isa<graph::StopGradientOp>(op)) return x[0];
  if (isa<graph::CastOp>(op)) return castScalar(b, loc, x[0], type);
  if (isa<graph::SelectOp>(op)) return b.create<arith::SelectOp>(loc, x[0], x[1], x[2]);
  if (auto c = dyn_cast<graph::CompareOp>(op)) {
    if (isa<FloatType>(x[0].getType()))
      return b.create<arith::CmpFOp>(loc, floatPredicate(c.getPredicate()), x[0], x[1]);
    return b.create<arith::CmpIOp>(loc, intPredicate(c.getPredicate()), x[0], x[1]);
  }
  if (isa<graph::AndOp>(op)) return b.create<arith::AndIOp>(loc, x[0], x[1]);
  if (isa<graph::OrOp>(op)) return b.create<arith::OrIOp>(loc, x[0], x[1]);
  if (isa<FloatType>(type)) {
    if (isa<graph::AddOp>(op)) return b.create<arith::AddFOp>(loc, x[0], x[1]);
    if (isa<graph::SubOp>(op)) return b.create<arith::SubFOp>(loc, x[0], x[1]);
    if (isa<graph::MulOp>(op)) return b.create<arith::MulFOp>(loc, x[0], x[1]);
    if (isa<graph::DivOp>(op)) return b.create<arith::DivFOp>(loc, x[0], x[1]);
    if (isa<graph::MaxOp>(op)) return b.create<arith::MaximumFOp>(loc, x[0], x[1]);
    if (isa<graph::MinOp>(op)) return b.create<arith::MinimumFOp>(loc, x[0], x[1]);
    if (isa<graph::PowOp>(op)) return b.create<math::PowFOp>(loc, x[0], x[1]);
    if (isa<graph::NegOp>(op)) return b.create<arith::NegFOp>(loc, x[0]);
    if (isa<graph::ExpOp>(op)) return b.create<math::ExpOp>(loc, x[0]);
    if (isa<graph::LogOp>(op)) return b.create<math::LogOp>(loc, x[0]);
    if (isa<graph::SqrtOp>(op)) return b.create<math::SqrtOp>(loc, x[0]);
    if (isa<graph::RsqrtOp>(op)) return b.create<math::RsqrtOp>(loc, x[0]);
    if (isa<graph::TanhOp>(op)) return b.create<math::TanhOp>(loc, x[0]);
    if (isa<graph::SinOp>(op)) return b.create<math::SinOp>(loc, x[0]);
    if (isa<graph::CosOp>(op)) return b.create<math::CosOp>(loc, x[0]);
    if (isa<graph::AbsOp>(op)) return b.create<math::AbsFOp>(loc, x[0]);
    // σ(x) = 1 / (1 + e^-x)
    if (isa<graph::SigmoidOp>(op)) {
      Value one = constant(b, loc, type, 1);
      Value e = b.create<math::ExpOp>(loc, b.create<arith::NegFOp>(loc, x[0]));
      return b.create<arith::DivFOp>(loc, one, b.create<arith::AddFOp>(loc, one, e));
    }
  } else {
    if (isa<graph::AddOp>(op)) return b.create<arith::AddIOp>(loc, x[0], x[1]);
    if (isa<graph::SubOp>(op)) return b.create<arith::SubIOp>(loc, x[0], x[1]);
    if (isa<graph::MulOp>(op)) return b.create<arith::MulIOp>(loc, x[0], x[1]);
    if (isa<graph::DivOp>(op)) return b.create<arith::DivSIOp>(loc, x[0], x[1]);
    if (isa<graph::MaxOp>(op)) return b.create<arith::MaxSIOp>(loc, x[0], x[1]);
    if (isa<graph::MinOp>(op)) return b.create<arith::MinSIOp>(loc, x[0], x[1]);
  }
  llvm::report_fatal_error(Twine(op->getName().getStringRef()) + " has no scalar code");
}

} // namespace weft
