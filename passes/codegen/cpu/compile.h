// From outlined kernels to a shared object, in process but for the linker.
#pragma once
#include "mlir/IR/BuiltinOps.h"
#include "passes/codegen/cpu/level.h"
#include <string>

namespace weft::cpu {

struct CompileOptions {
  // Filled with the LLVM IR and the assembly where set (weftc --dump-phases).
  std::string *llvmIr = nullptr;
  std::string *assembly = nullptr;
};

// Compiles every program.kernel of `module` for `level`: the bytes of an ELF shared object that needs no
// library and exports one symbol a kernel. Equal input gives equal bytes. Errors are diagnostics on the
// kernel's op.
mlir::FailureOr<std::string> compileKernels(mlir::ModuleOp module, const CpuLevel &level,
                                            const CompileOptions &options = {});

// The dialects the generated code uses; a context that compiles kernels loads them.
void registerCodegenDialects(mlir::DialectRegistry &registry);

} // namespace weft::cpu
