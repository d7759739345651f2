#include "compiler/tune/tuning_sites.h"
#include "compiler/cost/step_cost.h"
#include "passes/codegen/cpu/emit.h"
#include "passes/program/kernel_work.h"
#include "runtime/profile/cost_model.h"
#include "llvm/ADT/MapVector.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/ADT/StringSet.h"

using namespace mlir;
namespace weft {

Operation *TuningSite::op() { return cpu::kernelOpOf(kernel); }
ArrayRef<int64_t> TuningSite::ownSizes() {
  return launches.front().getSizes().take_front(kernel::SizeLayout(op()).numDims);
}
std::string TuningSite::sizesText() {
  std::string out;
  for (int64_t size : ownSizes())
    if (size != 1 || ownSizes().size() == 1) out += (out.empty() ? "" : " x ") + std::to_string(size);
  return out.empty() ? "1" : out;
}

// Launches of `launch` in one call of its entry.
static double timesOf(program::LaunchOp launch, int64_t microBatches) {
  double times = 1;
  for (Operation *at = launch->getParentOp(); at; at = at->getParentOp()) {
    auto loop = dyn_cast<program::LoopOp>(at);
    if (!loop) continue;
    times *= int64_t(loop.getCountArgument()) >= 0
                 ? double(microBatches) / double(std::max<int64_t>(loop.getParts(), 1))
                 : double(std::max<int64_t>(int64_t(loop.getEnd()) - int64_t(loop.getBegin()), 0));
  }
  return times;
}

std::vector<TuningSite> tuningSites(ArrayRef<ModuleOp> modules, int64_t microBatches) {
  std::vector<TuningSite> sites;
  llvm::StringMap<program::KernelOp> kernels;
  ModuleOp all = modules.front();
  for (auto k : all.getOps<program::KernelOp>()) kernels[k.getSymName()] = k;
  std::map<std::pair<std::string, std::vector<int64_t>>, size_t> known;
  for (ModuleOp module : modules)
    module.walk([&](program::LaunchOp launch) {
      std::vector<int64_t> sizes(launch.getSizes().begin(), launch.getSizes().end());
      auto [it, fresh] = known.try_emplace({launch.getKernel().str(), sizes}, sites.size());
      if (fresh) {
        sites.emplace_back();
        sites.back().kernel = kernels.lookup(launch.getKernel());
        sites.back().own = sites.back().op()->getAttrOfType<kernel::ScheduleAttr>("schedule");
        sites.back().chosen = sites.back().own;
      }
      TuningSite &site = sites[it->second];
      site.launches.push_back(launch);
      auto entry = launch->getParentOfType<program::EntryOp>();
      if (entry.getSymName() == "train_step") site.timesInStep += timesOf(launch, microBatches);
    });
  return sites;
}

void predictSites(std::vector<TuningSite> &sites, ArrayRef<ModuleOp> modules, const Calibration &machine,
                  int64_t microBatches) {
  llvm::MapVector<Operation *, double> entries; // ns
  std::vector<std::vector<std::pair<Operation *, double>>> ofSite(sites.size());
  for (auto [i, site] : llvm::enumerate(sites)) {
    program::LaunchOp first = site.launches.front();
    std::vector<int64_t> found(machine.levels.size());
    // A step goes through more than a third level holds: what the first two do not hold counts as in memory.
    size_t level = 0;
    while (level + 1 < found.size() && int64_t(first.getBytes()) > machine.levels[level].bytes) ++level;
    if (level > 1) level = found.size() - 1;
    found[level] = first.getBytes();
    const LaunchWork work = launchWork(first, site.op());
    site.ns = PredictLaunchNs(machine, work, found, BalanceOf(first.getItems(), machine.threads));
    for (program::LaunchOp launch : site.launches) {
      auto entry = launch->getParentOfType<program::EntryOp>();
      const double times = timesOf(launch, microBatches);
      entries[entry] += times * site.ns;
      ofSite[i].emplace_back(entry, times * site.ns);
      if (entry.getSymName() == "train_step") site.stepNs += times * site.ns;
    }
  }
  for (auto [i, site] : llvm::enumerate(sites)) {
    std::map<Operation *, double> share;
    for (auto &[entry, ns] : ofSite[i])
      if (entries[entry] > 0) share[entry] += ns / entries[entry];
    for (auto &[entry, part] : share) site.share = std::max(site.share, part);
  }
}

std::string siteKey(TuningSite &site) {
  OwningOpRef<program::KernelOp> copy(cast<program::KernelOp>(site.kernel->clone()));
  copy->setSymName("kernel");
  cpu::kernelOpOf(*copy)->removeAttr("schedule");
  std::string text;
  llvm::raw_string_ostream out(text);
  copy.get()->print(out, OpPrintingFlags().useLocalScope());
  out << "\nown " << site.own << "\nsizes";
  for (int64_t size : site.sizes()) out << " " << size;
  out << "\n";
  return text;
}

static void setSchedule(TuningSite &site, program::KernelOp kernel) {
  site.kernel = kernel;
  site.op()->setAttr("schedule", site.chosen);
  for (program::LaunchOp launch : site.launches) {
    launch.setKernel(kernel.getSymName());
    launch.setItems(kernel::numWorkItems(site.op(), site.ownSizes()));
    launch.setPiece(kernel::itemsTogether(site.op(), site.ownSizes()));
    launch.setVectorOps(vectorOpsOf(site.op(), site.ownSizes())); // packing goes by the schedule's blocks
  }
}

void applyChosen(std::vector<TuningSite> &sites, ArrayRef<ModuleOp> modules) {
  ModuleOp first = modules.front();
  llvm::StringSet<> names;
  for (auto k : first.getOps<program::KernelOp>()) names.insert(k.getSymName());
  llvm::MapVector<Operation *, llvm::MapVector<Attribute, SmallVector<TuningSite *>>> kernels;
  for (TuningSite &site : sites) kernels[site.kernel][site.chosen].push_back(&site);
  for (auto &[op, groups] : kernels) {
    auto kernel = cast<program::KernelOp>(op);
    // The compiler's own schedule stays where the name is, so that names move as little as can be.
    Attribute stays = groups.front().first;
    for (auto &[schedule, members] : groups)
      if (schedule == Attribute(members.front()->own)) stays = schedule;
    for (auto &[schedule, members] : groups) {
      program::KernelOp target = kernel;
      if (schedule != stays) {
        auto [family, number] = kernel.getSymName().rsplit('_');
        std::string name;
        for (int i = 0; name.empty() || !names.insert(name).second; ++i)
          name = family.str() + "_" + std::to_string(i);
        target = cast<program::KernelOp>(kernel->clone());
        target.setSymName(name);
        first.push_back(target);
      }
      SmallVector<Location> places;
      for (TuningSite *site : members) {
        setSchedule(*site, target);
        for (program::LaunchOp launch : site->launches) places.push_back(launch.getLoc());
      }
      if (groups.size() > 1) target->setLoc(FusedLoc::get(first.getContext(), places));
    }
  }
}

} // namespace weft
