// What compiling for a memory budget reads from a module, and what is said of it.
#pragma once
#include "compiler/cost/memory_budget.h"
#include "mlir/IR/BuiltinOps.h"
#include "runtime/profile/calibration.h"

namespace weft {

// What a rank takes that trains: parameters and states, and the arena, of train_step or of another entry.
// Derived weights lie behind the others, and are touched where generating makes them.
struct StageMemory {
  int64_t persistent = 0, training = 0, others = 0; // bytes
  int64_t bytes() const { return persistent + std::max(training, others); }
};
StageMemory memoryOf(mlir::ModuleOp planned);

// An op whose values forward keeps for backward.
struct KeptOp {
  MemoryTrial::Kept kept;
  std::string what; // "matmul"
  mlir::Location where;
};
// Takes what differentiate reports off the module. Computing an op again is guessed from its operations, in
// bf16 with `bf16Unit` (the dot unit; "" in f32), and a pass over its bytes.
std::vector<KeptOp> takeKept(mlir::ModuleOp module, const Calibration &machine, const std::string &bf16Unit);

// "matmul computed again in backward: takes 37.7 MB off the peak, predicted to cost 32531 us (+2.43 % of a
// step)"; `stepNs` of the program that keeps everything.
std::string remarkOf(const RecomputedValue &value, const KeptOp &op, double stepNs);

} // namespace weft
