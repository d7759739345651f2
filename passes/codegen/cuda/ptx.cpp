#include "passes/codegen/cuda/ptx.h"

#include "llvm/ADT/StringSwitch.h"
#include "llvm/IR/LegacyPassManager.h"
#include "llvm/MC/TargetRegistry.h"
#include "llvm/Passes/PassBuilder.h"
#include "llvm/Support/TargetSelect.h"
#include "llvm/Support/raw_ostream.h"
#include "llvm/Target/TargetMachine.h"

using namespace llvm;
namespace weft::cuda {

bool isKnownChip(StringRef chip) {
  return StringSwitch<bool>(chip).Cases("sm_80", "sm_86", "sm_89", "sm_90", "sm_90a", true).Default(false);
}

static void optimise(Module &module, TargetMachine &target) {
  LoopAnalysisManager loops;
  FunctionAnalysisManager functions;
  CGSCCAnalysisManager graphs;
  ModuleAnalysisManager modules;
  PassBuilder builder(&target);
  builder.registerModuleAnalyses(modules);
  builder.registerCGSCCAnalyses(graphs);
  builder.registerFunctionAnalyses(functions);
  builder.registerLoopAnalyses(loops);
  builder.crossRegisterProxies(loops, functions, graphs, modules);
  builder.buildPerModuleDefaultPipeline(OptimizationLevel::O2).run(module, modules);
}

Expected<std::string> emitPtx(Module &module, StringRef chip) {
  static const bool initialised = [] {
    LLVMInitializeNVPTXTargetInfo();
    LLVMInitializeNVPTXTarget();
    LLVMInitializeNVPTXTargetMC();
    LLVMInitializeNVPTXAsmPrinter();
    return true;
  }();
  (void)initialised;
  std::string triple = "nvptx64-nvidia-cuda", error;
  const Target *registered = TargetRegistry::lookupTarget(triple, error);
  if (!registered) return createStringError(inconvertibleErrorCode(), error);
  TargetOptions options;
  options.AllowFPOpFusion =
      FPOpFusion::Strict; // a fused multiply-add where the region says so, and nowhere else
  std::unique_ptr<TargetMachine> target(registered->createTargetMachine(
      triple, chip, "+ptx80", options, Reloc::PIC_, std::nullopt, CodeGenOptLevel::Default));
  module.setTargetTriple(triple);
  module.setDataLayout(target->createDataLayout());
  optimise(module, *target);
  SmallString<0> text;
  raw_svector_ostream stream(text);
  legacy::PassManager passes;
  if (target->addPassesToEmitFile(passes, stream, nullptr, CodeGenFileType::AssemblyFile))
    return createStringError(inconvertibleErrorCode(), "LLVM's NVPTX target cannot write PTX");
  passes.run(module);
  return std::string(text);
}

} // namespace weft::cuda
