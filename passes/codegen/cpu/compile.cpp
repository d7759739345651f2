#include "passes/codegen/cpu/compile.h"

#include "passes/codegen/cpu/bf16.h"
#include "passes/codegen/cpu/emit.h"
#include "passes/codegen/cpu/lower.h"
#include "passes/codegen/cpu/object.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/ControlFlow/IR/ControlFlow.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/LLVMIR/Transforms/Passes.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Target/LLVMIR/Dialect/Builtin/BuiltinToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Dialect/LLVMIR/LLVMToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Export.h"

#include <atomic>
#include <deque>
#include <thread>

using namespace mlir;
namespace weft::cpu {

void registerCodegenDialects(DialectRegistry &registry) {
  registry.insert<arith::ArithDialect, cf::ControlFlowDialect, LLVM::LLVMDialect, math::MathDialect,
                  scf::SCFDialect, vector::VectorDialect>();
  registerBuiltinDialectTranslation(registry);
  registerLLVMDialectTranslation(registry);
}

namespace {
// Some of the kernels, in an LLVM context of their own.
struct Part {
  llvm::LLVMContext context;
  std::unique_ptr<llvm::Module> module;
  CompileOptions options;
  std::string llvmIr, assembly, object, error;
};
constexpr size_t kMaxParts = 4;

// A scope for the locations of each function: LLVM keeps none without.
LogicalResult addLines(ModuleOp module) {
  PassManager passes(module.getContext(), ModuleOp::getOperationName());
  passes.addPass(LLVM::createDIScopeForLLVMFuncOpPass());
  return passes.run(module);
}
} // namespace

FailureOr<std::string> compileKernels(ModuleOp module, const CpuLevel &level, const CompileOptions &options) {
  MLIRContext *context = module.getContext();
  DialectRegistry registry;
  registerCodegenDialects(registry);
  context->appendDialectRegistry(registry);
  for (StringRef name : {"arith", "cf", "llvm", "math", "scf", "vector"}) context->getOrLoadDialect(name);

  // Kernels are dealt out to parts, and threads generate the parts' code: that is where the time goes. The
  // number of parts does not depend on the machine's cores, so that the bytes do not either.
  SmallVector<program::KernelOp> kernels;
  std::vector<std::string> objects;
  for (auto kernel : module.getOps<program::KernelOp>())
    if (options.replaced && options.replaced->contains(kernel.getSymName()))
      objects.push_back(options.replaced->find(kernel.getSymName())->second);
    else
      kernels.push_back(kernel);
  std::deque<Part> parts(std::clamp<size_t>(kernels.size(), 1, kMaxParts));
  for (auto [i, part] : llvm::enumerate(parts)) {
    OwningOpRef<ModuleOp> target = ModuleOp::create(module.getLoc());
    for (size_t k = i; k < kernels.size(); k += parts.size())
      if (failed(emitKernel(kernels[k], *target, level))) return failure();
    expandBf16(*target, level);
    if (failed(lowerToLLVM(*target)) || (options.lines && failed(addLines(*target))))
      return target->emitError("generated code does not convert to LLVM");
    part.module = translateModuleToLLVMIR(*target, part.context, "weft", /*disableVerification=*/true);
    if (!part.module) return target->emitError("generated code does not translate to LLVM IR");
    if (options.llvmIr) part.options.llvmIr = &part.llvmIr;
    if (options.assembly) part.options.assembly = &part.assembly;
  }
  std::atomic<size_t> next = 0;
  auto work = [&] {
    for (size_t i; (i = next++) < parts.size();) {
      auto object = compileToObject(*parts[i].module, level, parts[i].options);
      if (object)
        parts[i].object = std::move(*object);
      else
        parts[i].error = llvm::toString(object.takeError());
    }
  };
  std::vector<std::thread> threads;
  for (size_t t = 1; t < std::min<size_t>(parts.size(), std::thread::hardware_concurrency()); ++t)
    threads.emplace_back(work);
  work();
  for (std::thread &thread : threads) thread.join();

  auto failedWith = [&](const std::string &why) {
    return module.emitError() << "compiling kernels for " << level.name << ": " << why;
  };
  for (Part &part : parts) {
    if (!part.error.empty()) return failedWith(part.error);
    objects.push_back(std::move(part.object));
    if (options.llvmIr) *options.llvmIr += part.llvmIr;
    if (options.assembly) *options.assembly += part.assembly;
  }
  if (!options.link) return objects.front();
  auto image = linkSharedObject(objects);
  if (!image) return failedWith(llvm::toString(image.takeError()));
  return std::move(*image);
}

} // namespace weft::cpu
