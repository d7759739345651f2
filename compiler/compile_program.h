// From a recipe's settings to an artifact: load the model, trace it, run the pipeline, generate code, pack.
#pragma once
#include "compiler/check/check_gradients.h"
#include "compiler/check/check_kernels.h"
#include "compiler/cost/memory_budget.h"
#include "compiler/kernels/substitute_kernel.h"
#include "compiler/pipeline.h"
#include "compiler/tune/tune.h"
#include "compiler/tune/tune_fusions.h"
#include "compiler/write_artifact.h"
#include "runtime/train/recipe.h"
#include <optional>

namespace weft {

struct CompileRequest {
  Recipe recipe;                  // resolved
  std::optional<Phase> stopAfter; // the module's text instead of an artifact
  std::string dumpFolder;         // a file a phase; "": none
  bool checkPhases = false;
  PhaseInputs phaseInputs;     // what it runs the entries on;
  std::string checkCheckpoint; // and a checkpoint whose variables it takes, or ""
  double checkLimit = 600;     // seconds that it may take, as estimated; 0: any
  std::function<void(const std::string &)> say = [](const std::string &) {}; // notices and warnings
  std::vector<Substitution> substitutions;
  bool checkSubstitutions = true; // against the compiler's own kernels
  std::function<void(const std::string &)> progress = [](const std::string &) {}; // as TuneRequest's
  bool entriesForTraining = true, entriesForGeneration = true;
  // Chooses what backward computes again for recipe.memory_budget; a test holds it against all choices.
  std::function<std::variant<RecomputeChoice, std::string>(int64_t, const CompileTrial &)> fit = fitMemory;
};

struct CompileReport {
  std::vector<Remark> remarks;
  std::string stopped; // the module's text, when stopped early
  double modelSeconds = 0, traceSeconds = 0, passSeconds = 0, codeSeconds = 0;
  int64_t codeFound = 0, codePieces = 0; // of the kernels' code: found compiled, and all
  int64_t parameters = 0, persistentBytes = 0, arenaBytes = 0;
  int64_t derivedBytes = 0; // of derived variables, which generating makes; not in persistentBytes
  size_t numKernels = 0;
  TuneReport tuning;
  FusionReport fusions;                     // of all stages
  std::optional<RecomputeChoice> recompute; // what run.memory_budget cost, where there is one
  double recomputeSeconds = 0;
  double checkSeconds = 0;
  GradientCheck gradients;                // of --check-phases
  std::optional<KernelCheck> kernelCheck; // likewise
  fb::ArtifactT artifact;
};

// An error's text (several lines when the compiler has more to say) or the report.
std::variant<CompileReport, std::string> compileProgram(mlir::MLIRContext &context,
                                                        const CompileRequest &request);

} // namespace weft
