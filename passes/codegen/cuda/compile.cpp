#include "passes/codegen/cuda/compile.h"

#include "passes/codegen/cpu/compile.h"
#include "passes/codegen/cpu/emit.h"
#include "passes/codegen/cpu/lower.h"
#include "passes/codegen/cuda/loops.h"
#include "passes/codegen/cuda/ptx.h"

#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/Target/LLVMIR/Dialect/NVVM/NVVMToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Export.h"

using namespace mlir;
namespace weft::cuda {

FailureOr<std::string> compileToPtx(ModuleOp module, StringRef chip) {
  if (!isKnownChip(chip))
    return module.emitError() << "chip is '" << chip
                              << "' when it should be sm_80, sm_86, sm_89, sm_90 or sm_90a";
  MLIRContext *context = module.getContext();
  DialectRegistry registry;
  cpu::registerCodegenDialects(registry);
  registry.insert<NVVM::NVVMDialect>();
  registerNVVMDialectTranslation(registry);
  context->appendDialectRegistry(registry);
  for (StringRef name : {"arith", "cf", "llvm", "math", "nvvm", "scf", "vector"})
    context->getOrLoadDialect(name);

  OwningOpRef<ModuleOp> target = ModuleOp::create(module.getLoc());
  for (auto kernel : module.getOps<program::KernelOp>()) {
    auto loops = dyn_cast_or_null<kernel::LoopsOp>(cpu::kernelOpOf(kernel));
    if (!loops) {
      Operation *op = cpu::kernelOpOf(kernel);
      return (op ? op : kernel.getOperation())->emitOpError("has no CUDA code yet: only kernel.loops has");
    }
    if (failed(emitLoops(loops, kernel.getSymName(), *target))) return failure();
  }
  if (failed(cpu::lowerToLLVM(*target))) return target->emitError("generated code does not convert to LLVM");
  llvm::LLVMContext llvmContext;
  std::unique_ptr<llvm::Module> llvmModule = translateModuleToLLVMIR(*target, llvmContext, "weft");
  if (!llvmModule) return target->emitError("generated code does not translate to LLVM IR");
  auto text = emitPtx(*llvmModule, chip);
  if (!text)
    return module.emitError() << "compiling kernels for " << chip << ": " << llvm::toString(text.takeError());
  return std::move(*text);
}

} // namespace weft::cuda
