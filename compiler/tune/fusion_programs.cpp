#include "compiler/tune/fusion_programs.h"
#include "compiler/cost/step_cost.h"
#include "dialects/graph/graph.h"
#include "llvm/Support/FormatVariadic.h"

using namespace mlir;
using llvm::formatv;
namespace weft {

FusionPrograms::FusionPrograms(ModuleOp tiled, const PipelineOptions &options, int64_t microBatches)
    : tiled(tiled), options(options), microBatches(microBatches),
      machine(NominalMachine(options.cpuLevel, int(options.threads))) {}

static void addNames(StringRef product, const ValueChoices &choices, std::vector<std::string> &behind,
                     std::vector<std::string> &apart) {
  for (auto [value, isBehind] : choices)
    (isBehind ? behind : apart).push_back(formatv("{0}:{1}", product, value));
}

OwningOpRef<ModuleOp> FusionPrograms::build(Phase last, StringRef product, const ValueChoices &choices) {
  OwningOpRef<ModuleOp> module(cast<ModuleOp>(tiled->clone()));
  PipelineOptions run = options;
  run.behind = behind;
  run.apart = apart;
  addNames(product, choices, run.behind, run.apart);
  run.reportFusions = true;
  run.verify = false; // what is chosen is built once more
  run.firstPhase = Phase::fuse;
  run.stopAfter = last;
  run.afterPhase = nullptr;
  if (succeeded(runPipeline(*module, run))) return module;
  error =
      choices.empty() && behind.empty() && apart.empty() ? "fusing failed" : "fusing in another way failed";
  return nullptr;
}

std::vector<FusedProduct> FusionPrograms::products() {
  std::vector<FusedProduct> out;
  OwningOpRef<ModuleOp> module = build(Phase::fuse, "", {});
  if (!module) return out;
  for (auto choice : (*module)->getAttrOfType<ArrayAttr>("weft.fusions").getAsRange<DictionaryAttr>()) {
    auto text = [&](StringRef name) { return choice.getAs<StringAttr>(name).str(); };
    auto ns = [&](StringRef name) { return choice.getAs<FloatAttr>(name).getValueAsDouble(); };
    const int64_t number = choice.getAs<IntegerAttr>("value").getInt();
    if (out.empty() || out.back().name != text("product"))
      out.push_back(
          {text("product"), "function " + text("function") + "\n", {}, choice.getAs<LocationAttr>("where")});
    out.back().text += formatv("value {0}: {1}\n", number, text("what"));
    out.back().values.push_back(
        {number, choice.getAs<BoolAttr>("behind").getValue(), std::max(ns("behind_ns"), ns("apart_ns"))});
  }
  // What a value does apart depends on what else is there.
  std::map<std::string, std::string> chosen; // by function
  for (const FusedProduct &p : out)
    for (const FusedValue &v : p.values)
      chosen[p.function()] += formatv(" {0}:{1} {2}", StringRef(p.name).rsplit(':').second, v.number,
                                      v.behind ? "behind" : "apart");
  for (FusedProduct &p : out) p.text += "chosen" + chosen[p.function()] + "\n";
  return out;
}

OwningOpRef<ModuleOp> FusionPrograms::plan(const FusedProduct &product, const ValueChoices &choices) {
  return build(Phase::plan, product.name, choices);
}

FusionWay *FusionPrograms::own() {
  if (!taken)
    if (OwningOpRef<ModuleOp> planned = build(Phase::plan, "", {}))
      taken = std::make_unique<FusionWay>(std::move(planned), microBatches);
  return taken.get();
}

void FusionPrograms::take(const FusedProduct &product, const ValueChoices &choices) {
  addNames(product.name, choices, behind, apart);
  taken = nullptr;
}

void FusionPrograms::takeBack(const ValueChoices &choices) {
  behind.resize(behind.size() - llvm::count_if(choices, [](const auto &c) { return c.second; }));
  apart.resize(apart.size() - llvm::count_if(choices, [](const auto &c) { return !c.second; }));
  taken = nullptr;
  error.clear();
}

void FusionPrograms::addShares(func::FuncOp f, StringRef entry, double part) {
  shares[f.getSymName().str()][entry.str()] += part;
  for (auto repeat : f.getBody().getOps<graph::RepeatOp>()) {
    const double trips =
        repeat.getDynamic() ? double(microBatches) / double(repeat.getParts()) : double(repeat.tripCount());
    addShares(tiled.lookupSymbol<func::FuncOp>(repeat.getBody()), entry, part * trips);
  }
}

std::pair<std::string, double> FusionPrograms::share(const std::string &function) {
  if (shares.empty() && own())
    for (auto f : tiled.getOps<func::FuncOp>())
      if (f->hasAttr("weft.entry"))
        if (double ns = predictEntryNs(*own()->module, f.getSymName(), machine, microBatches); ns > 0)
          addShares(f, f.getSymName(), 1 / ns);
  std::pair<std::string, double> most{"", 0};
  auto it = shares.find(function);
  if (it == shares.end()) return most;
  for (auto &[entry, part] : it->second) {
    if (entry == "train_step") return {entry, part};
    if (part > most.second) most = {entry, part};
  }
  return most;
}

} // namespace weft
