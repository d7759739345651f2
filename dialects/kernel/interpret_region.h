// A kernel's region of scalar code, run for one row of the iteration space at a time: each value is a vector
// over the columns.
#pragma once
#include "dialects/graph/host_tensor.h"
#include "dialects/kernel/kernel.h"

namespace weft::kernel {

class RegionInterpreter {
public:
  // Emits an error at an op that it does not know.
  mlir::LogicalResult compile(mlir::Block &block);

  // Runs the region on `columns` columns. `index` is the row's place in the iteration space, its last
  // dimension being the column.
  void run(llvm::ArrayRef<int64_t> index, int64_t columns);

  // Results of floats rounded to f32 or bf16 where that is their type, as code has them, instead of exact.
  void setRounding(bool on) { rounding = on; }
  // The columns of a value of the block, after run.
  const std::vector<double> &valueOf(mlir::Value value) const { return slots[slotOf.lookup(value)]; }

  // The columns of block argument i, to be set before run; of yielded value i, after it.
  std::vector<double> &argument(int64_t i) { return slots[arguments[i]]; }
  const std::vector<double> &yielded(int64_t i) const { return slots[yields[i]]; }

private:
  using Scalar = double (*)(double, double, double);
  using Integer = int64_t (*)(int64_t, int64_t);
  struct Step {
    enum Kind { scalar, integer, constant, index, sum, max } kind;
    Scalar f = nullptr;
    Integer g = nullptr;
    graph::Element element = graph::Element::f64; // of the result, which integers wrap to
    llvm::SmallVector<int64_t, 3> in;
    int64_t out = 0, dimension = 0;
    double value = 0;
  };
  mlir::LogicalResult compile(mlir::Operation &op, Step &step);

  bool rounding = false;
  llvm::DenseMap<mlir::Value, int64_t> slotOf;
  std::vector<Step> steps;
  std::vector<std::vector<double>> slots; // of each value of the block
  llvm::SmallVector<int64_t> arguments, yields;
};

} // namespace weft::kernel
