// Pipeline stages: a forward function cut at its repeat over layers.
#pragma once
#include "dialects/graph/graph.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "llvm/ADT/BitVector.h"
#include "llvm/ADT/DenseSet.h"

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
// carries one value, and more ops. It takes (arguments…, x), where x is the value carried into the stage
// (left out in the first), and gives
//   last stage:                  the results;
//   others, `differentiated`:    Σ y dy for the value y carried out, which is sent on, and dy, which comes
//   back: its
//                                gradient is that of the last stage's result;
//   others:                      nothing; y is sent on.
// Arguments numbered in `local` are stacks of which the stage has its own layers; of other stacked values it
// takes a slice. What is computed before the layers and read in or after them, each stage computes for
// itself. Arguments that a stage has no use for stay, unused. Empty, with a diagnostic, where `whole` has no
// such form.
mlir::func::FuncOp cutFunction(mlir::func::FuncOp whole, Stage stage, const llvm::BitVector &local,
                               bool differentiated);

// The repeat over layers of a function, the last of its block; null where there is none.
graph::RepeatOp layersOf(mlir::func::FuncOp f);

// Ops before the layers that the layers, or what follows them, read other than through the value carried in.
llvm::DenseSet<mlir::Operation *> readByLaterStages(mlir::func::FuncOp f, graph::RepeatOp layers);

} // namespace weft
