// How long --check-phases takes, before it begins.
#pragma once
#include "mlir/IR/BuiltinOps.h"

namespace weft {

struct CheckCost {
  double seconds = 0; // of all phases and the kernels, on one processor; good to a factor of two or so
  double bytes = 0;   // of the variables, as doubles, as often as they are held at once
};
// Of a traced module, whose dynamic repeats run `numMicroBatches` times.
CheckCost checkCost(mlir::ModuleOp traced, int64_t numMicroBatches);

// What is wrong with it, with a way out: longer than `limitSeconds` (0: no limit), or more memory than the
// machine has. "" for nothing.
std::string costProblem(const CheckCost &cost, double limitSeconds);
// "40 s", "2.5 h".
std::string durationText(double seconds);

} // namespace weft
