// A function's gradient, as a pass makes it, held against finite differences of the function.
#pragma once
#include "compiler/check/gradient_runner.h"

namespace weft {

// Leaves roundings out of an interpretation; gradients that the function takes itself are run as they are.
class UnroundedCasts : public graph::InterpretObserver {
public:
  explicit UnroundedCasts(GradientRunner &gradients) : gradients(gradients) {}
  mlir::FailureOr<bool> runInstead(mlir::Operation *op, llvm::ArrayRef<const graph::HostTensor *> operands,
                                   llvm::MutableArrayRef<graph::HostTensor> results) override;
  void change(mlir::Operation *op, llvm::ArrayRef<const graph::HostTensor *> operands,
              llvm::MutableArrayRef<graph::HostTensor> results) override;

protected:
  GradientRunner &gradients;
};

// A function whose first result is a scalar, where its gradient is checked: its arguments, and the numbers of
// those that are differentiated.
struct GradientSite {
  mlir::func::FuncOp function;
  llvm::SmallVector<graph::HostTensor> args;
  llvm::SmallVector<int64_t> wrt;
};

struct WrongGradient {
  llvm::SmallVector<size_t> which; // of site.wrt; none: the gradient is right
  double given = 0, measured = 0;  // along a random direction over the last of them
  bool finite = true;              // else nothing was compared
  std::string numbers() const;     // both, in words
};

// The function is of `gradients`' module. Fails, with an error, where the pass or the interpreter does. See
// check_gradients.h for what is held still.
mlir::FailureOr<WrongGradient> wrongGradient(const GradientSite &site, uint64_t seed,
                                             GradientRunner &gradients);

} // namespace weft
