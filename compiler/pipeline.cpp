#include "compiler/pipeline.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Transforms/Passes.h"
#include "passes/codegen/cpu/compile.h"
#include "passes/passes.h"
#include "runtime/profile/calibration.h"

using namespace mlir;
namespace weft {

static constexpr PhaseInfo kPhases[] = {
    {Phase::trace, "trace", "the model's code, called once an entry, as graph ops and functions"},
    {Phase::simplify, "simplify", "folds constants, merges equal expressions, drops what nothing reads"},
    {Phase::precision, "precision", "rounds the factors of products to bf16, where the recipe says so"},
    {Phase::hoist, "hoist", "moves what no layer changes out of the layers' body"},
    {Phase::differentiate, "differentiate",
     "writes the backward of each function that a gradient is asked of, and chooses what forward saves"},
    {Phase::segment, "segment", "cuts sums over the batch into one chain a virtual shard"},
    {Phase::tidy, "tidy", "simplifies what differentiation left; weights are rounded once a step"},
    {Phase::derive, "derive", "rounded weights are kept for the entries that generate"},
    {Phase::tile, "tile", "large values, and what is made of them row by row, a block of rows at a time"},
    {Phase::fuse, "fuse", "groups ops into structured kernels"},
    {Phase::schedule, "schedule", "gives each kernel its reduction and schedule"},
    {Phase::lower, "lower", "values become buffers, kernels are outlined by content, repeats become loops"},
    {Phase::plan, "plan", "one arena: an offset for every buffer, by lifetime"},
};

ArrayRef<PhaseInfo> phases() { return kPhases; }
const PhaseInfo *findPhase(StringRef name) {
  for (const PhaseInfo &p : kPhases)
    if (name == p.name) return &p;
  return nullptr;
}

// Behind products memory gives half of what streaming code gets: two threads of a Zen 4 got 27 GB/s of 50.
constexpr double kBehindProducts = 0.5;

// The machine that fusions are chosen for: a nominal one of the level and the threads, since two compilations
// must not differ.
static FuseKernelsPassOptions fusionOptions(const PipelineOptions &options) {
  const Calibration machine = NominalMachine(options.cpuLevel, int(options.threads));
  const MemoryLevel &memory = machine.levels.back(), &cache = machine.levels[machine.levels.size() - 2];
  FuseKernelsPassOptions out;
  out.lanesPerNs = machine.FlopsOf("fma").all / 2e9; // a multiply-add is two
  out.cacheBytes = double(cache.bytes);
  out.cacheRate = cache.rate.all / 1e9;
  out.memoryRate = memory.rate.all / 1e9;
  out.productRate = kBehindProducts * out.memoryRate;
  out.launchNs = machine.launch_ns;
  out.behind = options.behind;
  out.apart = options.apart;
  out.reportChoices = options.reportFusions;
  return out;
}

static void addPasses(Phase phase, PassManager &pm, const PipelineOptions &options) {
  switch (phase) {
  case Phase::trace:
    break;
  case Phase::tidy:
    pm.addPass(createHoistInvariantsPass());
    [[fallthrough]];
  case Phase::simplify:
    pm.addPass(createCanonicalizerPass());
    pm.addPass(createCSEPass());
    pm.addPass(createSymbolDCEPass());
    break;
  case Phase::precision:
    if (options.bf16Unit.empty()) break;
    pm.addPass(createRoundFactorsPass());
    pm.addPass(createRoundCachesPass());
    break;
  case Phase::hoist:
    pm.addPass(createHoistInvariantsPass());
    break;
  case Phase::differentiate:
    pm.addPass(createSegmentSortsPass({options.shardsPerMicro}));
    pm.addPass(createDifferentiatePass({options.recompute, true}));
    break;
  case Phase::segment:
    pm.addPass(createSegmentBatchSumsPass({options.shardsPerMicro}));
    break;
  case Phase::derive:
    pm.addPass(createDeriveWeightsPass());
    break;
  case Phase::tile:
    pm.addPass(createTileRowsPass({options.tileAtLeast, options.tileRows}));
    break;
  case Phase::fuse:
    pm.addPass(createRecordOpNamesPass());
    pm.addPass(createFuseKernelsPass(fusionOptions(options)));
    break;
  case Phase::schedule:
    pm.addPass(createScheduleKernelsPass({options.threads, options.bf16Unit}));
    break;
  case Phase::lower:
    pm.addPass(createLowerToProgramPass());
    break;
  case Phase::plan:
    pm.addPass(createPlanMemoryPass());
    break;
  }
}

LogicalResult runPipeline(ModuleOp module, const PipelineOptions &options) {
  for (const PhaseInfo &phase : kPhases) {
    if (phase.phase < options.firstPhase) continue;
    PassManager pm(module.getContext(), ModuleOp::getOperationName());
    pm.enableVerifier(options.verify);
    addPasses(phase.phase, pm, options);
    if (failed(pm.run(module))) return failure();
    if (options.afterPhase && failed(options.afterPhase(phase, module))) return failure();
    if (phase.phase == options.stopAfter) break;
  }
  return success();
}

namespace {
struct PassReporter : PassInstrumentation {
  using Report = llvm::function_ref<void(StringRef, ModuleOp)>;
  explicit PassReporter(Report report) : report(report) {}
  void runAfterPass(Pass *pass, Operation *op) override {
    if (auto module = dyn_cast<ModuleOp>(op); module && !pass->getArgument().empty())
      report(pass->getArgument(), module);
  }
  Report report;
};
} // namespace

LogicalResult runPhase(ModuleOp module, Phase phase, const PipelineOptions &options,
                       llvm::function_ref<void(StringRef, ModuleOp)> afterPass) {
  PassManager pm(module.getContext(), ModuleOp::getOperationName());
  addPasses(phase, pm, options);
  pm.addInstrumentation(std::make_unique<PassReporter>(afterPass));
  return pm.run(module);
}

void registerDialects(DialectRegistry &registry) {
  registry.insert<graph::GraphDialect, kernel::KernelDialect, dist::DistDialect, program::ProgramDialect,
                  func::FuncDialect, arith::ArithDialect, math::MathDialect>();
  cpu::registerCodegenDialects(registry);
}

} // namespace weft
