// Schedules of a kernel that are worth measuring: what --tune chooses from, and all that its cache may name.
#pragma once
#include "dialects/kernel/kernel.h"
#include "passes/codegen/cpu/level.h"

namespace weft::cpu {

constexpr int64_t kMostCandidates = 28;

// What is wrong with a kernel op's schedule; "" for nothing.
std::string scheduleProblem(mlir::Operation *kernelOp);

// The op's own schedule first, then others, those that look fastest first where there is a model of that: at
// most kMostCandidates, each of which makes other code or other work items at `level`. None changes a bit.
// `sizes` are the op's own, of one launch. Alone the op's own where there is nothing to choose.
llvm::SmallVector<kernel::ScheduleAttr> scheduleCandidates(mlir::Operation *kernelOp,
                                                           llvm::ArrayRef<int64_t> sizes, int64_t threads,
                                                           const CpuLevel &level);

} // namespace weft::cpu
