// The table of contents of the compiler: every phase, in order.
#pragma once
#include "mlir/IR/BuiltinOps.h"
#include "mlir/Support/LogicalResult.h"
#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/STLFunctionalExtras.h"
#include <functional>
#include <string>

namespace weft {

enum class Phase {
  trace,
  simplify,
  precision,
  hoist,
  differentiate,
  segment,
  tidy,
  derive,
  tile,
  fuse,
  schedule,
  lower,
  plan
};

struct PhaseInfo {
  Phase phase;
  const char *name;        // --stop-after=NAME
  const char *description; // one sentence
};
llvm::ArrayRef<PhaseInfo> phases();
// Nothing when there is no phase of that name.
const PhaseInfo *findPhase(llvm::StringRef name);

struct PipelineOptions {
  int64_t shardsPerMicro = 1;         // virtual shards inside a micro-batch
  int64_t threads = 2;                // to find work for
  std::vector<std::string> recompute; // ops whose values backward computes again (passes.td, differentiate)
  std::string cpuLevel = "avx512";    // whose nominal machine fusions are chosen for
  std::string bf16Unit;               // the dot unit of bf16 products; "": everything is f32
  std::vector<std::string> behind, apart; // values that are computed behind their product, or not, whatever
                                          // the model says (passes.td, fuse-kernels)
  bool reportFusions = false;             // lists on the module what was chosen
  int64_t tileAtLeast = 16 << 20;         // bytes from which a value is computed in blocks of rows,
  int64_t tileRows = 512;                 // and rows of a block
  bool verify = true;                     // the module behind each pass
  Phase firstPhase = Phase::trace, stopAfter = Phase::plan;
  // Called with the module after each phase, in order; a failure ends the pipeline.
  std::function<mlir::LogicalResult(const PhaseInfo &, mlir::ModuleOp)> afterPhase;
};

// Runs the phases after `trace` on a traced module, in place, or those from `firstPhase` on.
mlir::LogicalResult runPipeline(mlir::ModuleOp module, const PipelineOptions &options);

// Runs the passes of one phase alone, and calls `afterPass` with the name of each (weft-opt's) as it ends.
mlir::LogicalResult runPhase(mlir::ModuleOp module, Phase phase, const PipelineOptions &options,
                             llvm::function_ref<void(llvm::StringRef, mlir::ModuleOp)> afterPass);

// Loads every dialect the pipeline makes.
void registerDialects(mlir::DialectRegistry &registry);

} // namespace weft
