// The function a kernel is emitted into: its arguments, and the sizes and strides it reads from them.
#pragma once
#include "passes/codegen/cpu/lanes.h"
#include "passes/codegen/cpu/level.h"

namespace weft::cpu {

// What a kernel's code reads of its launch. How buffers and sizes arrive is the target's business: CPU
// kernels load them from two tables, CUDA kernels have an argument for each (passes/codegen/cuda).
class KernelArguments {
public:
  KernelArguments(Builder &b, mlir::Operation *kernelOp);
  virtual ~KernelArguments() = default;

  Builder &b;
  kernel::SizeLayout layout; // slots of `sizes`
  mlir::Value begin, end;    // i64: work items of this call

  // The address of buffer i, in the order of the op's own list (inputs, then results). Loaded once, at the
  // function's start.
  mlir::Value buffer(int64_t i);
  // i64. The op's own size (loops: domain) number `dim`: a constant where it is static, else loaded once at
  // the function's start.
  mlir::Value size(int64_t dim);
  // i64. Likewise an access's stride (access: inputs before results), index_stride and index_limit.
  mlir::Value stride(int64_t access, int64_t dim);
  mlir::Value indexStride(int64_t access);
  mlir::Value indexLimit(int64_t access);
  // Whether the stride is known to be `value` (0 or 1) when compiling.
  bool strideIs(int64_t access, int64_t dim, int64_t value) const;

  // i64 elements: the part of the address of `access` that indices `dims` (i64; null = 0) give. Offsets are
  // the launch's: none here.
  mlir::Value offset(int64_t access, llvm::ArrayRef<mlir::Value> dims);
  // offset() and, for an indexed access, clamp(index, 0, limit - 1) * index_stride; `index` is the value of
  // the indexing input (i32 or i64).
  mlir::Value offset(int64_t access, llvm::ArrayRef<mlir::Value> dims, mlir::Value index);

protected:
  virtual mlir::Value readBuffer(int64_t i) = 0;  // !llvm.ptr
  virtual mlir::Value readSlot(int64_t slot) = 0; // i64

private:
  mlir::Value slot(int64_t slot, int64_t known);

  llvm::SmallVector<int64_t> ownSizes; // the op's, kDynamic where they are arguments
  llvm::DenseMap<int64_t, mlir::Value> knownBuffers, knownSlots;
};

// `void name(ptr buffers, ptr sizes, i64 begin, i64 end, ptr scratch)` (runtime/kernel_abi.h) under
// construction.
class KernelFrame : public KernelArguments {
public:
  KernelFrame(Builder &b, mlir::LLVM::LLVMFuncOp function, mlir::Operation *kernelOp, const CpuLevel &level);

  mlir::LLVM::LLVMFuncOp function;
  const CpuLevel &level;
  mlir::Value scratch; // 64-byte aligned

protected:
  mlir::Value readBuffer(int64_t i) override;
  mlir::Value readSlot(int64_t slot) override;

private:
  mlir::Value buffers, sizes;
};

} // namespace weft::cpu
