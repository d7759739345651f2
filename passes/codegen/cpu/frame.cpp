#include "passes/codegen/cpu/frame.h"

#include "mlir/Dialect/Arith/IR/Arith.h"

using namespace mlir;
namespace weft::cpu {

KernelArguments::KernelArguments(Builder &b, Operation *kernelOp)
    : b(b), layout(kernelOp), ownSizes(kernel::sizesOf(kernelOp)) {}

Value KernelArguments::buffer(int64_t i) {
  Value &known = knownBuffers[i];
  if (!known) known = readBuffer(i);
  return known;
}

Value KernelArguments::slot(int64_t slot, int64_t literal) {
  if (literal != kernel::kDynamic) return constantI64(b, literal);
  Value &known = knownSlots[slot];
  if (!known) known = readSlot(slot);
  return known;
}

KernelFrame::KernelFrame(Builder &b, LLVM::LLVMFuncOp function, Operation *kernelOp, const CpuLevel &level)
    : KernelArguments(b, kernelOp), function(function), level(level) {
  Block &entry = function.getBody().front();
  buffers = entry.getArgument(0);
  sizes = entry.getArgument(1);
  begin = entry.getArgument(2);
  end = entry.getArgument(3);
  scratch = entry.getArgument(4);
}

Value KernelFrame::readBuffer(int64_t i) {
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(&function.getBody().front());
  Type pointer = buffers.getType();
  Value place = b.create<LLVM::GEPOp>(pointer, pointer, buffers, ArrayRef<LLVM::GEPArg>{int32_t(i)});
  return b.create<LLVM::LoadOp>(pointer, place, 8);
}

Value KernelFrame::readSlot(int64_t slot) {
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(&function.getBody().front());
  Value place =
      b.create<LLVM::GEPOp>(sizes.getType(), b.getI64Type(), sizes, ArrayRef<LLVM::GEPArg>{int32_t(slot)});
  return b.create<LLVM::LoadOp>(b.getI64Type(), place, 8);
}

Value KernelArguments::size(int64_t dim) { return slot(dim, ownSizes[dim]); }

Value KernelArguments::stride(int64_t access, int64_t dim) {
  return slot(layout.stride(access, dim), layout.accesses[access].getStrides()[dim]);
}

Value KernelArguments::indexStride(int64_t access) {
  return slot(layout.indexStride(access), layout.accesses[access].getIndexStride());
}

Value KernelArguments::indexLimit(int64_t access) {
  return slot(layout.indexLimit(access), layout.accesses[access].getIndexLimit());
}

bool KernelArguments::strideIs(int64_t access, int64_t dim, int64_t value) const {
  return layout.accesses[access].getStrides()[dim] == value;
}

Value KernelArguments::offset(int64_t access, ArrayRef<Value> dims) {
  Value sum = constantI64(b, 0);
  for (auto [dim, index] : llvm::enumerate(dims))
    if (index && !strideIs(access, dim, 0)) sum = addI64(b, sum, mulI64(b, index, stride(access, dim)));
  return sum;
}

Value KernelArguments::offset(int64_t access, ArrayRef<Value> dims, Value index) {
  Value sum = offset(access, dims);
  if (layout.accesses[access].getIndex() < 0) return sum;
  if (!index.getType().isInteger(64)) index = b.create<arith::ExtSIOp>(b.getI64Type(), index);
  Value last = b.create<arith::SubIOp>(indexLimit(access), constantI64(b, 1));
  index = b.create<arith::MaxSIOp>(minI64(b, index, last), constantI64(b, 0));
  return addI64(b, sum, mulI64(b, index, indexStride(access)));
}

} // namespace weft::cpu
