// Reference evaluation of the operators that make or move values.
#include "dialects/graph/graph.h"

using namespace mlir;
namespace weft::graph {

using Operands = ArrayRef<const HostTensor *>;
using Results = MutableArrayRef<HostTensor>;

// result[index] = x[offset + Σ strides[i] index[i]]
static void read(HostTensor &result, const HostTensor &x, int64_t offset, ArrayRef<int64_t> strides) {
  forEachIndex(result.shape, [&](int64_t linear, ArrayRef<int64_t> index) {
    result.values[linear] = x.values[offset + addressOf(index, strides)];
  });
}
// result[offset + Σ strides[i] index[i]] = x[index]
static void write(HostTensor &result, const HostTensor &x, int64_t offset, ArrayRef<int64_t> strides) {
  forEachIndex(x.shape, [&](int64_t linear, ArrayRef<int64_t> index) {
    result.values[offset + addressOf(index, strides)] = x.values[linear];
  });
}

LogicalResult ConstantOp::evaluate(Operands, Results y) {
  auto value = HostTensor::from(getValue());
  if (failed(value)) return emitOpError("is not dense: only dense constants can be evaluated");
  y[0] = std::move(*value);
  return success();
}

LogicalResult IotaOp::evaluate(Operands, Results y) {
  int64_t axis = getAxis();
  forEachIndex(y[0].shape,
               [&](int64_t linear, ArrayRef<int64_t> index) { y[0].values[linear] = index[axis]; });
  return success();
}

LogicalResult BroadcastOp::evaluate(Operands x, Results y) {
  SmallVector<int64_t> strides(y[0].rank(), 0), from = x[0]->strides();
  for (auto [i, dim] : llvm::enumerate(getDims()))
    if (x[0]->shape[i] != 1) strides[dim] = from[i];
  read(y[0], *x[0], 0, strides);
  return success();
}

LogicalResult ReshapeOp::evaluate(Operands x, Results y) {
  y[0].values = x[0]->values;
  return success();
}

LogicalResult TransposeOp::evaluate(Operands x, Results y) {
  SmallVector<int64_t> strides, from = x[0]->strides();
  for (int64_t p : getPermutation()) strides.push_back(from[p]);
  read(y[0], *x[0], 0, strides);
  return success();
}

LogicalResult SliceOp::evaluate(Operands x, Results y) {
  SmallVector<int64_t> strides = x[0]->strides();
  read(y[0], *x[0], addressOf(getOffsets(), strides), strides);
  return success();
}

LogicalResult PadOp::evaluate(Operands x, Results y) {
  SmallVector<int64_t> strides = y[0].strides();
  write(y[0], *x[0], addressOf(getLow(), strides), strides);
  return success();
}

LogicalResult ConcatOp::evaluate(Operands x, Results y) {
  SmallVector<int64_t> strides = y[0].strides();
  int64_t axis = getAxis(), begin = 0;
  for (const HostTensor *part : x) {
    write(y[0], *part, begin * strides[axis], strides);
    begin += part->shape[axis];
  }
  return success();
}

} // namespace weft::graph
