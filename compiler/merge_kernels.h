// Kernels of several stages' modules, each once.
#pragma once
#include "mlir/IR/BuiltinOps.h"

namespace weft {
// Makes every launch of `modules` name a kernel of the first module: one of equal content, or a copy under a
// name of its own.
void mergeKernels(llvm::ArrayRef<mlir::ModuleOp> modules);
} // namespace weft
