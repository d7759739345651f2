// The model's program, traced and lowered to launches: a module a pipeline stage.
#pragma once
#include "compiler/check/check_program.h"
#include "compiler/compile_program.h"
#include "compiler/compile_settings.h"
#include "compiler/cost/memory_trial.h"
#include "compiler/diagnostic_log.h"

namespace weft {

class StageBuilder {
public:
  // Fills in what `report` says of tracing and passes.
  StageBuilder(mlir::MLIRContext &context, const CompileRequest &request, const CompileSettings &settings,
               CompileReport &report, DiagnosticLog &log);

  // What the program takes when backward computes those ops again.
  MemoryTrial tryOut(const std::vector<std::string> &recompute) { return all(recompute, Purpose::trial); }
  // The program that is kept: verified, dumped, checked and with measured fusions, as the request says.
  MemoryTrial build(const std::vector<std::string> &recompute) { return all(recompute, Purpose::final); }

  std::vector<mlir::OwningOpRef<mlir::ModuleOp>> stages; // of the last call
  llvm::StringMap<KeptOp> keptOps;                       // by op, of all calls
  ProgramCheck check;
  TuneRequest tuning; // with the seconds that are left

private:
  enum class Purpose { trial, final };
  MemoryTrial all(const std::vector<std::string> &recompute, Purpose purpose);
  // A stage. "", or what is wrong.
  std::string one(int64_t index, PipelineOptions pipeline, Purpose purpose, MemoryTrial &trial);
  mlir::OwningOpRef<mlir::ModuleOp> trace(Stage stage, std::string &problem);
  std::string beginCheck(mlir::ModuleOp first, const PipelineOptions &pipeline);
  mlir::LogicalResult afterPhase(int64_t index, const PhaseInfo &phase, mlir::ModuleOp module,
                                 const PipelineOptions &pipeline, Purpose purpose, MemoryTrial &trial);
  // Runs the phases up to tile, and puts into `pipeline` what is to be run then. "", or what is wrong.
  std::string chooseFusions(mlir::ModuleOp module, PipelineOptions &pipeline);
  std::string passProblem() const;

  mlir::MLIRContext &context;
  const CompileRequest &request;
  const CompileSettings &settings;
  CompileReport &report;
  DiagnosticLog &log;
  // Nothing that was measured enters the choice of what is computed again: two compilations would differ.
  const Calibration machine;
  ProgramOptions entries; // of this call
  // By stage, of the first trial, which has all entries; the others have train_step alone, which comes first
  // and is the same: what is computed again changes nothing else.
  std::vector<StageMemory> whole;
  double measuring = 0; // seconds of this stage's fusions
};

} // namespace weft
