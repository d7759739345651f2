#include "compiler/tune/tune_fusions.h"
#include "compiler/tune/fusion_programs.h"
#include "compiler/tune/tuning_cache.h"
#include "passes/codegen/cpu/compile.h"
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
constexpr double kMostSeconds = 8;                  // of one product
constexpr double kMostNs = kMostSeconds / 30 * 1e9; // of a way
constexpr int64_t kMostBytes = int64_t{1} << 31;
constexpr size_t kMostWays = 10;

double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

class FusionTuner {
public:
  FusionTuner(ModuleOp tiled, const PipelineOptions &options, const TuneRequest &request,
              const cpu::CpuLevel &level, llvm::function_ref<bool(ModuleOp)> fits)
      : programs(tiled, options, request.microBatches), context(tiled.getContext()), request(request),
        level(level), fits(fits), machine(fusionMachineKey(level.name.str(), request.threads) +
                                          formatv("fused for {0}, {1} threads, unit {2}\n", options.cpuLevel,
                                                  options.threads, options.bf16Unit)
                                              .str()),
        start(now()) {}

  std::variant<FusionReport, std::string> run() {
    products = programs.products();
    std::vector<std::string> functions;
    for (const FusedProduct &p : products)
      if (!llvm::is_contained(functions, p.function())) functions.push_back(p.function());
    // What matters most comes first while there is time.
    auto order = [&](const std::string &function) {
      auto [entry, part] = programs.share(function);
      return std::pair(entry == "train_step", part);
    };
    if (request.seconds > 0)
      llvm::stable_sort(functions, [&](const auto &a, const auto &b) { return order(a) > order(b); });
    for (const std::string &function : functions)
      if (programs.error.empty()) settle(function);
    if (told) request.progress("");
    if (!programs.error.empty()) return programs.error;
    report.behind = programs.behind;
    report.apart = programs.apart;
    return std::move(report);
  }

private:
  // Looks up or measures one product after the other: what the earlier ones take changes what is left for the
  // later ones.
  void settle(const std::string &function) {
    llvm::StringSet<> done;
    while (programs.error.empty()) {
      auto next = llvm::find_if(products, [&](const FusedProduct &p) {
        return p.function() == function && !done.contains(p.name);
      });
      if (next == products.end()) return;
      const FusedProduct p = *next;
      done.insert(p.name);
      std::optional<TunedFusion> tuned = lookUp(p);
      const bool cached = tuned && !here.contains(keyOf(p));
      if (!tuned) tuned = measure(p);
      if (!tuned) continue;
      const ValueChoices choices = choicesOf(*tuned);
      const std::string problem = choices.empty() ? "" : take(p, choices);
      ++report.measured;
      report.fromCache += cached;
      report.faster += !choices.empty() && problem.empty();
      tell(p, *tuned, problem, cached);
    }
  }

  std::string keyOf(const FusedProduct &p) const { return machine + p.text; }
  static ValueChoices choicesOf(const TunedFusion &tuned) {
    ValueChoices choices;
    for (int64_t v : tuned.behind) choices[v] = true;
    for (int64_t v : tuned.apart) choices[v] = false;
    return choices;
  }

  // "", or why not.
  std::string take(const FusedProduct &p, const ValueChoices &choices) {
    ScopedDiagnosticHandler quiet(context, [](Diagnostic &) { return success(); }); // it is no error
    programs.take(p, choices);
    std::vector<FusedProduct> after = programs.products();
    const bool fitting = !fits || (programs.own() && fits(*programs.own()->module)),
               works = programs.error.empty();
    if (works && fitting) {
      products = std::move(after);
      return "";
    }
    programs.takeBack(choices);
    if (works) return "does not fit into the memory budget";
    request.warn("warning: what was measured of product " + p.name + " does not compile; it is not used");
    return "does not compile";
  }

  std::optional<TunedFusion> lookUp(const FusedProduct &p) {
    absl::StatusOr<TunedFusion> kept = loadTunedFusion(keyOf(p));
    if (absl::IsNotFound(kept.status())) return {};
    if (kept.ok()) {
      // Only what could have been measured is taken.
      if (choicesOf(*kept).size() == kept->behind.size() + kept->apart.size() &&
          llvm::is_contained(waysOf(p), choicesOf(*kept)))
        return *std::move(kept);
      kept = absl::InvalidArgumentError(tuningPath(fusionFolder(), keyOf(p)) +
                                        " has a way to fuse that is none of the product's");
    }
    request.warn("warning: " + std::string(kept.status().message()) + "; it is not used");
    return {};
  }

  // The model's own way comes first, with nothing turned round.
  static std::vector<ValueChoices> waysOf(const FusedProduct &p) {
    std::vector<ValueChoices> ways(3);
    for (const FusedValue &v : p.values) {
      ways[1][v.number] = false;
      ways[2][v.number] = true;
    }
    for (const FusedValue &v : p.values)
      if (p.values.size() > 1 && ways.size() < kMostWays) ways.push_back({{v.number, !v.behind}});
    return ways;
  }
  static bool isOwn(const FusedProduct &p, const ValueChoices &way) {
    return llvm::all_of(p.values, [&](const FusedValue &v) {
      auto it = way.find(v.number);
      return it == way.end() || it->second == v.behind;
    });
  }
  static std::string textOf(ArrayRef<ValueChoices> ways) {
    std::string out;
    for (auto [i, way] : llvm::enumerate(ways)) {
      out += formatv("{0}{1}:", i ? "; " : "", i);
      for (auto [value, behind] : way) out += formatv(" {0} {1}", value, behind ? "behind" : "apart");
      if (way.empty()) out += " the model's";
    }
    return out;
  }

  // Nothing: it was not worth it, or there was no time.
  std::optional<TunedFusion> measure(const FusedProduct &p) {
    double most = 0;
    for (const FusedValue &v : p.values) most = std::max(most, v.ns);
    if (request.seconds <= 0) return {};
    auto [entry, part] = programs.share(p.function());
    if (most * part < (entry == "train_step" ? kLeastOfStep : kLeastOfEntry)) return {};
    const double left = request.seconds - (now() - start);
    if (left <= 0) {
      ++report.left;
      return {};
    }
    told = true;
    request.progress(formatv("tuning what is computed behind {0}, about {1} s left", p.name, int64_t(left)));
    if (!programs.own()) return {};
    std::vector<ValueChoices> ways{{}};
    std::vector<std::unique_ptr<FusionWay>> built;
    SmallVector<FusionWay *> all{programs.own()};
    bool allFit = true;
    for (const ValueChoices &way : waysOf(p)) {
      if (isOwn(p, way)) continue;
      OwningOpRef<ModuleOp> planned = programs.plan(p, way);
      if (!planned) return {};
      if (fits && !fits(*planned)) {
        allFit = false;
        continue;
      }
      built.push_back(std::make_unique<FusionWay>(std::move(planned), request.microBatches));
      if (llvm::any_of(all, [&](FusionWay *other) {
            return other->launches(entry) == built.back()->launches(entry);
          })) {
        built.pop_back();
        continue;
      }
      ways.push_back(way);
      all.push_back(built.back().get());
    }
    const Calibration running = NominalMachine(level.name.str(), request.threads);
    for (FusionWay *way : all) {
      ModuleOp module = *way->module;
      predictSites(way->sites, module, running, request.microBatches);
    }
    WaysToTime timed = waysToTime(all, entry);
    if (all.size() < 2 || timed.bytes() > kMostBytes || timed.ns > kMostNs ||
        llvm::any_of(timed.candidates, [](const Candidate &c) { return c.steps.empty(); }))
      return {};
    auto fail = [&](const std::string &what) -> std::optional<TunedFusion> {
      programs.error =
          formatv("tuning what is computed behind product {0}: {1} ({2})\nhint: this is a mistake of "
                  "the compiler's; without --tune it takes its own choice",
                  p.name, what, textOf(ways));
      return {};
    };
    auto image = cpu::compileKernels(*timed.kernels, level);
    if (failed(image)) return fail("a kernel does not compile");
    auto measured = measureCandidates(*image, timed.memory, timed.candidates, Results::notCompared,
                                      request.threads, std::min(left, kMostSeconds));
    if (auto *text = std::get_if<std::string>(&measured)) return fail(*text);
    auto fastest = fastestCandidate(std::get<std::vector<CandidateTiming>>(measured));
    if (!fastest) { // no time to tell: next time
      ++report.left;
      return {};
    }
    TunedFusion tuned{
        {keyOf(p), fastest->seconds * 1e3, fastest->firstSeconds * 1e3, int64_t(ways.size()), utcNow()},
        {},
        {}};
    for (auto [value, behind] : ways[fastest->index]) (behind ? tuned.behind : tuned.apart).push_back(value);
    if (!allFit) return tuned;
    here.insert(tuned.key);
    if (absl::Status status = storeTuned(tuned); !status.ok())
      request.warn("warning: " + std::string(status.message()) + "; what was measured is not kept");
    return tuned;
  }

  // `p`: as the model has it. `problem`: why what is faster is not taken.
  void tell(const FusedProduct &p, const TunedFusion &tuned, const std::string &problem, bool cached) {
    const ValueChoices choices = choicesOf(tuned);
    auto count = [&](bool chosen) {
      return llvm::count_if(p.values, [&](const FusedValue &v) {
        auto it = choices.find(v.number);
        return chosen && it != choices.end() ? it->second : v.behind;
      });
    };
    std::string text =
        formatv("{0} of {1} values behind the product that they read", count(false), p.values.size());
    if (choices.empty())
      text += formatv(", {0:f3} ms, is beaten by no other way of {1}", tuned.ownMs, tuned.candidates - 1);
    else
      text += formatv(" → {0} of them: {1:f3} → {2:f3} ms{3}", count(true), tuned.ownMs, tuned.ms,
                      problem.empty() ? "" : ", not taken: it " + problem);
    report.remarks.push_back({"tune", "remark", text + (cached ? " (from cache)" : ""), p.where});
  }

  FusionPrograms programs;
  MLIRContext *context;
  const TuneRequest &request;
  const cpu::CpuLevel &level;
  llvm::function_ref<bool(ModuleOp)> fits;
  const std::string machine;
  const double start;
  std::vector<FusedProduct> products; // with what is taken
  FusionReport report;
  llvm::StringSet<> here; // keys that were measured in this run
  bool told = false;      // progress
};

} // namespace

void FusionReport::add(const FusionReport &other) {
  measured += other.measured;
  faster += other.faster;
  fromCache += other.fromCache;
  left += other.left;
  llvm::append_range(remarks, other.remarks);
}

std::variant<FusionReport, std::string> tuneFusions(ModuleOp tiled, const PipelineOptions &options,
                                                    const TuneRequest &request,
                                                    llvm::function_ref<bool(ModuleOp)> fits) {
  const cpu::CpuLevel *level = levelHere(request.levels);
  std::error_code error;
  // tuneKernels says what is wrong where this machine has none of the levels.
  if (!level || (request.seconds <= 0 && !std::filesystem::exists(fusionFolder(), error)))
    return FusionReport();
  // What is said about ways that are not taken is not of interest.
  ScopedDiagnosticHandler quiet(tiled.getContext(), [](Diagnostic &d) {
    return success(d.getSeverity() == DiagnosticSeverity::Remark);
  });
  return FusionTuner(tiled, options, request, *level, fits).run();
}

} // namespace weft
