// A block while its graph ops become kernels: what is computed together, where values lie, and what takes
// whose place.
#pragma once
#include "dialects/kernel/kernel.h"
#include "passes/fuse/clusters.h"

namespace weft {

class FusedBlock {
public:
  FusedBlock(mlir::Block &block, const FusionMachine &machine, const FusionChoices &given)
      : block(block), clusters(block, machine, given) {}

  // Exists in memory.
  bool isBase(mlir::Value v) const { return clusters.isMaterialised(v); }
  // How v lies in the memory of a base.
  StridedView view(mlir::Value v) const;
  // Of a kernel's dimension i: along dims[i] of the view; -1: it does not vary.
  kernel::AccessAttr access(const StridedView &v, llvm::ArrayRef<int64_t> dims) const;
  // The buffer of a value that is its base's buffer, reshaped.
  mlir::Value contiguousValue(mlir::Value v);
  // Whether every use of this op's results ends inside the cluster's own kernel.
  bool computedInside(mlir::Operation *user, const Cluster &c) const;
  // Once all kernels are there.
  void replace(mlir::Value from, mlir::Value to) { replacements.push_back({from, to}); }

  mlir::Block &block;
  Clusters clusters;
  llvm::SmallVector<std::pair<mlir::Value, mlir::Value>> replacements;
};

} // namespace weft
