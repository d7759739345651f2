#include "compiler/tune/fusion_ways.h"
#include "compiler/kernels/kernel_launch.h"
#include "compiler/write_artifact.h"
#include "passes/codegen/cpu/emit.h"
#include "llvm/ADT/StringMap.h"

using namespace mlir;
namespace weft {
namespace {

struct EntryLaunch {
  program::LaunchOp launch;
  TuningSite *site;
  StringRef text;
};

std::vector<EntryLaunch> launchesOf(FusionWay &way, StringRef entry) {
  llvm::DenseMap<Operation *, size_t> siteOf;
  for (auto [i, site] : llvm::enumerate(way.sites))
    for (program::LaunchOp launch : site.launches) siteOf[launch] = i;
  std::vector<EntryLaunch> out;
  for (auto e : way.module->getOps<program::EntryOp>())
    if (e.getSymName() == entry)
      e.walk([&](program::LaunchOp launch) {
        const size_t i = siteOf.lookup(launch);
        out.push_back({launch, &way.sites[i], way.texts[i]});
      });
  return out;
}

// Takes out what all have, the first of equal ones.
void keepDifferences(std::vector<std::vector<EntryLaunch>> &ways) {
  llvm::StringMap<int> common;
  for (auto [w, way] : llvm::enumerate(ways)) {
    llvm::StringMap<int> counts;
    for (const EntryLaunch &l : way) ++counts[l.text];
    if (w == 0) common = counts;
    for (auto &entry : common) entry.second = std::min(entry.second, counts.lookup(entry.first()));
  }
  for (auto &way : ways) {
    llvm::StringMap<int> left = common;
    llvm::erase_if(way, [&](const EntryLaunch &l) { return left[l.text]-- > 0; });
  }
}

} // namespace

FusionWay::FusionWay(OwningOpRef<ModuleOp> planned, int64_t microBatches) : module(std::move(planned)) {
  ModuleOp all = *module;
  sites = tuningSites(all, microBatches);
  for (TuningSite &site : sites) texts.push_back(siteKey(site));
}

std::vector<StringRef> FusionWay::launches(StringRef entry) {
  std::vector<StringRef> out;
  for (const EntryLaunch &l : launchesOf(*this, entry)) out.push_back(l.text);
  llvm::sort(out);
  return out;
}

WaysToTime waysToTime(ArrayRef<FusionWay *> ways, StringRef entry) {
  WaysToTime out;
  std::vector<std::vector<EntryLaunch>> launches;
  for (FusionWay *way : ways) launches.push_back(launchesOf(*way, entry));
  keepDifferences(launches);
  out.kernels = ModuleOp::create(UnknownLoc::get(ways.front()->module->getContext()));
  llvm::StringMap<program::KernelOp> kernels; // by text
  std::vector<std::vector<fb::LaunchT>> described(launches.size());
  std::vector<std::vector<PlannedLaunch>> planned(launches.size());
  for (auto [w, way] : llvm::enumerate(launches)) {
    double ns = 0;
    for (const EntryLaunch &l : way) {
      auto [kernel, fresh] = kernels.try_emplace(l.text);
      if (fresh) {
        kernel->second = cast<program::KernelOp>(l.site->kernel->clone());
        kernel->second.setSymName("kernel_" + std::to_string(kernels.size()));
        out.kernels->push_back(kernel->second);
      }
      described[w].push_back(describeLaunch(l.launch));
      ns += l.site->ns;
    }
    for (auto [l, launch] : llvm::zip(way, described[w])) {
      program::KernelOp kernel = kernels.lookup(l.text);
      planned[w].push_back({&launch, cpu::kernelOpOf(kernel), cpu::scratchBytes(kernel)});
    }
    out.ns = std::max(out.ns, ns);
  }
  PlannedSequences sequences = planSequences(planned);
  out.memory = std::move(sequences.memory);
  size_t buffer = 0;
  for (auto [way, steps] : llvm::zip(launches, sequences.launches)) {
    out.candidates.emplace_back();
    for (auto [l, step] : llvm::zip(way, steps)) {
      const size_t count = step.buffers.size();
      out.candidates.back().steps.push_back(
          {kernels.lookup(l.text).getSymName().str(), std::move(step), buffer});
      buffer += count;
    }
  }
  return out;
}

int64_t WaysToTime::bytes() const {
  int64_t bytes = 0;
  for (int64_t block : memory.blocks) bytes += block;
  return bytes;
}

} // namespace weft
