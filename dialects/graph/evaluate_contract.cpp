// Reference evaluation of sums, maxima, matrix products and rows by index.
#include "dialects/graph/graph.h"
#include <algorithm>
#include <cmath>

using namespace mlir;
namespace weft::graph {

using Operands = ArrayRef<const HostTensor *>;
using Results = MutableArrayRef<HostTensor>;

LogicalResult ReduceOp::evaluate(Operands x, Results y) {
  const HostTensor &in = *x[0];
  HostTensor &out = y[0];
  bool isSum = getKind() == ReduceKind::sum;
  if (x.size() > 1)
    out.values = x[1]->values;
  else
    std::ranges::fill(out.values, isSum                        ? 0.0
                                  : in.isFloat()               ? -INFINITY
                                  : in.element == Element::i32 ? double(INT32_MIN)
                                                               : double(INT64_MIN));
  SmallVector<int64_t> strides(in.rank(), 0),
      to = out.strides(); // of the output, for each dimension of the input
  for (int64_t d = 0, o = 0; d < in.rank(); ++d)
    if (!llvm::is_contained(getAxes(), d)) strides[d] = to[o++];
  forEachIndex(in.shape, [&](int64_t linear, ArrayRef<int64_t> index) {
    double &r = out.values[addressOf(index, strides)], v = in.values[linear];
    if (!isSum)
      r = std::isnan(r) || r > v ? r : v;
    else
      r = in.isFloat() ? r + v : wrap(int64_t(r) + int64_t(v), in.element);
  });
  return success();
}

// The matrix at `data`, (rows, columns) or its transpose there, as (rows, columns).
static std::vector<double> matrix(const double *data, int64_t rows, int64_t columns, bool transposed) {
  std::vector<double> m(data, data + rows * columns);
  if (transposed)
    for (int64_t r = 0; r < rows; ++r)
      for (int64_t c = 0; c < columns; ++c) m[r * columns + c] = data[c * rows + r];
  return m;
}

LogicalResult MatmulOp::evaluate(Operands x, Results y) {
  const HostTensor &lhs = *x[0], &rhs = *x[1];
  HostTensor &out = y[0];
  bool sharedRhs = rhs.rank() == 2; // all rows of lhs are one matrix then
  int64_t k = getTransposeLhs() ? lhs.shape[lhs.rank() - 2] : lhs.shape.back();
  int64_t n = out.shape.back();
  int64_t m = sharedRhs ? numElements(ArrayRef(out.shape).drop_back()) : out.shape[out.rank() - 2];
  int64_t batch = sharedRhs ? 1 : numElements(ArrayRef(out.shape).drop_back(2));
  if (x.size() > 2) out.values = x[2]->values;
  for (int64_t b = 0; b < batch; ++b) {
    std::vector<double> left = matrix(lhs.values.data() + b * m * k, m, k, getTransposeLhs());
    std::vector<double> right = matrix(rhs.values.data() + b * k * n, k, n, getTransposeRhs());
    for (int64_t i = 0; i < m; ++i) {
      double *row = out.values.data() + (b * m + i) * n;
      for (int64_t p = 0; p < k; ++p) {
        double l = left[i * k + p];
        const double *r = right.data() + p * n;
        for (int64_t j = 0; j < n; ++j) row[j] += l * r[j];
      }
    }
  }
  return success();
}

static int64_t clampIndex(double index, int64_t limit) {
  return std::clamp<int64_t>(int64_t(index), 0, limit - 1);
}

LogicalResult GatherOp::evaluate(Operands x, Results y) {
  const HostTensor &table = *x[0], &indices = *x[1];
  int64_t rows = table.shape[0], width = numElements(ArrayRef(table.shape).drop_front());
  for (int64_t i = 0; i < indices.numElements(); ++i) {
    int64_t row = clampIndex(indices.values[i], rows);
    for (int64_t c = 0; c < width; ++c) y[0].values[i * width + c] = table.values[row * width + c];
  }
  return success();
}

LogicalResult ScatterAddOp::evaluate(Operands x, Results y) {
  const HostTensor &acc = *x[0], &indices = *x[1], &updates = *x[2];
  int64_t rows = acc.shape[0], width = numElements(ArrayRef(acc.shape).drop_front());
  y[0].values = acc.values;
  for (int64_t i = 0; i < indices.numElements(); ++i) {
    int64_t row = clampIndex(indices.values[i], rows);
    for (int64_t c = 0; c < width; ++c) y[0].values[row * width + c] += updates.values[i * width + c];
  }
  return success();
}

LogicalResult WriteRowsOp::evaluate(Operands x, Results y) {
  const HostTensor &dest = *x[0], &slots = *x[1], &updates = *x[2];
  int64_t batch = dest.shape[0], rows = dest.shape[1], times = slots.shape[1],
          width = numElements(ArrayRef(dest.shape).drop_front(2));
  y[0].values = dest.values;
  for (int64_t b = 0; b < batch; ++b)
    for (int64_t t = 0; t < times; ++t) {
      int64_t row = clampIndex(slots.values[b * times + t], rows);
      for (int64_t c = 0; c < width; ++c)
        y[0].values[(b * rows + row) * width + c] = updates.values[(b * times + t) * width + c];
    }
  return success();
}

} // namespace weft::graph
