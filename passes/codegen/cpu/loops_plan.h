// What the three forms of kernel.loops share: which values of the region vary along a row, how many passes
// over the row they take, and the code for a row's and a vector's worth of them. Internal to loops*.cpp.
#pragma once
#include "passes/codegen/cpu/frame.h"

#include "mlir/IR/IRMapping.h"

namespace weft::cpu {

// The region of one kernel.loops, being emitted.
//
// A value is row-uniform when it does not depend on the column: an input with column stride 0, the result of
// kernel.reduce, and what is computed from those alone. Uniform values are scalars, once a row. The others
// are computed 16 columns at a time, in passes over the row: `level` of a value is the number of
// kernel.reduce ops on the longest path to it; pass p computes what reductions of level p need, from the
// inputs again.
class LoopsBody {
public:
  LoopsBody(kernel::LoopsOp op, KernelArguments &frame);

  // Errors that every form and target share.
  mlir::LogicalResult check();

  int64_t numReducePasses() const { return reducePasses; }
  llvm::SmallVector<kernel::ReduceOp> reductions(int64_t pass); // of pass 0, 1, …
  bool varies(mlir::Value value) const { return varying.contains(value); }
  int64_t numOps() const; // of the region: its size, for choosing how far to unroll

  // Starts a row: `dims` are the indices (i64) along all dimensions but the last. Loads the uniform inputs,
  // and computes the uniform values that need no reduction. Afterwards `row` holds them.
  mlir::LogicalResult startRow(llvm::ArrayRef<mlir::Value> dims);
  // Makes a reduction's result known, and what is uniform and follows from those of its pass.
  void setReduction(kernel::ReduceOp op, mlir::Value result) { row.map(op.getResult(), result); }
  mlir::LogicalResult finishPass(int64_t pass);

  // The values `wanted` for columns [column, column + 16), lanes off in `mask` (null = none) undefined: all
  // inputs are loaded first.
  mlir::FailureOr<llvm::SmallVector<mlir::Value>> emitLanes(llvm::ArrayRef<mlir::Value> wanted,
                                                            mlir::Value column, mlir::Value mask);

  // The same for one column, as scalars: a CUDA thread's.
  mlir::FailureOr<llvm::SmallVector<mlir::Value>> emitScalars(llvm::ArrayRef<mlir::Value> wanted,
                                                              mlir::Value column);

  mlir::Value rowValue(mlir::Value value) const {
    return row.lookup(value);
  } // of a uniform value whose pass is done

  // The address of yield `i` at column `column` of the row.
  mlir::Value outputAddress(int64_t i, mlir::Value column);
  // The column stride of an access for loadLanes and storeLanes: null when it is 1.
  mlir::Value columnStride(int64_t access);
  bool hasInit(int64_t yield); // whether the yield's result starts from an init
  mlir::ValueRange yields();
  mlir::Type yieldType(int64_t i) { return yields()[i].getType(); }
  int64_t outputAccess(int64_t yield) const { return frame.layout.numInputs + yield; }
  int64_t rank() const { return frame.layout.numDims; }

  kernel::LoopsOp op;
  KernelArguments &frame;

private:
  void classify();
  // `load(address, type, stride)` gives an input's elements, `columnIndex(i32)` the value of kernel.index
  // there.
  mlir::FailureOr<llvm::SmallVector<mlir::Value>>
  emitVarying(llvm::ArrayRef<mlir::Value> wanted, mlir::Value column,
              llvm::function_ref<mlir::Value(mlir::Value, mlir::Type, mlir::Value)> load,
              llvm::function_ref<mlir::Value(mlir::Value)> columnIndex);
  mlir::Value inputBase(int64_t input); // address of the row's column 0
  mlir::Value
  indexValue(int64_t access); // the row's value of an access's indexing input; null when it has none
  mlir::LogicalResult emitUniform(int64_t level);

  mlir::Block &block;
  llvm::DenseSet<mlir::Value> varying;
  llvm::DenseMap<mlir::Value, int64_t> levels;
  int64_t reducePasses = 0;

  // Of the current row.
  llvm::SmallVector<mlir::Value> dims;
  mlir::IRMapping row;
  llvm::SmallVector<mlir::Value> inputBases, outputBases;
};

// Runs `body` for work items [begin, end): `digits` are the item's place in a row-major space of `sizes`
// (i64), decoded by division once and then counted up.
mlir::LogicalResult
forEachItem(KernelArguments &frame, llvm::ArrayRef<mlir::Value> sizes,
            llvm::function_ref<mlir::LogicalResult(llvm::ArrayRef<mlir::Value> digits)> body);

// Runs `body(column, mask)` for columns [first, last) in vectors: full ones in a loop (mask null), then one
// masked tail. `carried` go around. `unroll` > 1: first a loop of that many vectors a step, given as
// `columns`.
using VectorBody = llvm::function_ref<mlir::FailureOr<llvm::SmallVector<mlir::Value>>(
    llvm::ArrayRef<mlir::Value> columns, mlir::Value mask, mlir::ValueRange carried)>;
mlir::FailureOr<llvm::SmallVector<mlir::Value>> forEachVector(KernelArguments &frame, mlir::Value first,
                                                              mlir::Value last, int64_t unroll,
                                                              mlir::ValueRange carried, VectorBody body);

// The column block of an item where there is no row reduction: [first, last) of block number `block`.
std::pair<mlir::Value, mlir::Value> columnBlock(KernelArguments &frame, int64_t blockColumns,
                                                mlir::Value block);
mlir::Value numColumnBlocks(KernelArguments &frame, int64_t blockColumns);

mlir::LogicalResult emitRows(LoopsBody &body);
mlir::LogicalResult emitColumns(LoopsBody &body); // reduce_dims
mlir::LogicalResult emitScatter(LoopsBody &body); // reduce_dims with an indexed output

} // namespace weft::cpu
