// --check-phases for `differentiate`: the gradients that a program asks for, against finite differences.
#pragma once
#include "compiler/check_phases.h"

namespace weft {

// Holds what `differentiate` (a phase run on a module in place) makes of the first function of which each
// entry asks for a gradient (graph.value_and_grad) against (f(x + h v) - f(x - h v)) / 2h, in f64, along a
// random direction v over all arguments; f is taken where the entry calls it first. Roundings are left out on
// both sides; integers (what a router chose), stop_gradient and which branch max, min and abs took stay as
// they are at x; where differences disagree, other directions and shorter steps are tried, since other kinks
// are met by few. graph.custom_gradient counts as its forward function, since its gradient is right by
// definition. Left out are functions that ask for gradients themselves and values that are not finite.
//
// Emits an error at the entry that names the arguments whose gradient is wrong, and fails then.
struct GradientCheck {
  int64_t held = 0;  // functions whose gradients agree
  std::string left;  // why the last one that was left out was; "" for none
  std::string fault; // of a wrong gradient: the first op whose own rule is wrong, or that there is none, and
                     // it is what joins them
};
mlir::LogicalResult checkGradients(mlir::ModuleOp before, const CheckOptions &options,
                                   llvm::function_ref<mlir::LogicalResult(mlir::ModuleOp)> differentiate,
                                   GradientCheck &check);

} // namespace weft
