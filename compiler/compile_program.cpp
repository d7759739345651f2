#include "compiler/compile_program.h"
#include "compiler/check_program.h"
#include "compiler/graph_builder.h"
#include "compiler/kernel_source.h"
#include "compiler/memory_trial.h"
#include "compiler/merge_kernels.h"
#include "compiler/model_loader.h"
#include "compiler/step_cost.h"
#include "frontends/programs/program.h"
#include "mlir/IR/AsmState.h"
#include "mlir/IR/Verifier.h"
#include "passes/codegen/cpu/level.h"
#include "runtime/device/cpu.h"
#include "runtime/device/thread_pool.h"
#include "runtime/train/nearest.h"
#include "runtime/train/toml.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/raw_ostream.h"
#include <chrono>
#include <filesystem>

using namespace mlir;
namespace weft {
namespace {
namespace fs = std::filesystem;

double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

// The config file of a model: configs/NAME.toml beside its source.
std::variant<ConfigMap, std::string> readConfig(const std::string &modelFile, const Recipe &recipe,
                                                bool builtin) {
  ConfigMap map;
  fs::path file = fs::path(modelFile).parent_path() / "configs" / (recipe.model.config + ".toml");
  if (fs::exists(file)) {
    auto parsed = toml::parse_file(file.string());
    if (!parsed) return file.string() + ": " + std::string(parsed.error().description());
    for (auto &[key, value] : parsed.table()) {
      std::string name(key.str());
      if (auto *b = value.as_boolean())
        map.push_back({name, b->get()});
      else if (auto *i = value.as_integer())
        map.push_back({name, i64(i->get())});
      else if (auto *d = value.as_floating_point())
        map.push_back({name, d->get()});
      else if (auto *s = value.as_string())
        map.push_back({name, s->get()});
      else
        return file.string() + ": " + name + " should be a number, true, false or text";
    }
  } else if (!recipe.model.config.empty()) {
    std::string have;
    std::error_code error;
    for (auto &entry : fs::directory_iterator(file.parent_path(), error))
      have += (have.empty() ? "" : ", ") + entry.path().stem().string();
    return (builtin ? recipe.model.name : modelFile) + " has no config named " + recipe.model.config +
           (have.empty() ? ": there is no " + file.string() : "; it has " + have);
  }
  for (auto &[key, value] : recipe.model.keys)
    std::visit(
        [&, k = key](auto v) {
          if constexpr (std::is_same_v<decltype(v), int64_t>)
            map.push_back({k, i64(v)});
          else
            map.push_back({k, v});
        },
        value);
  return map;
}

// What a recipe is compiled for: the dot unit of bf16 products ("" in f32), and the CPU levels.
struct Target {
  std::string bf16Unit;
  std::vector<std::string> levels;
};

std::variant<Target, std::string> targetOf(const Recipe &recipe) {
  Target out;
  std::string target = recipe.run.target, level = target.size() > 4 ? target.substr(4) : "";
  if (target == "cpu:native") {
    level = CpuLevelName(DetectCpuLevel());
    if (level == "none")
      return std::string("this machine has no AVX2; compile for another with --target cpu");
  } else if (target != "cpu" && (target.substr(0, 4) != "cpu:" || !cpu::findCpuLevel(level))) {
    std::string names;
    for (const cpu::CpuLevel *l : cpu::cpuLevels()) names += ", cpu:" + l->name.str();
    return "unknown target " + target + "; there are cpu, cpu:native" + names;
  }
  bool bf16 = recipe.train.precision == "bf16";
  // The order of AMX is everyone's but where the machine has another and not that one.
  if (bf16)
    out.bf16Unit = recipe.train.dot_unit != "auto" ? recipe.train.dot_unit
                   : level == "avx512bf16"         ? "vdpbf16"
                                                   : "amx";
  // A level that has nothing for this program over the one below it is not compiled.
  auto useful = [&](const cpu::CpuLevel &l) {
    return l.amx ? out.bf16Unit == "amx" : l.bf16 ? out.bf16Unit == "vdpbf16" : true;
  };
  std::string last;
  for (const cpu::CpuLevel *l : cpu::cpuLevels()) {
    if (useful(*l)) last = l->name.str();
    if (useful(*l) && level.empty()) out.levels.push_back(last);
    if (l->name == level) out.levels.push_back(last);
  }
  return out;
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

} // namespace

std::variant<CompileReport, std::string> compileProgram(MLIRContext &context, const CompileRequest &request) {
  const Recipe &recipe = request.recipe;
  CompileReport report;
  auto wanted = targetOf(recipe);
  if (auto *problem = std::get_if<std::string>(&wanted)) return *problem;
  const Target &target = std::get<Target>(wanted);

  const int threads = recipe.run.threads > 0 // of a rank
                          ? int(recipe.run.threads)
                          : std::max(1, ThreadPool::HardwareThreads() / int(recipe.run.ranks));

  bool builtin = recipe.model.file.empty();
  std::string file = builtin ? builtinModelFile(recipe.model.name) : recipe.model.file;
  if (file.empty()) {
    std::string nearest = Nearest(recipe.model.name, builtinModels()), list;
    for (const std::string &name : builtinModels()) list += (list.empty() ? "" : ", ") + name;
    return "no built-in model is named " + recipe.model.name + "; there are: " + list +
           (nearest.empty() ? "" : "\nhint: did you mean " + nearest + "?");
  }
  auto loaded = loadModel(file, builtin || recipe.given.count("model.name") ? recipe.model.name : "");
  if (auto *problem = std::get_if<std::string>(&loaded)) return *problem;
  LoadedModel model = std::get<LoadedModel>(loaded);
  report.modelSeconds = model.compileSeconds;
  auto config = readConfig(file, recipe, builtin);
  if (auto *problem = std::get_if<std::string>(&config)) return *problem;

  ProgramOptions options;
  options.config = std::get<ConfigMap>(config);
  options.micro_batch = recipe.train.micro_batch;
  options.seq = recipe.train.seq;
  options.context = 0;
  options.generate_batch = recipe.run.generate_batch;
  options.absorbed = recipe.run.absorbed;
  options.train = options.evaluate = request.entriesForTraining;
  options.generate = request.entriesForGeneration;
  // A pipeline's stages train and evaluate; their checkpoints are served by programs of one stage.
  if (recipe.pipeline > 1) options.generate = false;
  options.optimizer = {recipe.optimizer.name, recipe.optimizer.beta1,    recipe.optimizer.beta2,
                       recipe.optimizer.eps,  recipe.optimizer.momentum, recipe.optimizer.weight_decay,
                       recipe.optimizer.clip};
  int64_t rows = recipe.train.micro_batch * recipe.data_parallel;
  if (rows <= 0 || recipe.train.batch % rows)
    return "train.batch is " + std::to_string(recipe.train.batch) +
           ", not a multiple of micro_batch times the data-parallel ranks, " + std::to_string(rows);
  auto layout = layoutBatch(recipe.train.shards, recipe.data_parallel, recipe.train.batch / rows,
                            recipe.train.micro_batch);
  if (auto *problem = std::get_if<std::string>(&layout)) return *problem;

  // Diagnostics: remarks are kept, the rest is what this function returns.
  std::string errors;
  const char *phaseName = "trace";
  ScopedDiagnosticHandler handler(&context, [&](Diagnostic &d) {
    if (d.getSeverity() == DiagnosticSeverity::Remark) {
      report.remarks.push_back({phaseName, "remark", d.str(), d.getLocation()});
      return success();
    }
    llvm::raw_string_ostream out(errors);
    if (!errors.empty()) out << "\n";
    Location where = d.getLocation();
    where->walk([&](Location l) {
      if (auto f = dyn_cast<FileLineColLoc>(l)) {
        out << f.getFilename().getValue() << ":" << f.getLine() << ": ";
        return WalkResult::interrupt();
      }
      return WalkResult::advance();
    });
    out << d.str();
    for (Diagnostic &note : d.getNotes()) out << "\n  note: " << note.str();
    return success();
  });

  if (!request.dumpFolder.empty()) {
    std::error_code error;
    fs::create_directories(request.dumpFolder, error);
    if (error) return "cannot make " + request.dumpFolder + ": " + error.message();
  }
  std::vector<OwningOpRef<ModuleOp>> stages;
  CheckOptions checkOptions;
  checkOptions.inputs = request.phaseInputs;
  ProgramCheck check(checkOptions, request.checkCheckpoint, recipe.pipeline, !target.bf16Unit.empty());
  // On its own machine a program finds work for every thread that it may get, and two at the least.
  const int passThreads = recipe.run.target == "cpu:native" ? std::max(2, threads) : 2;
  // Nothing that was measured enters the choice of what is computed again: two compilations would differ.
  const Calibration machine = NominalMachine(target.levels.back(), passThreads);
  const int64_t microBatches = std::max<int64_t>(1, recipe.train.batch / rows);
  TuneRequest tuning{double(recipe.run.tune), threads, target.levels, microBatches, request.say,
                     request.progress};
  llvm::StringMap<KeptOp> keptOps;
  // By stage, of the first trial, which has all entries; the others have train_step alone, which comes first
  // and is the same: what is computed again changes nothing else.
  std::vector<StageMemory> whole;
  // A stage of the model's program; null, with what is wrong in `problem`.
  auto trace = [&](Stage stage, const ProgramOptions &entries, std::string &problem) {
    OwningOpRef<ModuleOp> module = ModuleOp::create(UnknownLoc::get(&context));
    GraphBuilder builder(*module, std::get<BatchLayout>(layout), stage);
    Builder *previous = set_builder(&builder);
    try {
      build_program(*model.info, entries);
      if (model.info->hugging_face_config)
        report.artifact.config_json = model.info->hugging_face_config(options.config);
    } catch (const ModelError &e) {
      problem = e.what();
    } catch (const std::exception &e) {
      problem = file + ": the model's code ended with an exception: " + e.what();
    } catch (...) {
      problem = file + ": the model's code ended with an exception that is no std::exception";
    }
    set_builder(previous);
    if (problem.empty() && failed(verify(*module))) problem = errors;
    if (!problem.empty()) module = nullptr;
    return module;
  };
  // Traces the model and runs the passes, a stage after the other; `last`: not to find out what memory and
  // time it takes.
  auto buildStages = [&](const std::vector<std::string> &recompute, bool last) -> MemoryTrial {
    MemoryTrial trial;
    auto failing = [&](const std::string &why) {
      trial.error = why;
      return trial;
    };
    auto passProblem = [&] {
      return (errors.empty() ? std::string("the pipeline failed") : errors) +
             (check.details.empty() ? "" : "\n" + check.details);
    };
    stages.clear();
    report.remarks.clear();
    errors.clear();
    report.parameters = 0;
    const bool allEntries = last || whole.empty();
    ProgramOptions entries = options;
    entries.evaluate &= allEntries;
    entries.generate &= allEntries;
    for (int64_t index = 0; index < recipe.pipeline; ++index) {
      double start = now();
      phaseName = "trace";
      OwningOpRef<ModuleOp> module = trace({index, recipe.pipeline}, entries, trial.error);
      if (!module) return trial;
      report.traceSeconds += now() - start;
      for (auto v : module->getOps<graph::VariableOp>())
        if (v.getKind() == graph::VariableKind::parameter)
          report.parameters += cast<RankedTensorType>(v.getType()).getNumElements();

      start = now();
      PipelineOptions pipeline;
      pipeline.shardsPerMicro = std::get<BatchLayout>(layout).shardsPerMicro;
      pipeline.bf16Unit = target.bf16Unit;
      pipeline.cpuLevel = target.levels.back();
      pipeline.threads = passThreads;
      pipeline.recompute = recompute;
      pipeline.verify = last; // what is chosen is built once more
      pipeline.stopAfter = last ? request.stopAfter.value_or(Phase::plan) : Phase::plan;
      if (last && request.checkPhases && index == 0) {
        OwningOpRef<ModuleOp> uncut;
        if (recipe.pipeline > 1 && !(uncut = trace({0, 1}, entries, trial.error))) return trial;
        std::string problem = check.begin(uncut ? *uncut : *module, request.checkLimit, request.say);
        if (!problem.empty()) return failing(problem);
        auto remarks = report.remarks;
        if (uncut && failed(check.checkWhole(std::move(uncut), pipeline))) return failing(passProblem());
        report.remarks = std::move(remarks); // not those about what is not compiled
        start = now();
      }
      pipeline.afterPhase = [&](const PhaseInfo &phase, ModuleOp m) -> LogicalResult {
        size_t number = &phase - phases().begin();
        phaseName = number + 1 < phases().size() ? phases()[number + 1].name : "code";
        for (const KeptOp &op : takeKept(m, machine, target.bf16Unit)) {
          trial.kept.push_back(op.kept);
          keptOps.try_emplace(op.kept.op, op);
        }
        if (last && !request.dumpFolder.empty()) {
          std::string name = (number < 10 ? "0" : "") + std::to_string(number) + "-" + phase.name +
                             (recipe.pipeline > 1 ? ".stage" + std::to_string(index) : "") + ".mlir";
          if (failed(writeFile(fs::path(request.dumpFolder) / name, m))) return failure();
        }
        if (!last || !request.checkPhases) return success();
        return check.afterPhase(index, phase, m, pipeline);
      };
      const double checking = check.seconds;
      double measuring = 0;
      if (last && pipeline.stopAfter >= Phase::fuse) {
        const Phase end = std::exchange(pipeline.stopAfter, Phase::tile);
        if (failed(runPipeline(*module, pipeline))) return failing(passProblem());
        measuring = now();
        auto fits = [&](ModuleOp planned) { return memoryOf(planned).bytes() <= recipe.memory_budget; };
        auto fusions = tuneFusions(*module, pipeline, tuning,
                                   recipe.memory_budget > 0 ? fits : llvm::function_ref<bool(ModuleOp)>());
        if (auto *problem = std::get_if<std::string>(&fusions))
          return failing(*problem + (errors.empty() ? "" : "\n" + errors));
        const FusionReport &found = std::get<FusionReport>(fusions);
        report.fusions.add(found);
        measuring = tuning.seconds > 0 ? now() - measuring : 0; // looking things up is a part of compiling
        if (tuning.seconds > 0) tuning.seconds = std::max(tuning.seconds - measuring, 1e-3);
        pipeline.behind = found.behind;
        pipeline.apart = found.apart;
        pipeline.firstPhase = Phase::fuse;
        pipeline.stopAfter = end;
      }
      if (failed(runPipeline(*module, pipeline))) return failing(passProblem());
      report.passSeconds += now() - start - measuring - (check.seconds - checking);
      if (last && request.stopAfter) {
        llvm::raw_string_ostream out(report.stopped);
        module->print(out);
      }
      StageMemory memory = memoryOf(*module);
      if (allEntries && !last) whole.push_back(memory);
      if (!allEntries) memory = {whole[index].persistent, memory.training, whole[index].others};
      trial.bytes = std::max(trial.bytes, memory.bytes());
      // Stages take turns.
      if (!last) trial.ns += predictEntryNs(*module, "train_step", machine, microBatches);
      stages.push_back(std::move(module));
    }
    return trial;
  };
  std::vector<std::string> recompute;
  if (recipe.memory_budget > 0 && request.entriesForTraining) {
    double start = now();
    auto fit = request.fit(recipe.memory_budget,
                           [&](const std::vector<std::string> &ops) { return buildStages(ops, false); });
    if (auto *problem = std::get_if<std::string>(&fit)) return *problem;
    report.recompute = std::get<RecomputeChoice>(fit);
    report.recomputeSeconds = now() - start;
    recompute = report.recompute->again;
  }
  MemoryTrial built = buildStages(recompute, true);
  if (!built.error.empty()) return built.error;
  if (report.recompute && report.fusions.faster > 0)
    report.recompute->bytes = built.bytes; // within the budget
  if (report.recompute && !request.stopAfter && built.bytes != report.recompute->bytes)
    return "the program takes " + std::to_string(built.bytes) + " bytes when it was tried with " +
           std::to_string(report.recompute->bytes) +
           "\nhint: this is a mistake of the compiler's; without a memory budget it does not try";
  if (report.recompute)
    for (const RecomputedValue &value : report.recompute->values)
      if (auto it = keptOps.find(value.op); it != keptOps.end())
        report.remarks.push_back({"memory-budget", "remark",
                                  remarkOf(value, it->second, report.recompute->wholeNs), it->second.where});
  if (request.stopAfter) return report;
  std::vector<ModuleOp> modules;
  for (auto &stage : stages) modules.push_back(*stage);
  const auto merged = mergeKernels(modules);
  phaseName = "tune";
  auto tuned = tuneKernels(modules, tuning);
  if (auto *problem = std::get_if<std::string>(&tuned)) return *problem;
  report.tuning = std::move(std::get<TuneReport>(tuned));
  llvm::append_range(report.remarks, report.fusions.remarks);
  llvm::append_range(report.remarks, report.tuning.remarks);
  std::vector<Replaced> replaced;
  if (std::string problem = substituteKernels(modules, request.substitutions, target.levels, replaced);
      !problem.empty())
    return problem;

  double start = now();
  phaseName = "code";
  ArtifactInputs inputs;
  inputs.model = model.info->name;
  inputs.configJson = report.artifact.config_json;
  inputs.levels = target.levels;
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
  option("context", options.context ? options.context : options.seq);
  option("generate_batch", recipe.run.generate_batch);
  option("absorbed", std::string(recipe.run.absorbed ? "true" : "false"));
  option("target", recipe.run.target);
  option("dot_unit", target.bf16Unit.empty() ? std::string("fma") : target.bf16Unit);
  option("config", recipe.model.config);
  if (!recipe.run.memory_budget.empty()) option("memory_budget", recipe.run.memory_budget);
  auto artifact = makeArtifact(modules, inputs);
  if (failed(artifact)) return errors.empty() ? std::string("code generation failed") : errors;
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
    if (problem = check.checkKernels(merged, modules.front(), report.artifact); !problem.empty())
      return problem;
    report.gradients = check.gradients;
    report.kernelCheck = check.kernels;
    report.checkSeconds = check.seconds;
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
