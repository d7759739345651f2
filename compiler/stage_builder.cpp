#include "compiler/stage_builder.h"
#include "compiler/cost/step_cost.h"
#include "mlir/IR/AsmState.h"
#include "mlir/IR/Verifier.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/raw_ostream.h"
#include <chrono>
#include <filesystem>

using namespace mlir;
namespace weft {
namespace {
namespace fs = std::filesystem;

constexpr double kFusionsPart = 0.5; // of the time to tune in; the rest is for schedules

double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

LogicalResult writeFile(const fs::path &path, ModuleOp module) {
  std::error_code error;
  llvm::raw_fd_ostream out(path.string(), error);
  if (error) return module.emitError() << "cannot write " << path.string() << ": " << error.message();
  OpPrintingFlags flags;
  flags.enableDebugInfo();
  module->print(out, flags);
  return success();
}

CheckOptions checkOptions(const CompileRequest &request) {
  CheckOptions options;
  options.inputs = request.phaseInputs;
  return options;
}

} // namespace

StageBuilder::StageBuilder(MLIRContext &context, const CompileRequest &request,
                           const CompileSettings &settings, CompileReport &report, DiagnosticLog &log)
    : check(checkOptions(request), request.checkCheckpoint, request.recipe.pipeline,
            !settings.bf16Unit.empty()),
      tuning{double(request.recipe.run.tune), settings.threads, settings.levels,
             settings.microBatches,           request.say,      request.progress},
      context(context), request(request), settings(settings), report(report), log(log),
      machine(NominalMachine(settings.levels.back(), settings.passThreads)) {}

OwningOpRef<ModuleOp> StageBuilder::trace(Stage stage, std::string &problem) {
  const ModelInfo &model = *settings.model.info;
  OwningOpRef<ModuleOp> module = ModuleOp::create(UnknownLoc::get(&context));
  GraphBuilder builder(*module, settings.layout, stage);
  Builder *previous = set_builder(&builder);
  try {
    build_program(model, entries);
    if (model.hugging_face_config)
      report.artifact.config_json = model.hugging_face_config(settings.program.config);
  } catch (const ModelError &e) {
    problem = e.what();
  } catch (const std::exception &e) {
    problem = settings.model.file + ": the model's code ended with an exception: " + e.what();
  } catch (...) {
    problem = settings.model.file + ": the model's code ended with an exception that is no std::exception";
  }
  set_builder(previous);
  if (problem.empty() && failed(verify(*module))) problem = log.errors;
  if (!problem.empty()) module = nullptr;
  return module;
}

std::string StageBuilder::passProblem() const {
  return (log.errors.empty() ? std::string("the pipeline failed") : log.errors) +
         (check.details.empty() ? "" : "\n" + check.details);
}

MemoryTrial StageBuilder::all(const std::vector<std::string> &recompute, Purpose purpose) {
  MemoryTrial trial;
  stages.clear();
  report.remarks.clear();
  log.errors.clear();
  report.parameters = 0;
  const bool final = purpose == Purpose::final, allEntries = final || whole.empty();
  entries = settings.program;
  entries.evaluate &= allEntries;
  entries.generate &= allEntries;
  PipelineOptions pipeline;
  pipeline.shardsPerMicro = settings.layout.shardsPerMicro;
  pipeline.bf16Unit = settings.bf16Unit;
  pipeline.cpuLevel = settings.levels.back();
  pipeline.threads = settings.passThreads;
  pipeline.recompute = recompute;
  pipeline.verify = final; // what is chosen is built once more
  if (final) pipeline.stopAfter = request.stopAfter.value_or(Phase::plan);
  std::vector<StageMemory> memories;
  for (int64_t index = 0; index < request.recipe.pipeline; ++index) {
    trial.error = one(index, pipeline, purpose, trial);
    if (!trial.error.empty()) return trial;
    memories.push_back(memoryOf(*stages.back()));
    if (!allEntries)
      memories.back() = {whole[index].persistent, memories.back().training, whole[index].others};
    trial.bytes = std::max(trial.bytes, memories.back().bytes());
    // Stages take turns.
    if (!final) trial.ns += predictEntryNs(*stages.back(), "train_step", machine, settings.microBatches);
  }
  if (allEntries && !final) whole = memories;
  return trial;
}

std::string StageBuilder::one(int64_t index, PipelineOptions pipeline, Purpose purpose, MemoryTrial &trial) {
  const bool final = purpose == Purpose::final;
  double start = now();
  log.phase = "trace";
  std::string problem;
  OwningOpRef<ModuleOp> module = trace({index, request.recipe.pipeline}, problem);
  if (!module) return problem;
  report.traceSeconds += now() - start;
  for (auto v : module->getOps<graph::VariableOp>())
    if (v.getKind() == graph::VariableKind::parameter)
      report.parameters += cast<RankedTensorType>(v.getType()).getNumElements();

  if (final && request.checkPhases && index == 0)
    if (problem = beginCheck(*module, pipeline); !problem.empty()) return problem;
  start = now();
  const double checked = check.seconds;
  measuring = 0;
  pipeline.afterPhase = [&](const PhaseInfo &phase, ModuleOp m) {
    return afterPhase(index, phase, m, pipeline, purpose, trial);
  };
  if (final && pipeline.stopAfter >= Phase::fuse)
    if (problem = chooseFusions(*module, pipeline); !problem.empty()) return problem;
  if (failed(runPipeline(*module, pipeline))) return passProblem();
  report.passSeconds += now() - start - measuring - (check.seconds - checked);
  if (final && request.stopAfter) {
    llvm::raw_string_ostream out(report.stopped);
    module->print(out);
  }
  stages.push_back(std::move(module));
  return "";
}

std::string StageBuilder::beginCheck(ModuleOp first, const PipelineOptions &pipeline) {
  std::string problem;
  OwningOpRef<ModuleOp> uncut;
  if (request.recipe.pipeline > 1 && !(uncut = trace({0, 1}, problem))) return problem;
  problem = check.begin(uncut ? *uncut : first, request.checkLimit, request.say);
  if (!problem.empty()) return problem;
  auto remarks = report.remarks;
  if (uncut && failed(check.checkWhole(std::move(uncut), pipeline))) return passProblem();
  report.remarks = std::move(remarks); // not those about what is not compiled
  return "";
}

LogicalResult StageBuilder::afterPhase(int64_t index, const PhaseInfo &phase, ModuleOp module,
                                       const PipelineOptions &pipeline, Purpose purpose, MemoryTrial &trial) {
  const size_t number = &phase - phases().begin();
  log.phase = number + 1 < phases().size() ? phases()[number + 1].name : "code";
  for (const KeptOp &op : takeKept(module, machine, settings.bf16Unit)) {
    trial.kept.push_back(op.kept);
    keptOps.try_emplace(op.kept.op, op);
  }
  if (purpose == Purpose::trial) return success();
  if (!request.dumpFolder.empty()) {
    std::string name = (number < 10 ? "0" : "") + std::to_string(number) + "-" + phase.name +
                       (request.recipe.pipeline > 1 ? ".stage" + std::to_string(index) : "") + ".mlir";
    if (failed(writeFile(fs::path(request.dumpFolder) / name, module))) return failure();
  }
  return request.checkPhases ? check.afterPhase(index, phase, module, pipeline) : success();
}

std::string StageBuilder::chooseFusions(ModuleOp module, PipelineOptions &pipeline) {
  const Phase end = std::exchange(pipeline.stopAfter, Phase::tile);
  if (failed(runPipeline(module, pipeline))) return passProblem();
  const double start = now();
  // Without training there is no memory budget.
  const int64_t budget = request.entriesForTraining ? request.recipe.memory_budget : 0;
  auto fits = [&](ModuleOp planned) { return memoryOf(planned).bytes() <= budget; };
  TuneRequest part = tuning;
  part.seconds = kFusionsPart * double(request.recipe.run.tune) / double(request.recipe.pipeline);
  auto fusions =
      tuneFusions(module, pipeline, part, budget > 0 ? fits : llvm::function_ref<bool(ModuleOp)>());
  if (auto *problem = std::get_if<std::string>(&fusions))
    return *problem + (log.errors.empty() ? "" : "\n" + log.errors);
  const FusionReport &found = std::get<FusionReport>(fusions);
  report.fusions.add(found);
  if (tuning.seconds > 0) { // else looking things up is a part of compiling
    measuring = now() - start;
    tuning.seconds = std::max(tuning.seconds - measuring, 1e-3);
  }
  pipeline.behind = found.behind;
  pipeline.apart = found.apart;
  pipeline.firstPhase = Phase::fuse;
  pipeline.stopAfter = end;
  return "";
}

} // namespace weft
