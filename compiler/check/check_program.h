// --check-phases over a compilation: what is compared with what.
#pragma once
#include "compiler/check/check_gradients.h"
#include "compiler/check/check_kernels.h"
#include "compiler/pipeline.h"

namespace weft {

// Each phase that can be interpreted is held against the one before it, `differentiate` against finite
// differences, and what is behind the last of them against the kernels' code. A pipeline's stages run
// together; its gradients are those of the program with all layers, with which the stages are compared once
// both are differentiated.
class ProgramCheck {
public:
  // Of `options.inputs` the variables are taken from `checkpoint`, where that is not "".
  ProgramCheck(CheckOptions options, std::string checkpoint, int64_t numStages, bool rounds)
      : options(std::move(options)), checkpoint(std::move(checkpoint)), numStages(numStages), rounds(rounds) {
  }

  // `traced` has all layers. "", or why nothing is checked: it would take longer than `limit` seconds (0:
  // any), or the checkpoint does not fit. `say` hears what takes long.
  std::string begin(mlir::ModuleOp traced, double limit, const std::function<void(const std::string &)> &say);

  // The program with all layers, traced, where there are several stages: runs its phases up to
  // `differentiate`.
  mlir::LogicalResult checkWhole(mlir::OwningOpRef<mlir::ModuleOp> traced, PipelineOptions pipeline);

  // Stage `stage`, all of whose phases come before those of the next, behind one of them. Fails, with errors,
  // when the last stage shows a difference.
  mlir::LogicalResult afterPhase(int64_t stage, const PhaseInfo &phase, mlir::ModuleOp module,
                                 const PipelineOptions &pipeline);

  // The code of the kernels, which are called as mergeKernels says. "", or what is wrong.
  std::string checkKernels(llvm::ArrayRef<llvm::StringMap<std::string>> merged, mlir::ModuleOp kernels,
                           fb::ArtifactT &artifact);

  std::string details; // of the last difference: passes, ops
  GradientCheck gradients;
  std::optional<KernelCheck> kernels;
  double seconds = 0; // that checking took

private:
  using Modules = llvm::SmallVector<mlir::OwningOpRef<mlir::ModuleOp>>;
  mlir::LogicalResult compare(const PhaseInfo &phase, Modules modules,
                              llvm::ArrayRef<PipelineOptions> pipelines);

  CheckOptions options;
  const std::string checkpoint;
  const int64_t numStages;
  const bool rounds; // products are rounded to bf16, which is meant to change values
  std::optional<PhaseChecker> checker;
  mlir::OwningOpRef<mlir::ModuleOp> whole; // differentiated, of several stages
  std::map<Phase, Modules> behind;         // by stage
  std::vector<PipelineOptions> pipelines;  // likewise, what the stages are compiled with
  Modules before;                          // the phase that is checked next
  Modules scheduled;
  llvm::SmallVector<llvm::StringMap<std::string>> kernelNames; // by stage, as they were outlined
};

} // namespace weft
