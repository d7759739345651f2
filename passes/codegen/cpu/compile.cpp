#include "passes/codegen/cpu/compile.h"

#include "passes/codegen/cpu/emit.h"
#include "passes/codegen/cpu/lower.h"
#include "passes/codegen/cpu/object.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/ControlFlow/IR/ControlFlow.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/Target/LLVMIR/Dialect/Builtin/BuiltinToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Dialect/LLVMIR/LLVMToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Export.h"

using namespace mlir;
namespace weft::cpu {

void registerCodegenDialects(DialectRegistry &registry) {
  registry.insert<arith::ArithDialect, cf::ControlFlowDialect, LLVM::LLVMDialect, math::MathDialect,
                  scf::SCFDialect, vector::VectorDialect>();
  registerBuiltinDialectTranslation(registry);
  registerLLVMDialectTranslation(registry);
}

FailureOr<std::string> compileKernels(ModuleOp module, const CpuLevel &level, const CompileOptions &options) {
  MLIRContext *context = module.getContext();
  DialectRegistry registry;
  registerCodegenDialects(registry);
  context->appendDialectRegistry(registry);
  for (StringRef name : {"arith", "cf", "llvm", "math", "scf", "vector"}) context->getOrLoadDialect(name);

  OwningOpRef<ModuleOp> target = ModuleOp::create(module.getLoc());
  for (auto kernel : module.getOps<program::KernelOp>())
    if (failed(emitKernel(kernel, *target, level))) return failure();
  if (failed(lowerToLLVM(*target))) return target->emitError("generated code does not convert to LLVM");

  llvm::LLVMContext llvmContext;
  std::unique_ptr<llvm::Module> llvmModule =
      translateModuleToLLVMIR(*target, llvmContext, "weft", /*disableVerification=*/true);
  if (!llvmModule) return target->emitError("generated code does not translate to LLVM IR");
  auto object = compileToSharedObject(*llvmModule, level, options);
  if (!object)
    return module.emitError() << "compiling kernels for " << level.name << ": "
                              << llvm::toString(object.takeError());
  return std::move(*object);
}

} // namespace weft::cpu
