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

// One stage of `whole`: (arguments…) -> (results…), whose body is ops, graph.repeats over layers, of which
// each carries what the repeat before it gives, and values from before the layers, and more ops. The stages
// share the layers of all repeats, so that one may have parts of several. It takes (arguments…, x…), where x
// are the values carried into the stage (none in the first), and gives
//   last stage:                  the results;
//   others, `differentiated`:    the sum of Σ y dy over the values y carried out, which are sent on, and dy,
//                                which come back: its gradient is that of the last stage's result;
//   others:                      nothing; y are sent on.
// Arguments numbered in `local` are stacks of which the stage has its own layers; of other stacked values it
// takes a slice. What is computed before the layers and read in or after them, each stage computes for
// itself. Arguments that a stage has no use for stay, unused. Empty, with a diagnostic, where `whole` has no
// such form.
mlir::func::FuncOp cutFunction(mlir::func::FuncOp whole, Stage stage, const llvm::BitVector &local,
                               bool differentiated);

// The repeats over layers of a function, in the order of its block.
using Layers = llvm::SmallVector<graph::RepeatOp>;
Layers layersOf(mlir::func::FuncOp f);

// The iterations [begin, end) of one of the repeats that a stage has; begin == end where it has none.
std::pair<int64_t, int64_t> layersOfStage(Stage stage, const Layers &layers, graph::RepeatOp repeat);

// The repeat that reads an argument as a stack; null where none does.
graph::RepeatOp repeatOfStack(mlir::BlockArgument argument, const Layers &layers);

// Ops before the last layers that layers, or what follows them, read other than through the values carried.
llvm::DenseSet<mlir::Operation *> readByLaterStages(mlir::func::FuncOp f, const Layers &layers);

} // namespace weft
