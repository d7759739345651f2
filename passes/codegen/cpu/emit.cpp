#include "passes/codegen/cpu/emit.h"

#include "passes/codegen/cpu/attention.h"
#include "passes/codegen/cpu/loops.h"
#include "passes/codegen/cpu/matmul.h"
#include "passes/codegen/cpu/sort.h"

using namespace mlir;
namespace weft::cpu {

Operation *kernelOpOf(program::KernelOp kernel) {
  for (Operation &op : kernel.getBody().front())
    if (kernel::isKernel(&op)) return &op;
  return nullptr;
}

LogicalResult emitKernel(program::KernelOp kernel, ModuleOp target, const CpuLevel &level) {
  Operation *op = kernelOpOf(kernel);
  if (!op) return kernel.emitOpError("holds no kernel op");
  Builder b(op->getLoc(), target.getContext());
  b.setInsertionPointToEnd(target.getBody());
  Type pointer = LLVM::LLVMPointerType::get(b.getContext()), i64 = b.getI64Type();
  auto type = LLVM::LLVMFunctionType::get(LLVM::LLVMVoidType::get(b.getContext()),
                                          {pointer, pointer, i64, i64, pointer});
  auto function = b.create<LLVM::LLVMFuncOp>(kernel.getSymName(), type);
  function.setPassthroughAttr(b.getArrayAttr({b.getStringAttr("nounwind")}));
  Block *entry = function.addEntryBlock(b);
  b.setInsertionPointToEnd(entry);
  KernelFrame frame(b, function, op, level);
  LogicalResult emitted = failure();
  if (auto loops = dyn_cast<kernel::LoopsOp>(op)) emitted = emitLoops(loops, frame);
  if (auto matmul = dyn_cast<kernel::MatmulOp>(op)) emitted = emitMatmul(matmul, frame);
  if (auto attention = dyn_cast<kernel::AttentionOp>(op)) emitted = emitAttention(attention, frame);
  if (auto sort = dyn_cast<kernel::SortOp>(op)) emitted = emitSort(sort, frame);
  if (failed(emitted)) return failure();
  b.setInsertionPointToEnd(&function.getBody().back());
  b.create<LLVM::ReturnOp>(ValueRange());
  return success();
}

int64_t scratchBytes(program::KernelOp kernel) {
  Operation *op = kernelOpOf(kernel);
  if (auto matmul = dyn_cast_or_null<kernel::MatmulOp>(op)) return matmulScratchBytes(matmul);
  if (auto attention = dyn_cast_or_null<kernel::AttentionOp>(op)) return attentionScratchBytes(attention);
  return 0;
}

} // namespace weft::cpu
