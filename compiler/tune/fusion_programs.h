// One program as it is fused, and as it would be if more or less were computed behind its products.
#pragma once
#include "compiler/pipeline.h"
#include "compiler/tune/fusion_ways.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "runtime/profile/calibration.h"
#include <map>

namespace weft {

struct FusedValue {
  int64_t number; // passes.td, fuse-kernels
  bool behind;
  double ns; // predicted, of the slower way
};
// A product and the elementwise values that might be computed behind it.
struct FusedProduct {
  std::string name; // "layer:12"
  std::string text; // all that its kernels depend on: the function, and what is chosen for its products
  std::vector<FusedValue> values;
  mlir::Location where;

  std::string function() const { return llvm::StringRef(name).rsplit(':').first.str(); }
};

// By a value's number: whether it is computed behind the product; others as the model says.
using ValueChoices = std::map<int64_t, bool>;

class FusionPrograms {
public:
  // `tiled`: before phase fuse; it stays as it is.
  FusionPrograms(mlir::ModuleOp tiled, const PipelineOptions &options, int64_t microBatches);

  // Of the program with what is taken: its products, in the order of functions.
  std::vector<FusedProduct> products();
  // Planned, with what is taken and `choices` of one product beside it.
  mlir::OwningOpRef<mlir::ModuleOp> plan(const FusedProduct &product, const ValueChoices &choices);
  // Likewise without; null with an error.
  FusionWay *own();
  void take(const FusedProduct &product, const ValueChoices &choices);
  void takeBack(const ValueChoices &choices); // what was taken last

  // The entry that a function matters most to, and by which part of the entry's predicted time a nanosecond
  // in the function; train_step where that calls it.
  std::pair<std::string, double> share(const std::string &function);

  std::vector<std::string> behind, apart; // what is taken
  std::string error;                      // of the last call that gave nothing

private:
  mlir::OwningOpRef<mlir::ModuleOp> build(Phase last, llvm::StringRef product, const ValueChoices &choices);
  void addShares(mlir::func::FuncOp f, llvm::StringRef entry, double part);

  mlir::ModuleOp tiled;
  const PipelineOptions &options;
  const int64_t microBatches;
  const Calibration machine; // that fusions are chosen for
  std::unique_ptr<FusionWay> taken;
  std::map<std::string, std::map<std::string, double>> shares; // by function and entry
};

} // namespace weft
