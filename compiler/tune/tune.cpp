#include "compiler/tune/tune.h"
#include "compiler/kernels/kernel_launch.h"
#include "compiler/tune/measure_candidates.h"
#include "compiler/tune/tuning_cache.h"
#include "compiler/tune/tuning_sites.h"
#include "passes/codegen/cpu/compile.h"
#include "passes/codegen/cpu/emit.h"
#include "passes/codegen/cpu/schedule_candidates.h"
#include "runtime/device/cpu.h"
#include "llvm/Support/FormatVariadic.h"
#include <chrono>

using namespace mlir;
using llvm::formatv;
namespace weft {
namespace {

// Less than this of a training step, or of another entry where no step has it, is not worth a measurement.
constexpr double kLeastOfStep = 0.0005, kLeastOfEntry = 0.01;
constexpr double kLeastNs = 1000; // of a launch: less is the start of threads
constexpr int64_t kMostBytes = int64_t{1} << 31;
constexpr double kMostSeconds = 12; // of one kernel

double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

ScheduleFields fieldsOf(kernel::ScheduleAttr s) {
  return {s.getTileM(), s.getTileN(), s.getBlockM(), s.getBlockN(), s.getBlockK()};
}

// "tile_m 12 → 8, block_k 128 → 192".
std::string changes(kernel::ScheduleAttr from, kernel::ScheduleAttr to) {
  const char *names[] = {"tile_m", "tile_n", "block_m", "block_n", "block_k"};
  ScheduleFields a = fieldsOf(from), b = fieldsOf(to);
  std::string out;
  for (size_t i = 0; i < a.size(); ++i)
    if (a[i] != b[i]) out += formatv("{0}{1} {2} → {3}", out.empty() ? "" : ", ", names[i], a[i], b[i]).str();
  return out;
}

class Tuner {
public:
  Tuner(ArrayRef<ModuleOp> modules, const TuneRequest &request, const cpu::CpuLevel &level)
      : modules(modules), request(request), level(level),
        machine(machineKey(level.name.str(), request.threads)),
        sites(tuningSites(modules, request.microBatches)) {}

  std::variant<TuneReport, std::string> run() {
    const double start = now();
    std::vector<TuningSite *> open;
    for (TuningSite &site : sites) {
      found.emplace_back();
      if (!lookUp(site)) open.push_back(&site);
    }
    if (request.seconds > 0 && !open.empty())
      if (std::string problem = measureAll(open, start); !problem.empty()) return problem;
    applyChosen(sites, modules);
    for (size_t i = 0; i < sites.size(); ++i) tell(sites[i], found[i]);
    report.seconds = now() - start;
    return std::move(report);
  }

private:
  struct Found {
    TunedSchedule tuned;
    bool known = false, cached = false;
  };
  Found &foundOf(TuningSite &site) { return found[&site - sites.data()]; }

  SmallVector<kernel::ScheduleAttr> candidatesOf(TuningSite &site) {
    return cpu::scheduleCandidates(site.op(), site.ownSizes(), request.threads, level);
  }

  bool lookUp(TuningSite &site) {
    if (!site.own) return true; // nothing to tune
    absl::StatusOr<TunedSchedule> kept = loadTunedSchedule(machine + siteKey(site));
    if (absl::IsNotFound(kept.status())) return false;
    if (kept.ok()) {
      // Only what could have been measured is taken: whatever the file holds, it changes no bit.
      for (kernel::ScheduleAttr s : candidatesOf(site))
        if (fieldsOf(s) == kept->schedule) {
          site.chosen = s;
          foundOf(site) = {*std::move(kept), true, true};
          return true;
        }
      kept = absl::InvalidArgumentError(tuningPath(scheduleFolder(), machine + siteKey(site)) +
                                        " has a schedule that is none of the kernel's candidates");
    }
    request.warn("warning: " + std::string(kept.status().message()) + "; it is not used");
    return false;
  }

  std::string measureAll(std::vector<TuningSite *> open, double start) {
    request.progress("measuring this machine");
    {
      ThreadPool pool({request.threads, 50});
      absl::StatusOr<Calibration> calibration =
          CachedCalibration(pool, level.name.str(), /*again=*/false, [](const std::string &) {});
      if (!calibration.ok()) return std::string(calibration.status().message());
      predictSites(sites, modules, *calibration, request.microBatches);
    }
    llvm::erase_if(open, [&](TuningSite *s) {
      int64_t bytes = 0;
      for (Value buffer : s->launches.front().getBuffers()) bytes += describeBuffer(buffer)->extent;
      bool worth = s->stepNs > 0 ? s->stepShare(stepNs()) >= kLeastOfStep : s->share >= kLeastOfEntry;
      return !worth || s->ns < kLeastNs || bytes > kMostBytes || s->ns > kMostSeconds / 30 * 1e9 ||
             candidatesOf(*s).size() < 2;
    });
    llvm::stable_sort(open, [](TuningSite *a, TuningSite *b) {
      return std::pair(a->stepNs, a->share) > std::pair(b->stepNs, b->share);
    });
    const double begin = now();
    for (auto [i, site] : llvm::enumerate(open)) {
      const double spent = now() - begin, left = request.seconds - (now() - start);
      if (left <= 0) {
        report.left = int64_t(open.size() - i);
        break;
      }
      double rest = i == 0 ? left : std::min(left, spent / double(i) * double(open.size() - i));
      request.progress(formatv("tuning {0} of {1}: {2} at {3}, about {4} s left", i + 1, open.size(),
                               site->kernel.getSymName(), site->sizesText(), int64_t(rest + 0.5)));
      if (std::string problem = measure(*site, std::min(left, kMostSeconds)); !problem.empty()) {
        request.progress("");
        return "tuning kernel " + site->kernel.getSymName().str() + " at " + site->sizesText() + ": " +
               problem +
               "\nhint: this is a mistake of the compiler's; without --tune it takes its own schedule";
      }
    }
    request.progress("");
    return "";
  }

  double stepNs() {
    double all = 0;
    for (TuningSite &site : sites) all += site.stepNs;
    return all;
  }

  // What went wrong, or "".
  std::string measure(TuningSite &site, double seconds) {
    MLIRContext *context = site.kernel.getContext();
    SmallVector<kernel::ScheduleAttr> candidates = candidatesOf(site);
    OwningOpRef<ModuleOp> module = ModuleOp::create(UnknownLoc::get(context));
    fb::LaunchT described = describeLaunch(site.launches.front());
    std::vector<Candidate> timed;
    launch_data::Launch memory{};
    for (auto [i, schedule] : llvm::enumerate(candidates)) {
      auto copy = cast<program::KernelOp>(site.kernel->clone());
      module->push_back(copy);
      copy.setSymName("candidate_" + std::to_string(i));
      Operation *op = cpu::kernelOpOf(copy);
      op->setAttr("schedule", schedule);
      launch_data::Launch launch = planLaunch(described, op, cpu::scratchBytes(copy));
      launch.items = kernel::numWorkItems(op, site.ownSizes());
      launch.piece = kernel::itemsTogether(op, site.ownSizes());
      const int64_t scratch = std::max(memory.scratch_bytes, launch.scratch_bytes);
      memory = launch;
      memory.scratch_bytes = scratch;
      timed.push_back({{{copy.getSymName().str(), std::move(launch), 0}}});
    }
    auto image = cpu::compileKernels(*module, level);
    if (failed(image)) return "a candidate does not compile";
    auto measured = measureCandidates(*image, memory, timed, Results::compared, request.threads, seconds);
    if (auto *problem = std::get_if<std::string>(&measured)) return *problem;
    auto &timings = std::get<std::vector<CandidateTiming>>(measured);
    for (auto [i, timing] : llvm::enumerate(timings))
      if (timing.differs)
        return formatv("with {0} its results have other bits", changes(site.own, candidates[i]));
    std::optional<FastestCandidate> fastest = fastestCandidate(timings);
    if (!fastest) { // no time to tell: next time
      ++report.left;
      return "";
    }
    site.chosen = candidates[fastest->index];
    Found &f = foundOf(site);
    f.known = true;
    f.tuned = {{machine + siteKey(site), fastest->seconds * 1e3, fastest->firstSeconds * 1e3,
                int64_t(candidates.size()), utcNow()},
               fieldsOf(site.chosen),
               fieldsOf(site.own)};
    if (absl::Status status = storeTuned(f.tuned); !status.ok())
      request.warn("warning: " + std::string(status.message()) + "; what was measured is not kept");
    return "";
  }

  void tell(TuningSite &site, const Found &f) {
    if (!f.known) return;
    ++report.tuned;
    report.fromCache += f.cached;
    report.stepMs += site.timesInStep * f.tuned.ms;
    report.ownStepMs += site.timesInStep * f.tuned.ownMs;
    std::string text = site.sizesText() + ": ";
    if (site.chosen == site.own)
      text += formatv("the compiler's own schedule, {0:f3} ms, is beaten by none of {1}", f.tuned.ownMs,
                      f.tuned.candidates - 1);
    else {
      ++report.faster;
      text += formatv("{0}: {1:f3} → {2:f3} ms", changes(site.own, site.chosen), f.tuned.ownMs, f.tuned.ms);
      std::string &all = report.ofKernels[site.kernel.getSymName()];
      all += (all.empty() ? "" : "; ") + text;
    }
    report.remarks.push_back(
        {"tune", "remark", site.kernel.getSymName().str() + " at " + text + (f.cached ? " (from cache)" : ""),
         site.launches.front().getLoc()});
  }

  ArrayRef<ModuleOp> modules;
  const TuneRequest &request;
  const cpu::CpuLevel &level;
  std::string machine;
  std::vector<TuningSite> sites;
  std::vector<Found> found;
  TuneReport report;
};

} // namespace

const cpu::CpuLevel *levelHere(ArrayRef<std::string> levels) {
  const cpu::CpuLevel *level = nullptr;
  for (int l = int(CpuLevel::avx2); l <= int(DetectCpuLevel()); ++l)
    if (llvm::is_contained(levels, CpuLevelName(CpuLevel(l))))
      level = cpu::findCpuLevel(CpuLevelName(CpuLevel(l)));
  return level;
}

std::variant<TuneReport, std::string> tuneKernels(ArrayRef<ModuleOp> modules, const TuneRequest &request) {
  const cpu::CpuLevel *level = levelHere(request.levels);
  if (!level) {
    if (request.seconds > 0)
      return std::string(
          "--tune measures on this machine, which has no level that the program is compiled for\nhint: "
          "--target cpu:native, or compile without --tune");
    return TuneReport();
  }
  return Tuner(modules, request, *level).run();
}

} // namespace weft
