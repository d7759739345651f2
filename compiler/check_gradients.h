// --check-phases for `differentiate`: the gradients that a program asks for, against finite differences.
#pragma once
#include "compiler/check_phases.h"

namespace weft {

// Holds what `differentiate` (a phase run on a module in place) makes of each function of which an entry asks
// for a gradient (graph.value_and_grad) against (f(x + h v) - f(x - h v)) / 2h, in f64, along a random
// direction v over all arguments; f is taken where the entry calls it first. Roundings are left out on both
// sides; integers (what a router chose, which of two is larger) and stop_gradient stay as they are at x;
// graph.custom_gradient counts as its forward function, since its gradient is right by definition. Functions
// that ask for gradients themselves are left out.
//
// Emits an error at the entry that names the arguments whose gradient is wrong, and fails then. `fault` gets
// the first op whose own rule is wrong, or that there is none: then it is what joins them.
mlir::LogicalResult checkGradients(mlir::ModuleOp before, const CheckOptions &options,
                                   llvm::function_ref<mlir::LogicalResult(mlir::ModuleOp)> differentiate,
                                   std::string &fault);

} // namespace weft
