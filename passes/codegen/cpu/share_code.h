// Kernels that differ in numbers alone share their code. Most of a program's products do: schedules give them
// other blocks, which are other limits of loops and other places in scratch, and nothing else.
#pragma once
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/IR/BuiltinOps.h"

namespace weft::cpu {

// Functions and tables that refer to one another; or a helper, of no kernel: a function of hidden visibility
// that kernels call, of which each module whose kernels do has a copy at first.
struct CodeUnit {
  llvm::SmallVector<mlir::Operation *> symbols;
  llvm::SmallVector<llvm::StringRef> kernels; // in the order of the modules
  size_t size = 0;                            // ops
};

// Finds, in modules of the LLVM dialect that hold one function a kernel, those whose functions have the same
// ops but for constants of type i64. Each becomes a jump to one function of all, with the address of a table
// of the constants that are not the same in all (merging functions by parameters, as Swift's compiler does).
// `only`: the name of a kernel whose unit alone is wanted, without the others' functions; "" = all. Units
// come in the order of their first kernels.
llvm::SmallVector<CodeUnit> shareCode(llvm::ArrayRef<mlir::ModuleOp> modules, llvm::StringRef only);

// Makes the helpers local to the one module that units go to.
void keepHelpers(llvm::ArrayRef<CodeUnit> units);

// Declares in `module` the helpers that its functions call and it has not.
void declareHelpers(mlir::ModuleOp module);

} // namespace weft::cpu
