// What --tune tunes: a kernel with the sizes of some of its launches.
#pragma once
#include "dialects/kernel/kernel.h"
#include "dialects/program/program.h"
#include "runtime/profile/calibration.h"
#include <optional>

namespace weft {

struct TuningSite {
  program::KernelOp kernel;
  llvm::SmallVector<program::LaunchOp> launches; // all of these sizes
  kernel::ScheduleAttr own, chosen;
  double timesInStep = 0; // launches in a call of train_step
  // Predicted: ns of a launch, of all launches in a call of train_step, and the largest share that they have
  // of an entry.
  double ns = 0, stepNs = 0, share = 0;

  double stepShare(double allStepNs) const { return allStepNs > 0 ? stepNs / allStepNs : 0; }
  llvm::ArrayRef<int64_t> sizes() { return launches.front().getSizes(); } // with strides
  mlir::Operation *op();
  llvm::ArrayRef<int64_t> ownSizes(); // the op's own
  // "4096 x 1024 x 384".
  std::string sizesText();
};

// Sites of all kernels in modules[0], launched in any of `modules`; `microBatches`: trips of a loop whose
// count is known when it runs.
std::vector<TuningSite> tuningSites(llvm::ArrayRef<mlir::ModuleOp> modules, int64_t microBatches);

// Fills in what is predicted for `threads` threads of a machine.
void predictSites(std::vector<TuningSite> &sites, llvm::ArrayRef<mlir::ModuleOp> modules,
                  const Calibration &machine, int64_t microBatches);

// What the fastest schedule depends on, beside the machine (machineKey): the kernel's text but for its name
// and schedule, the schedule that the compiler would choose, and the launch's sizes.
std::string siteKey(TuningSite &site);

// Gives every launch its site's chosen schedule: a kernel whose launches have different ones becomes several,
// the new ones at the end of modules[0]. sites[i].kernel is then the kernel that its launches launch.
void applyChosen(std::vector<TuningSite> &sites, llvm::ArrayRef<mlir::ModuleOp> modules);

} // namespace weft
