#include "compiler/check/check_program.h"
#include "compiler/check/bisect_phase.h"
#include "compiler/check/check_cost.h"
#include "compiler/check/user_inputs.h"
#include "runtime/artifact/writer.h"
#include <chrono>

using namespace mlir;
namespace weft {
namespace {

SmallVector<ModuleOp> modulesOf(MutableArrayRef<OwningOpRef<ModuleOp>> owned) {
  return llvm::map_to_vector(owned, [](OwningOpRef<ModuleOp> &m) { return *m; });
}

// Adds the time it lives.
class Stopwatch {
public:
  explicit Stopwatch(double &seconds) : seconds(seconds) {}
  ~Stopwatch() { seconds += std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count(); }

private:
  double &seconds;
  std::chrono::steady_clock::time_point began = std::chrono::steady_clock::now();
};

} // namespace

std::string ProgramCheck::begin(ModuleOp traced, double limit,
                                const std::function<void(const std::string &)> &say) {
  CheckCost cost = checkCost(traced, chooseMicroBatches(traced, options.inputs));
  if (numStages > 1) cost.seconds *= 2; // once with all layers, once cut
  if (std::string problem = costProblem(cost, limit); !problem.empty()) return problem;
  if (cost.seconds > 5) say("checking takes about " + durationText(cost.seconds));
  if (!checkpoint.empty())
    if (absl::Status s = ReadUserVariables(traced, checkpoint, options.inputs); !s.ok())
      return std::string(s.message());
  checker.emplace(options);
  return "";
}

LogicalResult ProgramCheck::checkWhole(OwningOpRef<ModuleOp> traced, PipelineOptions pipeline) {
  pipeline.stopAfter = Phase::differentiate;
  pipeline.recompute = {};
  pipeline.afterPhase = [&](const PhaseInfo &phase, ModuleOp m) -> LogicalResult {
    Stopwatch watch(seconds);
    Modules modules;
    modules.push_back(m.clone());
    return compare(phase, std::move(modules), pipeline);
  };
  if (failed(runPipeline(*traced, pipeline))) return failure();
  whole = std::move(traced);
  before.clear();
  checker.emplace(options);
  return success();
}

LogicalResult ProgramCheck::afterPhase(int64_t stage, const PhaseInfo &phase, ModuleOp module,
                                       const PipelineOptions &pipeline) {
  if (phase.phase == Phase::lower) kernelNames.push_back(kernelsByContent(module));
  if (phase.phase >= Phase::lower) return success();
  Stopwatch watch(seconds);
  behind[phase.phase].push_back(module.clone());
  pipelines.resize(numStages);
  pipelines[stage] = pipeline;
  if (stage + 1 < numStages) return success();
  Modules modules = std::move(behind[phase.phase]);
  behind.erase(phase.phase);
  return compare(phase, std::move(modules), pipelines);
}

// What is behind a phase, with what was before it.
LogicalResult ProgramCheck::compare(const PhaseInfo &phase, Modules modules,
                                    ArrayRef<PipelineOptions> pipelines) {
  if (phase.phase == Phase::precision && rounds) checker.emplace(options); // what follows is held against it
  auto was = modulesOf(before), stages = modulesOf(modules);
  if (failed(checker->check(stages, phase.name))) {
    if (!was.empty() && checker->differs()) details = bisectPhase(was, stages, phase, pipelines, options);
    return failure();
  }
  if (phase.phase == Phase::differentiate && whole) {
    if (failed(checkPhase(ModuleOp(*whole), stages, "cutting into pipeline stages", options)))
      return failure();
  } else if (phase.phase == Phase::differentiate && stages.size() == 1 && !was.empty()) {
    auto again = [&](ModuleOp part) {
      return runPhase(part, phase.phase, pipelines.front(), [](StringRef, ModuleOp) {});
    };
    if (failed(checkGradients(was.front(), options, again, gradients))) {
      details = gradients.fault;
      return failure();
    }
  }
  (phase.phase == Phase::schedule ? scheduled : before) = std::move(modules);
  return success();
}

std::string ProgramCheck::checkKernels(ArrayRef<llvm::StringMap<std::string>> merged, ModuleOp module,
                                       fb::ArtifactT &artifact) {
  Stopwatch watch(seconds);
  llvm::StringMap<std::string> byContent;
  for (auto [names, calledNow] : llvm::zip(kernelNames, merged))
    for (auto &entry : names) byContent[entry.getKey()] = calledNow.lookup(entry.getValue());
  auto loaded = LoadArtifactFromMemory(SerializeArtifact(artifact), "the program");
  if (!loaded.ok()) return std::string(loaded.status().message());
  auto checked = weft::checkKernels(modulesOf(scheduled), byContent, module, *loaded, options);
  if (auto *wrong = std::get_if<std::string>(&checked))
    return "the compiled program differs from its ops: " + *wrong;
  kernels = std::get<KernelCheck>(checked);
  return "";
}

} // namespace weft
