#include "compiler/tune_fusions.h"
#include "compiler/fusion_ways.h"
#include "compiler/step_cost.h"
#include "compiler/tuning_cache.h"
#include "dialects/graph/graph.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "passes/codegen/cpu/compile.h"
#include "llvm/ADT/MapVector.h"
#include "llvm/ADT/StringSet.h"
#include "llvm/Support/FormatVariadic.h"
#include <chrono>
#include <filesystem>

using namespace mlir;
using llvm::formatv;
namespace weft {
namespace {

// Less than this of a training step, or of another entry where no step has it, is not worth a measurement.
constexpr double kLeastOfStep = 0.001, kLeastOfEntry = 0.02;
constexpr double kMostPart = 0.5;  // of the time, the rest is for schedules
constexpr double kMostSeconds = 8; // of one product
constexpr double kMostNs = 0.4e9;  // of a way
constexpr int64_t kMostBytes = int64_t{1} << 31;
constexpr size_t kMostWays = 10;

double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

struct Value {
  int64_t number;
  bool behind;
  double ns; // predicted, of the slower way
};
// A product and the elementwise values that might be computed behind it.
struct Product {
  std::string name; // "layer:12"
  std::string key;  // what is compiled, but for what was chosen before
  std::vector<Value> values;
  Location where;

  std::string function() const { return StringRef(name).rsplit(':').first.str(); }
  size_t numBehind() const {
    return llvm::count_if(values, [](const Value &v) { return v.behind; });
  }
};

// Value → whether it is computed behind the product.
using Ways = std::map<int64_t, bool>;

class FusionTuner {
public:
  FusionTuner(ModuleOp tiled, const PipelineOptions &pipeline, const TuneRequest &request,
              const cpu::CpuLevel &level, llvm::function_ref<bool(ModuleOp)> fits)
      : tiled(tiled), pipeline(pipeline), request(request), level(level), fits(fits),
        machine(fusionMachineKey(level.name.str(), request.threads) +
                formatv("fused for {0}, {1} threads, unit {2}\n", pipeline.cpuLevel, pipeline.threads,
                        pipeline.bf16Unit)
                    .str()),
        nominal(NominalMachine(pipeline.cpuLevel, int(pipeline.threads))), start(now()) {}

  std::variant<FusionReport, std::string> run() {
    // What is said about ways that are not taken is not of interest.
    ScopedDiagnosticHandler quiet(tiled.getContext(), [](Diagnostic &d) {
      return success(d.getSeverity() == DiagnosticSeverity::Remark);
    });
    products = fuse();
    if (!problem.empty()) return problem;
    if (request.seconds > 0 && !products.empty()) findShares();
    std::vector<std::string> functions;
    for (const Product &p : products)
      if (!llvm::is_contained(functions, p.function())) functions.push_back(p.function());
    auto order = [&](const std::string &function) {
      auto [entry, part] = share(function);
      return std::pair(entry == "train_step", part);
    };
    llvm::stable_sort(functions, [&](const auto &a, const auto &b) { return order(a) > order(b); });
    for (const std::string &function : functions) {
      settle(function);
      if (!problem.empty()) break;
    }
    if (told) request.progress("");
    if (problem.empty() && fits && !(report.behind.empty() && report.apart.empty())) {
      OwningOpRef<ModuleOp> planned = plan({});
      if (planned && !fits(*planned)) return FusionReport();
    }
    if (!problem.empty()) return problem;
    return std::move(report);
  }

private:
  // Runs phases from fuse on, on a copy, with what is taken and `ways` of one product beside it. Null where
  // it fails, which is no fault of a way that the pass lets one choose.
  OwningOpRef<ModuleOp> build(Phase last, StringRef product, const Ways &ways) {
    OwningOpRef<ModuleOp> module(cast<ModuleOp>(tiled->clone()));
    PipelineOptions options = pipeline;
    options.behind = report.behind;
    options.apart = report.apart;
    for (auto [value, behind] : ways)
      (behind ? options.behind : options.apart).push_back(formatv("{0}:{1}", product, value));
    options.reportFusions = true;
    options.verify = false; // what is chosen is built once more
    options.firstPhase = Phase::fuse;
    options.stopAfter = last;
    options.afterPhase = nullptr;
    if (succeeded(runPipeline(*module, options))) return module;
    problem = "fusing in another way failed";
    return nullptr;
  }
  OwningOpRef<ModuleOp> plan(const Ways &ways, StringRef product = "") {
    return build(Phase::plan, product, ways);
  }

  // The program with what is taken; null with a problem.
  FusionWay *ownWay() {
    if (!own)
      if (OwningOpRef<ModuleOp> planned = plan({}))
        own = std::make_unique<FusionWay>(std::move(planned), request.microBatches);
    return own.get();
  }

  std::vector<Product> fuse() {
    std::vector<Product> out;
    OwningOpRef<ModuleOp> module = build(Phase::fuse, "", {});
    if (!module) return out;
    for (auto choice : (*module)->getAttrOfType<ArrayAttr>("weft.fusions").getAsRange<DictionaryAttr>()) {
      auto text = [&](StringRef name) { return choice.getAs<StringAttr>(name).str(); };
      auto ns = [&](StringRef name) { return choice.getAs<FloatAttr>(name).getValueAsDouble(); };
      const int64_t number = choice.getAs<IntegerAttr>("value").getInt();
      if (out.empty() || out.back().name != text("product"))
        out.push_back({text("product"),
                       "function " + text("function") + "\n",
                       {},
                       choice.getAs<LocationAttr>("where")});
      Product &p = out.back();
      p.key += formatv("value {0}: {1}\n", number, text("what"));
      p.values.push_back(
          {number, choice.getAs<BoolAttr>("behind").getValue(), std::max(ns("behind_ns"), ns("apart_ns"))});
    }
    return out;
  }

  // How often entries come to functions, as a part of the entry's predicted time for each nanosecond.
  void findShares() {
    if (!ownWay()) return;
    for (auto f : tiled.getOps<func::FuncOp>())
      if (f->hasAttr("weft.entry"))
        if (double ns = predictEntryNs(*own->module, f.getSymName(), nominal, request.microBatches); ns > 0)
          visit(f, f.getSymName(), 1 / ns);
  }
  void visit(func::FuncOp f, StringRef entry, double part) {
    parts[f.getSymName().str()][entry.str()] += part;
    for (auto repeat : f.getBody().getOps<graph::RepeatOp>()) {
      const double trips = repeat.getDynamic() ? double(request.microBatches) / double(repeat.getParts())
                                               : double(repeat.tripCount());
      visit(tiled.lookupSymbol<func::FuncOp>(repeat.getBody()), entry, part * trips);
    }
  }
  // The entry that a function matters most to, and by how much a nanosecond; train_step where it calls it.
  std::pair<std::string, double> share(const std::string &function) const {
    std::pair<std::string, double> most{"", 0};
    auto it = parts.find(function);
    if (it == parts.end()) return most;
    for (auto &[entry, part] : it->second) {
      if (entry == "train_step") return {entry, part};
      if (part > most.second) most = {entry, part};
    }
    return most;
  }

  // Looks up or measures one product after the other: what the earlier ones take changes what is left for the
  // later ones.
  void settle(const std::string &function) {
    std::string before; // what was chosen otherwise in this function
    llvm::StringSet<> done;
    while (problem.empty()) {
      auto next = llvm::find_if(
          products, [&](const Product &p) { return p.function() == function && !done.contains(p.name); });
      if (next == products.end()) return;
      const Product p = *next;
      done.insert(p.name);
      const std::string key = machine + p.key + "chosen before:" + before + "\n";
      bool cached = true;
      std::optional<TunedFusion> tuned = lookUp(p, key);
      if (!tuned) {
        cached = false;
        tuned = measure(p, key);
      }
      if (!tuned) continue;
      ++report.measured;
      report.fromCache += cached;
      if (!tuned->behind.empty() || !tuned->apart.empty()) {
        ++report.faster;
        for (int64_t v : tuned->behind) report.behind.push_back(formatv("{0}:{1}", p.name, v));
        for (int64_t v : tuned->apart) report.apart.push_back(formatv("{0}:{1}", p.name, v));
        for (int64_t v : tuned->behind)
          before += formatv(" {0}:{1} behind", StringRef(p.name).rsplit(':').second, v);
        for (int64_t v : tuned->apart)
          before += formatv(" {0}:{1} apart", StringRef(p.name).rsplit(':').second, v);
        products = fuse();
        own = nullptr;
      }
      tell(p, *tuned, cached);
    }
  }

  std::optional<TunedFusion> lookUp(const Product &p, const std::string &key) {
    absl::StatusOr<TunedFusion> kept = loadTunedFusion(key);
    if (absl::IsNotFound(kept.status())) return {};
    if (kept.ok()) {
      // Whatever the file holds, it picks one of the ways that the pass offers.
      llvm::DenseSet<int64_t> open;
      for (const Value &v : p.values) open.insert(v.number);
      bool known = true;
      for (auto *list : {&kept->behind, &kept->apart})
        for (int64_t v : *list) known &= open.erase(v);
      if (known) return *std::move(kept);
      kept = absl::InvalidArgumentError(tuningPath(fusionFolder(), key) +
                                        " names values that are not computed behind the product");
    }
    request.warn("warning: " + std::string(kept.status().message()) + "; it is not used");
    return {};
  }

  // The model's own way comes first, with nothing turned round.
  std::vector<Ways> waysOf(const Product &p) {
    std::vector<Ways> ways{{}};
    for (bool behind : {false, true}) {
      Ways all;
      for (const Value &v : p.values) all[v.number] = behind;
      if (p.numBehind() != (behind ? p.values.size() : 0)) ways.push_back(all);
    }
    for (const Value &v : p.values)
      if (p.values.size() > 1 && ways.size() < kMostWays) ways.push_back({{v.number, !v.behind}});
    return ways;
  }

  // Nothing: it was not worth it, or there was no time.
  std::optional<TunedFusion> measure(const Product &p, const std::string &key) {
    auto [entry, part] = share(p.function());
    double most = 0;
    for (const Value &v : p.values) most = std::max(most, v.ns);
    if (request.seconds <= 0 || most * part < (entry == "train_step" ? kLeastOfStep : kLeastOfEntry))
      return {};
    const double left = kMostPart * request.seconds - (now() - start);
    if (left <= 0) {
      ++report.left;
      return {};
    }
    told = true;
    request.progress(formatv("tuning what is computed behind {0}, about {1} s left", p.name, int64_t(left)));
    if (!ownWay()) return {};
    const std::vector<Ways> possible = waysOf(p);
    std::vector<Ways> ways{{}};
    std::vector<std::unique_ptr<FusionWay>> built;
    SmallVector<FusionWay *> all{own.get()};
    for (const Ways &way : llvm::drop_begin(possible)) {
      OwningOpRef<ModuleOp> planned = plan(way, p.name);
      if (!planned) return {};
      if (fits && !fits(*planned)) continue;
      built.push_back(std::make_unique<FusionWay>(std::move(planned), request.microBatches));
      if (llvm::any_of(all, [&](FusionWay *other) { return other->texts == built.back()->texts; })) {
        built.pop_back();
        continue;
      }
      ways.push_back(way);
      all.push_back(built.back().get());
    }
    for (FusionWay *way : all) predictSites(way->sites, *way->module, nominal, request.microBatches);
    WaysToTime timed = waysToTime(all, entry);
    if (all.size() < 2 || timed.bytes() > kMostBytes || timed.ns > kMostNs ||
        llvm::any_of(timed.candidates, [](const Candidate &c) { return c.steps.empty(); }))
      return {};
    auto fail = [&](const std::string &what) -> std::optional<TunedFusion> {
      problem = "tuning what is computed behind product " + p.name + ": " + what +
                "\nhint: this is a mistake of the compiler's; without --tune it takes its own choice";
      return {};
    };
    auto image = cpu::compileKernels(*timed.kernels, level);
    if (failed(image)) return fail("a kernel does not compile");
    auto measured = measureCandidates(*image, timed.memory, timed.candidates, Results::ofNoMatter,
                                      request.threads, std::min(left, kMostSeconds));
    if (auto *text = std::get_if<std::string>(&measured)) return fail(*text);
    auto fastest = fastestCandidate(std::get<std::vector<CandidateTiming>>(measured));
    if (!fastest) return {}; // no time to tell: next time
    TunedFusion tuned{
        {key, fastest->seconds * 1e3, fastest->firstSeconds * 1e3, int64_t(ways.size()), utcNow()}, {}, {}};
    for (auto [value, behind] : ways[fastest->index]) (behind ? tuned.behind : tuned.apart).push_back(value);
    if (absl::Status status = storeTuned(tuned); !status.ok())
      request.warn("warning: " + std::string(status.message()) + "; what was measured is not kept");
    return tuned;
  }

  // `p`: as the model has it.
  void tell(const Product &p, const TunedFusion &tuned, bool cached) {
    std::string text =
        formatv("{0} of {1} values behind the product that they read", p.numBehind(), p.values.size());
    if (tuned.behind.empty() && tuned.apart.empty())
      text += formatv(", {0:f3} ms, is beaten by no other way of {1}", tuned.ownMs, tuned.candidates - 1);
    else
      text += formatv(" → {0} of them: {1:f3} → {2:f3} ms",
                      llvm::count_if(p.values,
                                     [&](const Value &v) {
                                       return v.behind ? !llvm::is_contained(tuned.apart, v.number)
                                                       : llvm::is_contained(tuned.behind, v.number);
                                     }),
                      tuned.ownMs, tuned.ms);
    report.remarks.push_back({"tune", "remark", text + (cached ? " (from cache)" : ""), p.where});
  }

  ModuleOp tiled;
  const PipelineOptions &pipeline;
  const TuneRequest &request;
  const cpu::CpuLevel &level;
  llvm::function_ref<bool(ModuleOp)> fits;
  const std::string machine;
  const Calibration nominal;
  const double start;
  std::map<std::string, std::map<std::string, double>> parts; // by function and entry
  std::vector<Product> products;                              // with what is taken
  std::unique_ptr<FusionWay> own;                             // likewise; null: not built
  FusionReport report;
  bool told = false; // progress
  std::string problem;
};

} // namespace

void FusionReport::add(const FusionReport &other) {
  measured += other.measured;
  faster += other.faster;
  fromCache += other.fromCache;
  left += other.left;
  llvm::append_range(remarks, other.remarks);
}

std::variant<FusionReport, std::string> tuneFusions(ModuleOp tiled, const PipelineOptions &pipeline,
                                                    const TuneRequest &request,
                                                    llvm::function_ref<bool(ModuleOp)> fits) {
  const cpu::CpuLevel *level = levelHere(request.levels);
  std::error_code error;
  // tuneKernels says what is wrong where this machine has none of the levels.
  if (!level || (request.seconds <= 0 && !std::filesystem::exists(fusionFolder(), error)))
    return FusionReport();
  return FusionTuner(tiled, pipeline, request, *level, fits).run();
}

} // namespace weft
