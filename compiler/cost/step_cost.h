// How long a call of an entry should take: the cost model of `weft profile` on a program that has not run.
#pragma once
#include "dialects/program/program.h"
#include "mlir/IR/BuiltinOps.h"
#include "runtime/profile/cost_model.h"

namespace weft {

// What a launch of `kernelOp` (the op in its kernel) computes. Which keys attention's queries see is data:
// where there are as many of one as of the other, a row is taken for one document, of which each token sees
// those before it.
LaunchWork launchWork(program::LaunchOp launch, mlir::Operation *kernelOp);

// Nanoseconds of launches, copies and fillings of one call of `entry` in a planned module (its own kernels
// in it), with the caches as the call before left them; collectives take none. Loops of a count known only
// at run time go round `microBatches` times. 0 when there is no such entry.
double predictEntryNs(mlir::ModuleOp module, llvm::StringRef entry, const Calibration &machine,
                      int64_t microBatches);

} // namespace weft
