// --check-phases for `differentiate`: the gradients that a program asks for, against finite differences.
#pragma once
#include "compiler/check/check_phases.h"
#include "compiler/check/gradient_runner.h"

namespace weft {

// Holds what `differentiate` (a phase run on a module in place) makes of each function of which an entry asks
// for a gradient (graph.value_and_grad) against (f(x + h v) - f(x - h v)) / 2h, in f64, along a random
// direction v over all arguments; f is taken where its gradient is asked for first. Of a function that asks
// for gradients itself those are checked first, and its differences rest on them. Roundings are left out on
// both sides; integers (what a router chose), stop_gradient and which branch max, min and abs took stay as
// they are at x; where differences disagree, other directions and shorter steps are tried, since other kinks
// are met by few. graph.custom_gradient counts as its forward function, since its gradient is right by
// definition. Left out are values that are not finite, and functions that the data never reaches.
//
// Emits an error at the entry that names the arguments whose gradient is wrong, and fails then.
struct GradientCheck {
  int64_t held = 0;  // functions whose gradients agree
  std::string left;  // why the last one that was left out was; "" for none
  std::string fault; // of a wrong gradient: the first op whose own rule is wrong, or that there is none, and
                     // it is what joins them
};
mlir::LogicalResult checkGradients(mlir::ModuleOp before, const CheckOptions &options,
                                   GradientRunner::Differentiate differentiate, GradientCheck &check);

} // namespace weft
