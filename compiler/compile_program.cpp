#include "compiler/compile_program.h"
#include "compiler/compile_settings.h"
#include "compiler/diagnostic_log.h"
#include "compiler/kernels/kernel_source.h"
#include "compiler/kernels/merge_kernels.h"
#include "compiler/kernels/object_cache.h"
#include "compiler/stage_builder.h"
#include <chrono>
#include <filesystem>

using namespace mlir;
namespace weft {
namespace {

double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

} // namespace

std::variant<CompileReport, std::string> compileProgram(MLIRContext &context, const CompileRequest &request) {
  const Recipe &recipe = request.recipe;
  CompileReport report;
  auto resolved = resolveSettings(recipe, request.entriesForTraining, request.entriesForGeneration);
  if (auto *problem = std::get_if<std::string>(&resolved)) return *problem;
  const CompileSettings &settings = std::get<CompileSettings>(resolved);
  report.modelSeconds = settings.model.compileSeconds;
  if (!request.dumpFolder.empty()) {
    std::error_code error;
    std::filesystem::create_directories(request.dumpFolder, error);
    if (error) return "cannot make " + request.dumpFolder + ": " + error.message();
  }
  DiagnosticLog log(context, report.remarks);
  StageBuilder builder(context, request, settings, report, log);
  std::vector<std::string> recompute;
  if (recipe.memory_budget > 0 && request.entriesForTraining) {
    double start = now();
    auto fit = request.fit(recipe.memory_budget,
                           [&](const std::vector<std::string> &ops) { return builder.tryOut(ops); });
    if (auto *problem = std::get_if<std::string>(&fit)) return *problem;
    report.recompute = std::get<RecomputeChoice>(fit);
    report.recomputeSeconds = now() - start;
    recompute = report.recompute->again;
  }
  MemoryTrial built = builder.build(recompute);
  if (!built.error.empty()) return built.error;
  if (report.recompute && report.fusions.faster > 0)
    report.recompute->bytes = built.bytes; // within the budget
  if (report.recompute && !request.stopAfter && built.bytes != report.recompute->bytes)
    return "the program takes " + std::to_string(built.bytes) + " bytes when it was tried with " +
           std::to_string(report.recompute->bytes) +
           "\nhint: this is a mistake of the compiler's; without a memory budget it does not try";
  if (report.recompute)
    for (const RecomputedValue &value : report.recompute->values)
      if (auto it = builder.keptOps.find(value.op); it != builder.keptOps.end())
        report.remarks.push_back({"memory-budget", "remark",
                                  remarkOf(value, it->second, report.recompute->wholeNs), it->second.where});
  llvm::append_range(report.remarks, report.fusions.remarks);
  if (request.stopAfter) return report;
  std::vector<ModuleOp> modules;
  for (auto &stage : builder.stages) modules.push_back(*stage);
  const auto merged = mergeKernels(modules);
  log.phase = "tune";
  auto tuned = tuneKernels(modules, builder.tuning);
  if (auto *problem = std::get_if<std::string>(&tuned)) return *problem;
  report.tuning = std::move(std::get<TuneReport>(tuned));
  llvm::append_range(report.remarks, report.tuning.remarks);
  std::vector<Replaced> replaced;
  if (std::string problem = substituteKernels(modules, request.substitutions, settings.levels, replaced);
      !problem.empty())
    return problem;

  double start = now();
  log.phase = "code";
  ArtifactInputs inputs;
  inputs.model = settings.model.info->name;
  inputs.configJson = report.artifact.config_json;
  inputs.levels = settings.levels;
  inputs.remarks = report.remarks;
  inputs.substituted = substitutedObjects(replaced);
  inputs.tuned = report.tuning.ofKernels;
  auto option = [&](const char *key, auto value) {
    if constexpr (std::is_integral_v<decltype(value)>)
      inputs.options.push_back({key, std::to_string(value)});
    else
      inputs.options.push_back({key, value});
  };
  option("batch", recipe.train.batch);
  option("micro_batch", recipe.train.micro_batch);
  option("seq", recipe.train.seq);
  option("shards", recipe.train.shards);
  option("data_parallel", recipe.data_parallel);
  option("pipeline", recipe.pipeline);
  option("precision", recipe.train.precision);
  option("context", settings.program.context ? settings.program.context : settings.program.seq);
  option("generate_batch", recipe.run.generate_batch);
  option("absorbed", std::string(recipe.run.absorbed ? "true" : "false"));
  option("target", recipe.run.target);
  option("dot_unit", settings.bf16Unit.empty() ? std::string("fma") : settings.bf16Unit);
  option("config", recipe.model.config);
  if (!recipe.run.memory_budget.empty()) option("memory_budget", recipe.run.memory_budget);
  KernelObjects objects(KernelObjects::userFolder());
  inputs.objects = &objects;
  auto artifact = makeArtifact(modules, inputs);
  objects.prune();
  report.codeFound = objects.found();
  report.codePieces = objects.asked();
  if (failed(artifact)) return log.errors.empty() ? std::string("code generation failed") : log.errors;
  report.artifact = std::move(*artifact);
  std::string problem = checkSubstituted(
      report.artifact, modules.front(), replaced, request.checkSubstitutions,
      [&](const Replaced &r, const std::string &what) {
        report.remarks.push_back({"code", "remark", "kernel " + r.name + " is substituted: " + what,
                                  findKernel(modules.front(), r.name).getLoc()});
        auto remark = std::make_unique<fb::RemarkT>();
        remark->pass = "code";
        remark->kind = "remark";
        remark->message = report.remarks.back().message;
        for (auto &kernel : report.artifact.kernels)
          if (kernel->name == r.name && !kernel->lines.empty()) remark->line = kernel->lines.front();
        report.artifact.remarks.push_back(std::move(remark));
      });
  if (!problem.empty()) return problem;
  report.codeSeconds = now() - start;
  if (request.checkPhases) {
    if (problem = builder.check.checkKernels(merged, modules.front(), report.artifact); !problem.empty())
      return problem;
    report.gradients = builder.check.gradients;
    report.kernelCheck = builder.check.kernels;
    report.checkSeconds = builder.check.seconds;
  }
  report.numKernels = report.artifact.kernels.size();
  for (auto &stage : report.artifact.stages) {
    int64_t derived = 0;
    for (auto &v : stage->variables)
      if (v->kind == fb::VariableKind::derived) derived += (v->bytes + 63) / 64 * 64;
    report.derivedBytes = std::max(report.derivedBytes, derived);
    report.persistentBytes = std::max(report.persistentBytes, stage->persistent_bytes - derived);
    for (auto &entry : stage->entries) report.arenaBytes = std::max(report.arenaBytes, entry->arena_bytes);
  }
  return report;
}

} // namespace weft
