// How far compiled code may be from a kernel's region computed exactly: the declared error of each op
// (docs/numerics.md), and what rounding can do to a sum, carried from op to op.
#pragma once
#include "dialects/kernel/interpret_region.h"

namespace weft::kernel {

// Of half an ulp of the result, and of a number that is flushed to zero, in f32.
constexpr double kHalfUlp = 0x1p-24, kFlushed = 0x1p-126;

// The most that a sum can be off by whose terms go through `roundings` of them at most, relative to the sum
// of the terms' magnitudes. It is no estimate: rounding that always goes one way comes near it (a small
// number added again and again).
double sumError(int64_t roundings);
// Roundings of a row of `columns` in 16 lanes; of a product over k, by the dot unit.
int64_t laneRoundings(int64_t columns);
int64_t productRoundings(llvm::StringRef unit, int64_t k);

// Beside a RegionInterpreter without rounding, after its run: an absolute error for each column of each
// value. Infinite where nothing can be said: beyond f32's range, behind a comparison that rounding may decide
// the other way, behind an op that has no declared error.
class RegionErrors {
public:
  RegionErrors(mlir::Block &block, const RegionInterpreter &region);
  void run(int64_t columns);
  // Of block argument i, to be set before run (zeros where it is not); of yielded value i, after it.
  std::vector<double> &argument(int64_t i) { return errors[i]; }
  const std::vector<double> &yielded(int64_t i) const { return errors[yields[i]]; }

private:
  using Rule = double (*)(llvm::ArrayRef<double> x, llvm::ArrayRef<double> e, double y);
  struct Step {
    mlir::Value result;
    llvm::SmallVector<mlir::Value, 3> operands;
    llvm::SmallVector<int64_t, 3> in;
    Rule rule = nullptr;
    bool sum = false, max = false, f32 = false, rounds = false;
  };
  const RegionInterpreter &region;
  std::vector<Step> steps;
  std::vector<std::vector<double>> errors; // of each value of the block
  llvm::SmallVector<int64_t> yields;
};

} // namespace weft::kernel
