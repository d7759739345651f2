// Pipeline stages: a forward function cut at its repeat over layers.
#pragma once
#include "mlir/Dialect/Func/IR/FuncOps.h"

namespace weft {

struct Stage {
  int64_t index = 0, count = 1;
  bool first() const { return index == 0; }
  bool last() const { return index + 1 == count; }
  // Layers [begin, end) of `layers`: as equal as can be, the first stages one more.
  int64_t begin(int64_t layers) const { return index * (layers / count) + std::min(index, layers % count); }
  int64_t end(int64_t layers) const { return Stage{index + 1, count}.begin(layers); }
};

// Tags of what neighbouring stages send each other.
constexpr int64_t kActivationTag = 0, kGradientTag = 1, kTiedTag = 2;

// One stage of `whole`: (arguments…) -> (results…), whose body is ops, one graph.repeat over layers that
// carries one value, and more ops. It takes (arguments with local stacks…, x), where x is the value carried
// into the stage (left out in the first), and gives
//   last stage:                  the results;
//   others, `differentiated`:    Σ y dy for the value y carried out, which is sent on, and dy, which comes
//   back: its
//                                gradient is that of the last stage's result;
//   others:                      nothing; y is sent on.
// Arguments that a stage has no use for stay, unused. Empty, with a diagnostic, where `whole` has no such
// form.
mlir::func::FuncOp cutFunction(mlir::func::FuncOp whole, Stage stage, bool differentiated);

} // namespace weft
