// One program fused in several ways: the kernels in which the ways differ, as candidates to be timed.
#pragma once
#include "compiler/tune/measure_candidates.h"
#include "compiler/tune/tuning_sites.h"

namespace weft {

// A planned program and its launches.
struct FusionWay {
  FusionWay(mlir::OwningOpRef<mlir::ModuleOp> planned, int64_t microBatches);
  mlir::OwningOpRef<mlir::ModuleOp> module;
  std::vector<TuningSite> sites;
  std::vector<std::string> texts; // of sites: kernel, schedule and sizes

  // Of an entry's launches, sorted: ways that have the same are one.
  std::vector<llvm::StringRef> launches(llvm::StringRef entry);
};

struct WaysToTime {
  mlir::OwningOpRef<mlir::ModuleOp> kernels; // each that any candidate launches, once
  std::vector<Candidate> candidates;         // of each way, its launches that are not in all of them
  launch_data::Launch memory{};              // of the candidates
  double ns = 0;                             // predicted, of the longest; by predictSites

  int64_t bytes() const;
};
// Of one call of an entry, in order; empty where an entry launches the same in all ways. What is launched
// several times in one way is compared by how often. Loops' bodies count once: what differs is in one of
// them.
WaysToTime waysToTime(llvm::ArrayRef<FusionWay *> ways, llvm::StringRef entry);

} // namespace weft
