#include "passes/codegen/cpu/bf16.h"

#include "passes/codegen/cpu/lanes.h"

#include "mlir/Dialect/Arith/IR/Arith.h"

using namespace mlir;
namespace weft::cpu {

static Type withElement(Type type, Type element) {
  auto vector = dyn_cast<VectorType>(type);
  return vector ? Type(vector.clone(element)) : element;
}

// f32 has bf16's bits in its upper half.
static Value widen(Builder &b, Value x) {
  Type type = x.getType(), wide = withElement(type, b.getI32Type());
  Value half = b.create<arith::BitcastOp>(withElement(type, b.getI16Type()), x);
  Value bits = b.create<arith::ShLIOp>(b.create<arith::ExtUIOp>(wide, half), constantInt(b, wide, 16));
  return b.create<arith::BitcastOp>(withElement(type, b.getF32Type()), bits);
}

static Value narrow(Builder &b, Value x, bool native) {
  Type result = withElement(x.getType(), b.getBF16Type());
  if (native && isa<VectorType>(x.getType()))
    return b.create<LLVM::CallIntrinsicOp>(result, StringRef("llvm.x86.avx512bf16.cvtneps2bf16.512"), x)
        .getResult(0);
  Type type = withElement(x.getType(), b.getI32Type());
  auto number = [&](int64_t v) { return constantInt(b, type, v); };
  Value bits = b.create<arith::BitcastOp>(type, x), sixteen = number(16);
  Value upper = b.create<arith::ShRUIOp>(bits, sixteen);
  // Half of the last place, less one where that is even already.
  Value bias = b.create<arith::AddIOp>(b.create<arith::AndIOp>(upper, number(1)), number(0x7fff));
  Value rounded = b.create<arith::ShRUIOp>(b.create<arith::AddIOp>(bits, bias), sixteen);
  Value quiet = b.create<arith::OrIOp>(upper, number(0x40));
  Value nan = b.create<arith::CmpFOp>(arith::CmpFPredicate::UNO, x, x);
  Value exponent = b.create<arith::AndIOp>(bits, number(0x7f800000));
  Value tiny = b.create<arith::CmpIOp>(arith::CmpIPredicate::eq, exponent, number(0));
  Value sign = b.create<arith::AndIOp>(upper, number(0x8000));
  Value chosen = b.create<arith::SelectOp>(nan, quiet, b.create<arith::SelectOp>(tiny, sign, rounded));
  Value half = b.create<arith::TruncIOp>(withElement(x.getType(), b.getI16Type()), chosen);
  return b.create<arith::BitcastOp>(result, half);
}

void expandBf16(ModuleOp module, const CpuLevel &level) {
  SmallVector<Operation *> casts;
  module.walk([&](Operation *op) {
    auto isBf16 = [](Value v) { return getElementTypeOrSelf(v.getType()).isBF16(); };
    if ((isa<arith::ExtFOp>(op) && isBf16(op->getOperand(0))) ||
        (isa<arith::TruncFOp>(op) && isBf16(op->getResult(0))))
      casts.push_back(op);
  });
  for (Operation *op : casts) {
    Builder b(op->getLoc(), op);
    Value x = op->getOperand(0);
    op->getResult(0).replaceAllUsesWith(isa<arith::ExtFOp>(op) ? widen(b, x) : narrow(b, x, level.bf16));
    op->erase();
  }
}

} // namespace weft::cpu
