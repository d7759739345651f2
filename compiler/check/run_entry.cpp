#include "compiler/check/run_entry.h"
#include "compiler/check/interpret_stages.h"
#include "dialects/graph/graph.h"
#include "llvm/ADT/DenseSet.h"

using namespace mlir;
using weft::graph::HostTensor;
namespace weft {

static bool meetsGradient(func::FuncOp f, SymbolTable &symbols, llvm::DenseSet<Operation *> &seen) {
  if (!seen.insert(f).second) return false;
  return f
      .walk([&](Operation *op) {
        if (isa<graph::ValueAndGradOp>(op)) return WalkResult::interrupt();
        FlatSymbolRefAttr callee;
        if (auto call = dyn_cast<func::CallOp>(op)) callee = call.getCalleeAttr();
        if (auto repeat = dyn_cast<graph::RepeatOp>(op)) callee = repeat.getBodyAttr();
        auto g = callee ? symbols.lookup<func::FuncOp>(callee.getValue()) : func::FuncOp();
        return g && meetsGradient(g, symbols, seen) ? WalkResult::interrupt() : WalkResult::advance();
      })
      .wasInterrupted();
}

bool needsGradient(func::FuncOp f) {
  SymbolTable symbols(f->getParentOfType<ModuleOp>());
  llvm::DenseSet<Operation *> seen;
  return meetsGradient(f, symbols, seen);
}

bool needsGradient(Stages stages, StringRef entry) {
  return llvm::any_of(stages, [&](ModuleOp m) {
    auto f = m.lookupSymbol<func::FuncOp>(entry);
    return f && needsGradient(f);
  });
}

FailureOr<SmallVector<HostTensor>> runEntry(func::FuncOp entry, const CheckOptions &options,
                                            int64_t numMicroBatches, graph::Variables &variables,
                                            graph::Variables &caches, graph::InterpretObserver *observer,
                                            graph::InterpretRank *rank, bool rounded) {
  auto module = entry->getParentOfType<ModuleOp>();
  auto args = argumentsOf(entry, options.inputs, options.seed, numMicroBatches);
  if (failed(args)) return failure();
  if (entry.getSymName() == "decode")
    for (auto &[name, value] : caches) variables[name] = value;
  graph::InterpretOptions interpret;
  interpret.roundToElement = rounded;
  interpret.observer = observer;
  interpret.rank = rank;
  // What is made of parameters is made of these.
  auto derive = module.lookupSymbol<func::FuncOp>("derive");
  if (derive && derive != entry && failed(graph::interpret(derive, {}, variables, interpret)))
    return failure();
  auto results = graph::interpret(entry, *args, variables, interpret);
  if (succeeded(results) && entry.getSymName().starts_with("prefill_"))
    for (auto v : module.getOps<graph::VariableOp>())
      if (v.getKind() == graph::VariableKind::cache)
        caches[v.getSymName().str()] = variables[v.getSymName().str()];
  return results;
}

FailureOr<SmallVector<SmallVector<HostTensor>>>
runEntry(Stages stages, StringRef entry, const CheckOptions &options, int64_t numMicroBatches,
         MutableArrayRef<graph::Variables> variables, MutableArrayRef<graph::Variables> caches,
         ArrayRef<graph::InterpretObserver *> observers, bool rounded) {
  SmallVector<SmallVector<HostTensor>> results(stages.size());
  SmallVector<func::FuncOp> functions;
  for (auto [i, module] : llvm::enumerate(stages)) {
    functions.push_back(ModuleOp(module).lookupSymbol<func::FuncOp>(entry));
    if (!functions.back())
      return emitError(ModuleOp(module).getLoc()) << "pipeline stage " << i << " has no entry @" << entry;
  }
  auto run = [&](int64_t i, graph::InterpretRank *rank) -> LogicalResult {
    auto ran = runEntry(functions[i], options, numMicroBatches, variables[i], caches[i],
                        observers.empty() ? nullptr : observers[i], rank, rounded);
    if (failed(ran)) return failure();
    results[i] = std::move(*ran);
    return success();
  };
  if (failed(interpretStages(stages.size(), rounded, run))) return failure();
  return results;
}

} // namespace weft
